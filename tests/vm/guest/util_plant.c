// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_plant.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "util_content.h"
#include "util_frame.h"
#include "util_test.h"

/* A planted page and where it lies. */
struct spot {
	uint64_t digest, frame;
};

void *plant_memory(size_t n)
{
	void *at = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		fail_errno("mmap of %zu pages", n);
	madvise(at, n * PAGE, MADV_NOHUGEPAGE);
	if (mlock(at, n * PAGE) < 0)
		fail_errno("mlock of %zu pages", n);
	return at;
}

void plant_add(struct plants *p, const char *what, const void *at, size_t n, enum mbwalk_class cls,
	       uint16_t flags)
{
	struct plant *plant = &p->list[p->n];

	CHECK(p->n < sizeof p->list / sizeof *p->list);
	*plant = (struct plant){ what, at, n, cls, flags, calloc(n, sizeof(uint64_t)) };
	if (!plant->frames)
		fail("no memory");
	p->n++;
}

bool plant_look(struct plants *p)
{
	bool same = true;

	for (size_t i = 0; i < p->n; i++) {
		struct plant *plant = &p->list[i];
		uint64_t *frames = malloc(plant->n * sizeof *frames);

		if (!frames)
			fail("no memory");
		/* Shared pages are mapped when touched. */
		for (size_t j = 0; j < plant->n; j++)
			(void)*(volatile const unsigned char *)(plant->at + j * PAGE);
		frames_of(plant->at, plant->n, frames);
		same = same && memcmp(frames, plant->frames, plant->n * sizeof *frames) == 0;
		free(plant->frames);
		plant->frames = frames;
	}
	return same;
}

static int compare_spots(const void *a, const void *b)
{
	const struct spot *x = a, *y = b;

	if (x->digest != y->digest)
		return x->digest < y->digest ? -1 : 1;
	return x->frame < y->frame ? -1 : x->frame > y->frame;
}

static int compare_digest(const void *key, const void *spot)
{
	uint64_t a = *(const uint64_t *)key, b = ((const struct spot *)spot)->digest;

	return a < b ? -1 : a > b;
}

static uint16_t huge_flags(uint64_t frame)
{
	uint64_t kernel = kpage_flags(frame);

	return (kernel & KPF(COMPOUND_HEAD) ? MBWALK_HUGE_HEAD : 0) |
	       (kernel & KPF(COMPOUND_TAIL) ? MBWALK_HUGE_TAIL : 0);
}

static void check_page(const struct plant *plant, size_t i, uint64_t digest, const struct walk *w)
{
	const uint16_t passing = MBWALK_UNSTABLE | MBWALK_PINNED;
	uint64_t frame = plant->frames[i];
	const struct mbwalk_record *r;
	uint16_t flags;

	if (frame == NO_FRAME)
		fail("%s: page %zu is not in memory", plant->what, i);
	r = walk_find(w, frame);
	if (!r)
		fail("%s: page %zu, frame %llx, has no record", plant->what, i,
		     (unsigned long long)frame);
	if (r->digest != digest)
		fail("%s: page %zu, frame %llx: digest %llx, not %llx (class %s, flags %#x)",
		     plant->what, i, r->frame, r->digest, (unsigned long long)digest,
		     class_name(r->cls), r->flags);
	if (r->cls != plant->cls)
		fail("%s: page %zu, frame %llx is %s, not %s", plant->what, i, r->frame,
		     class_name(r->cls), class_name(plant->cls));
	flags = plant->flags | huge_flags(frame);
	if ((r->flags & ~passing) != flags)
		fail("%s: page %zu, frame %llx has flags %#x, not %#x", plant->what, i, r->frame,
		     r->flags, flags);
}

/* Sorted, each once; returns how many. */
static size_t unique(struct spot *spots, size_t n)
{
	size_t kept = 0;

	qsort(spots, n, sizeof *spots, compare_spots);
	for (size_t i = 0; i < n; i++)
		if (!kept || compare_spots(&spots[kept - 1], &spots[i]) != 0)
			spots[kept++] = spots[i];
	return kept;
}

/*
 * Copies of what was planted. 32 bits collide: some of those are expected. So
 * is one frame of the kernel's: a walker's own bounce page holds what was
 * hashed before it.
 */
static void check_strays(const struct spot *spots, size_t n, const struct walk *w,
			 enum mbwalk_algorithm algorithm)
{
	size_t found = 0, strays = 0, bounce = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct mbwalk_record *r = &w->records[i];
		struct spot here = { r->digest, r->frame };

		if (r->flags & MBWALK_ZERO ||
		    !bsearch(&r->digest, spots, n, sizeof *spots, compare_digest))
			continue;
		if (bsearch(&here, spots, n, sizeof *spots, compare_spots))
			found++;
		else if (algorithm == MBWALK_XXH64 && r->cls == MBWALK_KERNEL && !bounce)
			bounce++;
		else if (algorithm == MBWALK_XXH64 || ++strays > 8)
			fail("frame %llx has a planted digest: class %s, flags %#x", r->frame,
			     class_name(r->cls), r->flags);
	}
	for (size_t i = 0; i < n; i++)
		found += (walk_find(w, spots[i].frame)->flags & MBWALK_ZERO) != 0;
	if (found != n)
		fail("%zu planted frames, but %zu with their digests", n, found);
	if (bounce || strays)
		say("%zu further frames with a planted digest: the module's own", bounce + strays);
}

void plant_check(const struct plants *p, const struct walk *w, enum mbwalk_algorithm algorithm)
{
	size_t n = 0, kept, unstable = 0;
	struct spot *spots;

	for (size_t i = 0; i < p->n; i++)
		n += p->list[i].n;
	spots = calloc(n, sizeof *spots);
	if (!spots)
		fail("no memory");
	n = 0;
	for (size_t i = 0; i < p->n; i++) {
		const struct plant *plant = &p->list[i];

		for (size_t j = 0; j < plant->n; j++) {
			uint64_t digest = content_digest(algorithm, plant->at + j * PAGE);

			check_page(plant, j, digest, w);
			unstable += walk_find(w, plant->frames[j])->flags & MBWALK_UNSTABLE ? 1 : 0;
			spots[n++] = (struct spot){ digest, plant->frames[j] };
		}
	}
	kept = unique(spots, n);
	check_strays(spots, kept, w, algorithm);
	free(spots);
	if (unstable * 100 > n)
		fail("%zu of %zu planted pages are unstable", unstable, n);
}
