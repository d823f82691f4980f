/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages an incremental pass reads besides those that the tracker flags: pure rules.
 *
 * Rule 2: what the tracker cannot follow is read again, namely
 *	- pages of classes that are not among tracker->follows;
 *	- pages that a device may write to (PINNED); those that are so just now come by themselves,
 *	- like those whose class is not the last epoch's (mb_frame_set.known).
 * Rule 3: so is what was UNSTABLE when it was read: locked, not up to date or under writeback.
 *
 * Most of what rule 2 reads is the kernel's own memory, which hardly changes. Such a page that was
 * the same when it was last looked at is looked at less often: after 2, 4, 8 ... epochs, at most
 * 2^cap of its class. An audit judges: it tells how many pages were stale meanwhile, and raises or
 * lowers each class's cap. A class that had to be lowered waits 1, 2, 4 ... at most 16 good audits
 * until it is tried again: one whose pages are fine at this cap, and stale at the next, would swing
 * between the two for ever. The pages of one age are spread evenly over the epochs.
 *
 *	state of a page:   age (3 bits) | again (1 bit) | class (4 bits)
 */
#ifndef MB_REHASH_H
#define MB_REHASH_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/audit.h"
#include "proto/page.h"

enum mb_rehash_break { /* Switches a rule off, for tests that must fail then. */
		       MB_BREAK_RULE_2 = 1 << 0,
		       MB_BREAK_RULE_3 = 1 << 1,
};

struct mb_rehash {
	uint32_t follows;
	uint8_t cap_max;
	uint8_t cap[MB_CLASS_END];     /* 0: looked at every time */
	uint8_t wait[MB_CLASS_END];    /* good audits until the cap may rise again */
	uint8_t penalty[MB_CLASS_END]; /* the wait of the last time; 0: none yet */
	bool on_trial[MB_CLASS_END];   /* the cap rose after the last audit */
	unsigned int broken;	   /* enum mb_rehash_break */
};

enum { MB_REHASH_PERIOD_MAX = 64 };

/*
 * `period`: epochs, 2^n, at most MB_REHASH_PERIOD_MAX; 1: all that is not followed, every time.
 * Keeps r->broken.
 */
void mb_rehash_init(struct mb_rehash *r, uint32_t follows, uint32_t period);

/* Of a page just read; `old` is its state before if its class and digest are the same, or 0. */
uint8_t mb_rehash_state(const struct mb_page *page, uint8_t old);

static inline uint8_t mb_rehash_class(uint8_t state)
{
	return state & 15;
}

bool mb_rehash_is_due(const struct mb_rehash *r, uint64_t frame, uint8_t state, uint64_t epoch);

/* After an audit; pages[]: how many there are of each class. */
void mb_rehash_judge(struct mb_rehash *r, const struct mb_audit *a,
		     const uint64_t pages[MB_CLASS_END]);

#endif
