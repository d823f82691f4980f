// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tracker by soft-dirty bits against two walks (util_judge.h). It is a hint, so some of what
 * has changed may be missed; and it must not get there by flagging everything.
 *
 * With MB_DEBUG_TRACK it must fail: test_softdirty_broken.sh.
 */
#include <errno.h>

#include "agent/track_softdirty.h"
#include "util_judge.h"
#include "util_test.h"

#define LEAST_RECALL 99.0 /* percent, of what writers write */
#define MOST_FLAGGED                                                                               \
	75.0 /* percent, of anonymous memory; the writers' is a good part of that here */

static void say_epoch(struct mb_tracker *t, bool last)
{
	struct mb_soft_dirty_report r;

	(void)last;
	mb_track_softdirty_report(t, &r);
	say("%llu processes, %llu mappings, %llu written, in %llu us; frames: %llu dirty, %llu "
	    "unseen, %llu moved, %llu clean",
	    (unsigned long long)r.processes, (unsigned long long)r.mappings,
	    (unsigned long long)r.written, (unsigned long long)r.ns / 1000,
	    (unsigned long long)r.dirty, (unsigned long long)r.unseen, (unsigned long long)r.moved,
	    (unsigned long long)r.clean);
}

int main(void)
{
	const struct judged *j;
	struct mb_tracker *t;
	struct mb_err err = { 0 };
	int r = mb_track_softdirty.open(&(struct mb_tracker_options){ 0 }, &t, &err);

	if (r == -EOPNOTSUPP)
		skip("%s", err.text);
	if (r < 0)
		fail("open: %s", err.text);
	j = judge(t, say_epoch);
	t->ops->close(t);
	if (!j->writers_flagged || j->worst_recall < LEAST_RECALL)
		fail("%llu pages of writers were missed", (unsigned long long)j->writers_missed);
	if ((double)j->flagged > MOST_FLAGGED / 100 * (double)j->followed)
		fail("%llu of %llu pages were flagged", (unsigned long long)j->flagged,
		     (unsigned long long)j->followed);
	return 0;
}
