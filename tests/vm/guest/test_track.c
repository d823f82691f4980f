// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The tracker by BPF against the truth, two walks of all memory around an epoch:
 *
 *	epoch | walk | writers write | epoch: flags | walk | epoch: flags of meanwhile
 *
 * What a writer has written must be flagged by the second epoch. Of all other memory, what has
 * changed from walk to walk must be flagged by that epoch or the next: the system goes on.
 *
 * With MB_DEBUG_TRACK it must fail: test_track_broken.sh.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/track_bpf.h"
#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"
#include "util_writer.h"

enum { ROUNDS = 8 };

static struct walk before, after;
static uint64_t missed_all, flagged_all, changed_all, flagged_small, changed_small;

static int by_digest(const void *a, const void *b)
{
	const struct mbwalk_record *x = *(const struct mbwalk_record *const *)a,
				   *y = *(const struct mbwalk_record *const *)b;

	return (x->digest > y->digest) - (x->digest < y->digest);
}

/* The records of a walk by digest. */
struct index {
	const struct mbwalk_record **by;
	size_t n;
};

static void index_walk(struct index *x, const struct walk *w)
{
	x->by = realloc(x->by, (w->n + 1) * sizeof(*x->by));
	CHECK(x->by);
	x->n = w->n;
	for (size_t i = 0; i < w->n; i++)
		x->by[i] = &w->records[i];
	qsort(x->by, x->n, sizeof(*x->by), by_digest);
}

