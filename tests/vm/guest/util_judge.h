/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tracker against the truth, two walks of all memory around an epoch:
 *
 *	epoch | walk | writers write | epoch: flags | walk | epoch: flags of meanwhile
 *
 * What a writer has written must be flagged by the second epoch. Of all other memory, what has
 * changed from walk to walk must be flagged by that epoch or the next: the system goes on.
 */
#ifndef UTIL_JUDGE_H
#define UTIL_JUDGE_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/track.h"

enum { JUDGE_ROUNDS = 8 };

/* Pages that the tracker follows; what the pass reads anew whatever it says does not count. */
struct judged {
	/* That writers have written, and that nobody had content of before. */
	uint64_t writers_flagged, writers_missed;
	double worst_recall; /* of any writer, in percent */
	/* Of all memory. */
	uint64_t followed, flagged, changed, missed; /* changed: and flagged */
	uint64_t flagged_small, changed_small;	     /* not of huge pages */
	int told;				     /* rounds in which it had no doubt */
};

/* Some rounds; says how they went. `t` is open. */
const struct judged *judge(struct mb_tracker *t,
			   void (*say_epoch)(struct mb_tracker *t, bool last));

#endif
