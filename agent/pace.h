/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the next epoch is due: as often as was asked for, but no more often than the budget of CPU
 * time allows in the long run. Pure: it is told the time.
 *
 *	|<--- interval, or longer: until debts are paid, and at least 9/8 of a pass --->|
 *	start of an epoch                                                     start of the next
 *
 * What epochs take is a debt, and time pays it off: budget * elapsed. Cheap epochs put by what up
 * to 10 intervals earn, for a dear one that comes now and then, as an audit. A debt beyond that is
 * paid in waits of 10 intervals at most, with epochs in between. Only where one dear epoch comes
 * before the last is paid for, waits of that length would never do: then they grow.
 */
#ifndef MB_PACE_H
#define MB_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MB_PACE_INTERVALS = 10 }; /* put by, and waited at once */

struct mb_pace {
	uint64_t interval_ns; /* 0: without a pause */
	double budget;	      /* share of one core, above 0; 0: as much as it takes */
	uint64_t next_ns;
	/* Of the last epoch, for whoever asks. */
	uint64_t wait_ns; /* from its start to the next one's */
	bool by_budget;	  /* it is the budget that asks for so long a wait */
	double debt_ns;	  /* CPU time beyond the budget, as of its start; below 0: put by */

	bool begun;
	uint64_t start_ns; /* of the last epoch */
	double most_ns;	   /* the longest wait for the budget's sake */
	uint64_t told_ns;  /* the wait that was told about */
};

enum mb_pace_news {
	MB_PACE_NO_NEWS, /* the wait is about what was told the last time */
	MB_PACE_LONGER,
	MB_PACE_SHORTER, /* as asked for again, or nearer to it */
};

/*
 * An epoch has begun at start_ns, ended at end_ns, and took cost_ns of CPU time since the one
 * before it ended (of the first: since it began): the agent's own, the kernel's on its behalf, and
 * what the tracker makes others spend.
 */
enum mb_pace_news mb_pace_epoch(struct mb_pace *p, uint64_t start_ns, uint64_t end_ns,
				uint64_t cost_ns);

/* Why the epochs are wait_ns apart, in words. */
void mb_pace_say(const struct mb_pace *p, uint64_t pass_ns, uint64_t cost_ns, char *ret,
		 size_t size);

#endif
