/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When the next epoch is due: as often as was asked for, but no more often than the budget of CPU
 * time allows. Pure: it is told the time.
 *
 *	|<----------- interval, or longer: cost / budget, or 9/8 of a pass ----------->|
 *	start of an epoch                                                        start of the next
 */
#ifndef MB_PACE_H
#define MB_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mb_pace {
	uint64_t interval_ns; /* 0: without a pause */
	double budget;	      /* share of one core, above 0; 0: as much as it takes */
	uint64_t next_ns;
	/* The last epoch's, for whoever asks. */
	uint64_t wait_ns; /* from its start to the next one's */
	uint64_t told_ns; /* the wait that was told about */
};

/*
 * An epoch has begun at start_ns, ended at end_ns, and took cost_ns of CPU time since the one
 * before it began: the agent's own, the kernel's on its behalf, and what the tracker makes others
 * spend. True: the interval is another than was told about the last time, so tell it.
 */
bool mb_pace_epoch(struct mb_pace *p, uint64_t start_ns, uint64_t end_ns, uint64_t cost_ns);

/* Why the epochs are wait_ns apart, in words. */
void mb_pace_say(const struct mb_pace *p, uint64_t pass_ns, uint64_t cost_ns, char *ret,
		 size_t size);

#endif
