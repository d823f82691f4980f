// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tracker by BPF against two walks: it misses nothing (util_judge.h).
 *
 * With MB_DEBUG_TRACK it must fail: test_track_broken.sh.
 */
#include <errno.h>
#include <stdio.h>

#include "agent/track_bpf.h"
#include "util_file.h"
#include "util_judge.h"
#include "util_test.h"

static void say_hooks(struct mb_tracker *t)
{
	struct mb_track_bpf_report r;

	mb_track_bpf_report(t, &r);
	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (r.hooks.name[i])
			say("%-30s %s", r.hooks.name[i], mb_hook_way_name(r.hooks.way[i]));
		if (r.hooks.name[i] && r.hooks.way[i] == MB_WAY_NONE)
			say("    not seen: %s", mb_hooks[i].followed);
	}
	say("strength %s, a %s per frame", t->ops->strength == MB_STRENGTH_PROOF ? "proof" : "hint",
	    r.bits ? "bit" : "byte");
}

/* A hook that is never met may have been put on a function whose callers have it inlined. */
static void say_calls(struct mb_tracker *t)
{
	struct mb_track_bpf_report r;

	mb_track_bpf_report(t, &r);
	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (r.hooks.name[i])
			say("calls: %-30s %llu", r.hooks.name[i], (unsigned long long)r.calls[i]);
	}
}

static void say_who(struct mb_tracker *t)
{
	const struct mb_track_bpf_who *who;
	size_t n = mb_track_bpf_who(t, &who);

	for (size_t i = 0; i < n && i < 6; i++) {
		char line[400];
		int at = 0;

		for (int k = 0; k < MB_DIRTY_KINDS; k++) {
			if (who[i].frames.n[k])
				at += snprintf(line + at, sizeof(line) - (size_t)at, ", %s %llu",
					       mb_dirty_kind_name(k),
					       (unsigned long long)who[i].frames.n[k]);
		}
		say("who: %-15s %llu%s", who[i].by.comm, (unsigned long long)who[i].total,
		    at ? line : "");
	}
}

static void say_epoch(struct mb_tracker *t, bool last)
{
	struct mb_track_bpf_report r;
	uint64_t missed = 0, held_up = 0;

	mb_track_bpf_report(t, &r);
	for (size_t i = 0; i < mb_n_hooks; i++)
		missed += r.missed[i], held_up += r.held_up[i];
	say("flagged %llu, drained in %llu us; %llu processes protected in %llu us; held up "
	    "%llu, missed %llu, lost %llu %llu %llu %llu %llu %llu",
	    (unsigned long long)r.flagged, (unsigned long long)r.drain_ns / 1000,
	    (unsigned long long)r.protect.processes, (unsigned long long)r.protect.ns / 1000,
	    (unsigned long long)held_up, (unsigned long long)missed, (unsigned long long)r.lost[0],
	    (unsigned long long)r.lost[1], (unsigned long long)r.lost[2],
	    (unsigned long long)r.lost[3], (unsigned long long)r.lost[4],
	    (unsigned long long)r.lost[5]);
	if (last)
		say_who(t), say_calls(t);
}

int main(void)
{
	const struct judged *j;
	struct mb_tracker *t;
	struct mb_err err = { 0 };
	int r = mb_track_bpf.open(&(struct mb_tracker_options){ .who = 1 }, &t, &err);

	if (r == -EOPNOTSUPP)
		skip("%s", err.text);
	if (r < 0)
		fail("open: %s", err.text);
	say_hooks(t);
	file_put("/proc/sys/kernel/bpf_stats_enabled", "1");
	j = judge(t, say_epoch);
	t->ops->close(t);
	if (j->writers_missed || j->missed)
		fail("%llu pages of writers and %llu of all were missed",
		     (unsigned long long)j->writers_missed, (unsigned long long)j->missed);
	return 0;
}
