// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_judge.h"

#include <stdlib.h>
#include <string.h>

#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"
#include "util_writer.h"

enum { WRITERS = 64 };

static struct walk before, after;
static struct judged sum;

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
static bool is_followed(const struct mb_tracker *t, const struct mbwalk_record *old,
			const struct mbwalk_record *new)
{
	uint16_t anew = MBWALK_UNSTABLE | MBWALK_PINNED;

	/* Numbers of classes are the same everywhere. */
	return old && old->cls == new->cls && t->ops->follows >> new->cls & 1 &&
	       !((old->flags | new->flags) & anew);
}

static struct tally {
	uint64_t written, gone, flagged, missed;
} tallies[WRITERS];

static void judge_writer(const struct mb_tracker *tracker, size_t number, const struct index *x,
			 const struct mb_frame_set *dirty)
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

			if (!(tracker->ops->follows >> new->cls & 1))
				continue;
			if (mb_frame_set_has(dirty, new->frame)) {
				t->flagged++;
			} else if (is_followed(tracker, old, new) && old->digest != new->digest) {
				t->missed++;
				if (!missed++)
					say("%s: frame %llx (%s, flags %x) is not flagged", w->name,
					    (unsigned long long)new->frame, class_name(new->cls),
					    new->flags);
			}
		}
	}
	sum.writers_missed += missed;
}

static void judge_all(const struct mb_tracker *t, const struct mb_frame_set *dirty,
		      const struct mb_frame_set *later)
{
	uint64_t missed = 0;

	for (size_t i = 0; i < after.n && dirty->n; i++) {
		const struct mbwalk_record *new = &after.records[i],
					   *old = walk_find(&before, new->frame);
		bool changed, huge = new->flags &(MBWALK_HUGE_HEAD | MBWALK_HUGE_TAIL);

		if (!is_followed(t, old, new))
			continue;
		sum.followed++;
		changed = old->digest != new->digest;
		if (mb_frame_set_has(dirty, new->frame)) {
			sum.flagged++;
			sum.changed += changed;
			sum.flagged_small += !huge;
			sum.changed_small += changed && !huge;
		} else if (changed && !mb_frame_set_has(later, new->frame)) {
			if (missed++ < 3)
				say("frame %llx (%s, flags %x) has changed and is not flagged",
				    (unsigned long long)new->frame, class_name(new->cls),
				    new->flags);
		}
	}
	sum.missed += missed;
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

static double share(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 100;
}

static bool started[WRITERS];

static void start_writers(void)
{
	CHECK(n_writers <= WRITERS);
	for (size_t i = 0; i < n_writers; i++) {
		started[i] = writers[i].start(&writers[i]);
		if (!started[i])
			say("%s: not here", writers[i].name);
	}
}

static void write_all(void)
{
	for (size_t i = 0; i < n_writers; i++) {
		writers[i].n = 0;
		if (started[i])
			writers[i].round(&writers[i]);
	}
}

static void settle_all(void)
{
	for (size_t i = 0; i < n_writers; i++) {
		if (started[i] && writers[i].settle)
			writers[i].settle(&writers[i]);
	}
}

static void say_all(void)
{
	sum.worst_recall = 100;
	for (size_t i = 0; i < n_writers; i++) {
		const struct tally *w = &tallies[i];
		double recall = share(w->flagged, w->flagged + w->missed);

		if (!started[i])
			continue;
		sum.writers_flagged += w->flagged;
		if (recall < sum.worst_recall)
			sum.worst_recall = recall;
		say("%-18s written %llu, gone %llu, flagged %llu, missed %llu: recall %.2f %%",
		    writers[i].name, (unsigned long long)w->written, (unsigned long long)w->gone,
		    (unsigned long long)w->flagged, (unsigned long long)w->missed, recall);
	}
	say("all memory: missed %llu of %llu changed: recall %.3f %%",
	    (unsigned long long)sum.missed, (unsigned long long)(sum.changed + sum.missed),
	    share(sum.changed, sum.changed + sum.missed));
	say("precision %.1f %%, of small pages %.1f %%; flagged %.1f %% of %llu followed",
	    share(sum.changed, sum.flagged), share(sum.changed_small, sum.flagged_small),
	    share(sum.flagged, sum.followed), (unsigned long long)sum.followed);
}

const struct judged *judge(struct mb_tracker *t, void (*say_epoch)(struct mb_tracker *t, bool last))
{
	struct index x = { 0 };
	int fd = walk_open();

	start_writers();
	/* Mapped for good: the walks' own memory is memory, too. */
	walk_all(fd, MBWALK_XXH64, 0, &before);
	walk_all(fd, MBWALK_XXH64, 0, &after);
	epoch(t);
	for (int round = 0; round < JUDGE_ROUNDS; round++) {
		struct mb_frame_set dirty;
		const struct mb_frame_set *later;

		walk_all(fd, MBWALK_XXH64, 0, &before);
		write_all();
		if (round % 3 == 1)
			file_put("/proc/sys/vm/compact_memory", "1");
		later = epoch(t);
		say_epoch(t, round == JUDGE_ROUNDS - 1);
		if (later->n)
			sum.told++;
		else
			say("round %d: the tracker has doubts", round);
		dirty = copy(later);
		walk_all(fd, MBWALK_XXH64, 0, &after);
		index_walk(&x, &after);
		for (size_t i = 0; i < n_writers && dirty.n; i++)
			judge_writer(t, i, &x, &dirty);
		settle_all();
		judge_all(t, &dirty, epoch(t));
		free(dirty.words);
	}
	say_all();
	if (sum.told < JUDGE_ROUNDS / 2)
		fail("the tracker could tell in %d of %d rounds only", sum.told, JUDGE_ROUNDS);
	return &sum;
}