/* The first with that digest, or the end. */
static size_t index_find(const struct index *x, uint64_t digest)
{
	size_t low = 0, high = x->n;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (x->by[middle]->digest < digest)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Classes that the tracker follows, and pages that the pass reads anew whatever it says. */
static bool is_followed(const struct mbwalk_record *old, const struct mbwalk_record *new)
{
	uint16_t anew = MBWALK_UNSTABLE | MBWALK_PINNED;

	return old && old->cls == new->cls &&
	       (new->cls == MBWALK_ANON || new->cls == MBWALK_FILE) &&
	       !((old->flags | new->flags) & anew);
}

struct tally {
	uint64_t written, gone, flagged, missed;
} tallies[64];

static uint64_t judge_writer(size_t number, const struct index *x, const struct mb_frame_set *dirty)
{
	struct writer *w = &writers[number];
	struct tally *t = &tallies[number];
	uint64_t missed = 0;

	for (size_t i = 0; i < w->n; i++) {
		size_t at = index_find(x, w->digests[i]);

		t->written++;
		/* What is overwritten within the round is gone; most must be there. */
		if (at == x->n || x->by[at]->digest != w->digests[i])
			t->gone++;
		for (; at < x->n && x->by[at]->digest == w->digests[i]; at++) {
			const struct mbwalk_record *new = x->by[at],
						   *old = walk_find(&before, new->frame);

			if (mb_frame_set_has(dirty, new->frame)) {
				t->flagged++;
			} else if (is_followed(old, new) && old->digest != new->digest) {
				t->missed++;
				if (!missed++)
					say("%s: frame %llx (%s, flags %x) is not flagged", w->name,
					    (unsigned long long)new->frame, class_name(new->cls),
					    new->flags);
			}
		}
	}
	return missed;
}

static void judge_all(const struct mb_frame_set *dirty, const struct mb_frame_set *later)
{
	uint64_t missed = 0;

	for (size_t i = 0; i < after.n && dirty->n; i++) {
		const struct mbwalk_record *new = &after.records[i],
					   *old = walk_find(&before, new->frame);
		bool changed, huge = new->flags &(MBWALK_HUGE_HEAD | MBWALK_HUGE_TAIL);

		if (!is_followed(old, new))
			continue;
		changed = old->digest != new->digest;
		if (mb_frame_set_has(dirty, new->frame)) {
			flagged_all++;
			changed_all += changed;
			flagged_small += !huge;
			changed_small += changed && !huge;
		} else if (changed && !mb_frame_set_has(later, new->frame)) {
			if (missed++ < 3)
				say("frame %llx (%s, flags %x) has changed and is not flagged",
				    (unsigned long long)new->frame, class_name(new->cls),
				    new->flags);
		}
	}
	missed_all += missed;
}

static const struct mb_frame_set *epoch(struct mb_tracker *t)
{
	static const struct mb_frame_set all = { .n = 0 };
	const struct mb_frame_set *dirty = NULL;
	const char *doubt;
	struct mb_err err = { 0 };

	if (t->ops->epoch(t, &dirty, &doubt, &err) < 0)
		fail("epoch: %s", err.text);
	return doubt ? &all : dirty;
}

/* The tracker's is valid until the next epoch only. */
static struct mb_frame_set copy(const struct mb_frame_set *s)
{
	struct mb_frame_set c = *s;
	size_t n = (s->n + 63) / 64 * sizeof(*c.words);

	c.words = malloc(n + 1);
	CHECK(c.words);
	if (n)
		memcpy(c.words, s->words, n);
	return c;
}

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

static void say_epoch(struct mb_tracker *t)
{
	struct mb_track_bpf_report r;

	mb_track_bpf_report(t, &r);
	say("flagged %llu, drained in %llu us; %llu processes protected in %llu us; missed %llu, "
	    "lost "
	    "%llu %llu %llu %llu %llu",
	    (unsigned long long)r.flagged, (unsigned long long)r.drain_ns / 1000,
	    (unsigned long long)r.protect.processes, (unsigned long long)r.protect.ns / 1000,
	    (unsigned long long)r.missed, (unsigned long long)r.lost[0],
	    (unsigned long long)r.lost[1], (unsigned long long)r.lost[2],
	    (unsigned long long)r.lost[3], (unsigned long long)r.lost[4]);
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

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 100;
}

int main(void)
{
	struct mb_tracker *t;
	struct mb_err err = { 0 };
	struct index x = { 0 };
	uint64_t missed = 0;
	int told = 0;
	bool started[64] = { false };
	int fd = walk_open(), r;

	r = mb_track_bpf.open(&t, &err);
	if (r == -EOPNOTSUPP)
		skip("%s", err.text);
	if (r < 0)
		fail("open: %s", err.text);
	say_hooks(t);
	file_put("/proc/sys/kernel/bpf_stats_enabled", "1");
	CHECK(n_writers <= 64);
	for (size_t i = 0; i < n_writers; i++) {
		started[i] = writers[i].start(&writers[i]);
		if (!started[i])
			say("%s: not here", writers[i].name);
	}
	/* Mapped for good: the walks' own memory is memory, too. */
	walk_all(fd, MBWALK_XXH64, 0, &before);
	walk_all(fd, MBWALK_XXH64, 0, &after);
	epoch(t);
	for (int round = 0; round < ROUNDS; round++) {
		struct mb_frame_set dirty;
		const struct mb_frame_set *later;

		walk_all(fd, MBWALK_XXH64, 0, &before);
		for (size_t i = 0; i < n_writers; i++) {
			writers[i].n = 0;
			if (started[i])
				writers[i].round(&writers[i]);
		}
		if (round % 3 == 1)
			file_put("/proc/sys/vm/compact_memory", "1");
		later = epoch(t);
		say_epoch(t);
		if (round == ROUNDS - 1)
			say_who(t), say_calls(t);
		if (later->n)
			told++;
		else
			say("round %d: the tracker has doubts", round);
		dirty = copy(later);
		walk_all(fd, MBWALK_XXH64, 0, &after);
		index_walk(&x, &after);
		for (size_t i = 0; i < n_writers && dirty.n; i++)
			missed += judge_writer(i, &x, &dirty);
		for (size_t i = 0; i < n_writers; i++) {
			if (started[i] && writers[i].settle)
				writers[i].settle(&writers[i]);
		}
		judge_all(&dirty, epoch(t));
		free(dirty.words);
	}
	for (size_t i = 0; i < n_writers; i++) {
		const struct tally *w = &tallies[i];

		if (started[i])
			say("%-18s written %llu, gone %llu, flagged %llu, missed %llu: recall %.2f "
			    "%%",
			    writers[i].name, (unsigned long long)w->written,
			    (unsigned long long)w->gone, (unsigned long long)w->flagged,
			    (unsigned long long)w->missed,
			    share(w->flagged, w->flagged + w->missed));
	}
	say("all memory: missed %llu of %llu changed: recall %.3f %%",
	    (unsigned long long)missed_all, (unsigned long long)(changed_all + missed_all),
	    share(changed_all, changed_all + missed_all));
	say("precision %.1f %%, of small pages %.1f %%", share(changed_all, flagged_all),
	    share(changed_small, flagged_small));
	t->ops->close(t);
	if (told < ROUNDS / 2)
		fail("the tracker could tell in %d of %d rounds only", told, ROUNDS);
	if (missed || missed_all)
		fail("%llu pages of writers and %llu of all were missed",
		     (unsigned long long)missed, (unsigned long long)missed_all);
	return 0;
}
