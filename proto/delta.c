// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/delta.h"

#include <inttypes.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"

void mb_delta_deinit(struct mb_delta *d)
{
	free(d->added);
	free(d->added_multi);
	free(d->removed);
	free(d->changed);
	*d = (struct mb_delta){ 0 };
}

int mb_delta_init(struct mb_delta *d, size_t added, size_t multi, size_t removed, size_t changed,
		  struct mb_err *err)
{
	*d = (struct mb_delta){ 0 };
	/* One to spare: an empty delta still has arrays. */
	d->added = malloc((added + 1) * sizeof(*d->added));
	d->added_multi = malloc((multi + 1) * sizeof(*d->added_multi));
	d->removed = malloc((removed + 1) * sizeof(*d->removed));
	d->changed = malloc((changed + 1) * sizeof(*d->changed));
	if (d->added && d->added_multi && d->removed && d->changed)
		return 0;
	mb_delta_deinit(d);
	return mb_fail_mem(err, "a delta");
}

/* Ranks of the digests with several copies, one after another. */
struct multi {
	const struct mb_copies *next, *end;
};

static struct multi multi_of(const struct mb_fingerprint *fp)
{
	return (struct multi){ fp->multi, fp->multi + fp->n_multi };
}

/* 0 or 1, as a number: or-ed, so that nothing branches. */
static int multi_at(const struct multi *m, uint32_t rank)
{
	return m->next < m->end && m->next->rank == rank;
}

/* Copies of this rank, which is then done with. */
static uint32_t multi_take(struct multi *m, uint32_t rank)
{
	return multi_at(m, rank) ? m->next++->copies : 1;
}

/* Rank `j` of the result, if it has several copies and is about to be added. */
static void add_multi(struct mb_delta *d, struct multi *in_result, uint32_t j)
{
	if (multi_at(in_result, j))
		d->added_multi[d->n_added_multi++] =
			(struct mb_copies){ d->n_added, multi_take(in_result, j) };
}

/*
 * Where both go on. Who has the lower digest is as good as random, so nothing branches on it; that
 * a digest has several copies is rare.
 */
static void merge_both(const struct mb_fingerprint *base, const struct mb_fingerprint *result,
		       struct mb_delta *d, uint32_t *ret_i, uint32_t *ret_j)
{
	struct multi in_base = multi_of(base), in_result = multi_of(result);
	uint32_t i = 0, j = 0;

	while (i < base->n_distinct && j < result->n_distinct) {
		uint64_t x = base->digests[i], y = result->digests[j];

		if (multi_at(&in_base, i) | multi_at(&in_result, j)) {
			if (y < x) {
				add_multi(d, &in_result, j);
			} else {
				uint32_t before = multi_take(&in_base, i);
				uint32_t now = x == y ? multi_take(&in_result, j) : before;

				if (before != now)
					d->changed[d->n_changed++] = (struct mb_copies){ i, now };
			}
		}
		d->removed[d->n_removed] = i;
		d->n_removed += x < y;
		d->added[d->n_added] = y;
		d->n_added += y < x;
		i += x <= y;
		j += y <= x;
	}
	*ret_i = i;
	*ret_j = j;
}

/* What was not needed goes back. Shrinking may fail; then the larger block stays. */
static void trim(struct mb_delta *d)
{
	void *p = realloc(d->added, ((size_t)d->n_added + 1) * sizeof(*d->added));

	d->added = p ? p : d->added;
	p = realloc(d->added_multi, ((size_t)d->n_added_multi + 1) * sizeof(*d->added_multi));
	d->added_multi = p ? p : d->added_multi;
	p = realloc(d->removed, ((size_t)d->n_removed + 1) * sizeof(*d->removed));
	d->removed = p ? p : d->removed;
	p = realloc(d->changed, ((size_t)d->n_changed + 1) * sizeof(*d->changed));
	d->changed = p ? p : d->changed;
}

int mb_delta_make(const struct mb_fingerprint *base, const struct mb_fingerprint *result,
		  struct mb_delta *ret, struct mb_err *err)
{
	struct multi in_result = multi_of(result);
	struct mb_delta d;
	uint32_t i, j;
	/* For the worst case: memory that is not written to costs nothing. */
	int r = mb_delta_init(ret, result->n_distinct, result->n_multi, base->n_distinct,
			      (size_t)base->n_multi + result->n_multi, err);

	if (r < 0)
		return r;
	d = *ret;
	d.base = mb_fingerprint_id(base);
	d.result = mb_fingerprint_id(result);
	merge_both(base, result, &d, &i, &j);
	for (; i < base->n_distinct; i++)
		d.removed[d.n_removed++] = i;
	while (in_result.next < in_result.end && in_result.next->rank < j)
		in_result.next++;
	for (; j < result->n_distinct; j++) {
		add_multi(&d, &in_result, j);
		d.added[d.n_added++] = result->digests[j];
	}
	trim(&d);
	*ret = d;
	return 0;
}

/* Where an apply is: what comes next of the base and of each list of the delta. */
struct apply {
	struct multi in_base, changed, in_added;
	const uint32_t *removed, *removed_end;
	bool torn; /* a rank is removed and changed */
};

static bool removed_at(const struct apply *a, uint32_t rank)
{
	return a->removed < a->removed_end && *a->removed == rank;
}

static int copies_at(const struct apply *a, uint32_t rank)
{
	return multi_at(&a->in_base, rank) | multi_at(&a->changed, rank);
}

static void put_copies(struct mb_fingerprint *ret, uint32_t copies)
{
	if (copies > 1)
		ret->multi[ret->n_multi++] = (struct mb_copies){ ret->n_distinct, copies };
}

static void base_copies(struct apply *a, struct mb_fingerprint *ret, uint32_t rank)
{
	uint32_t copies = multi_take(&a->in_base, rank);

	if (multi_at(&a->changed, rank)) {
		copies = multi_take(&a->changed, rank);
		a->torn |= removed_at(a, rank);
	}
	if (!removed_at(a, rank))
		put_copies(ret, copies);
}

/* As merge_both(). -EEXIST: *ret_i is a digest of the base that is added. */
static int apply_both(struct apply *a, const struct mb_fingerprint *base, const struct mb_delta *d,
		      struct mb_fingerprint *ret, uint32_t *ret_i, uint32_t *ret_k)
{
	uint64_t *to = ret->digests;
	uint32_t i = 0, k = 0;

	while (i < base->n_distinct && k < d->n_added) {
		uint64_t x = base->digests[i], y = d->added[k];
		bool of_base = x < y, gone = of_base & removed_at(a, i);

		*ret_i = i;
		if (x == y)
			return -EEXIST;
		ret->n_distinct = (uint32_t)(to - ret->digests);
		if (copies_at(a, i) | multi_at(&a->in_added, k)) {
			if (of_base)
				base_copies(a, ret, i);
			else
				put_copies(ret, multi_take(&a->in_added, k));
		}
		*to = of_base ? x : y;
		to += !gone;
		a->removed += gone;
		i += of_base;
		k += !of_base;
	}
	ret->n_distinct = (uint32_t)(to - ret->digests);
	*ret_i = i;
	*ret_k = k;
	return 0;
}

static int apply_merge(const struct mb_fingerprint *base, const struct mb_delta *d,
		       struct mb_fingerprint *ret, struct mb_err *err)
{
	struct apply a = { .in_base = multi_of(base),
			   .changed = { d->changed, d->changed + d->n_changed },
			   .in_added = { d->added_multi, d->added_multi + d->n_added_multi },
			   .removed = d->removed,
			   .removed_end = d->removed + d->n_removed };
	uint32_t i = 0, k = 0;

	if (apply_both(&a, base, d, ret, &i, &k) < 0)
		return mb_fail(err, EBADMSG, "digest %016" PRIx64 " is added, but in the base",
			       base->digests[i]);
	for (; i < base->n_distinct; i++) {
		bool gone = removed_at(&a, i);

		if (copies_at(&a, i))
			base_copies(&a, ret, i);
		ret->digests[ret->n_distinct] = base->digests[i];
		ret->n_distinct += !gone;
		a.removed += gone;
	}
	for (; k < d->n_added; k++) {
		put_copies(ret, multi_take(&a.in_added, k));
		ret->digests[ret->n_distinct++] = d->added[k];
	}
	if (a.torn)
		return mb_fail(err, EBADMSG, "delta both removes and changes a rank");
	if (a.removed < a.removed_end || a.changed.next < a.changed.end ||
	    a.in_added.next < a.in_added.end)
		return mb_fail(err, EBADMSG, "delta names a rank beyond its end");
	mb_fingerprint_seal(ret);
	return 0;
}

/* Each is then met once, so that the size of the result is known. */
static int check_removed(const struct mb_fingerprint *base, const struct mb_delta *d,
			 struct mb_err *err)
{
	uint64_t next = 0;

	if (d->n_removed > base->n_distinct)
		return mb_fail(err, EBADMSG, "delta removes more digests than the base has");
	for (uint32_t i = 0; i < d->n_removed; i++) {
		if (d->removed[i] < next)
			return mb_fail(err, EBADMSG, "delta removes ranks out of order");
		next = (uint64_t)d->removed[i] + 1;
	}
	if (next > base->n_distinct)
		return mb_fail(err, EBADMSG, "delta names a rank beyond its end");
	return 0;
}

int mb_delta_apply(const struct mb_fingerprint *base, const struct mb_delta *d,
		   struct mb_fingerprint *ret, struct mb_err *err)
{
	struct mb_fingerprint_id id = mb_fingerprint_id(base);
	size_t n;
	int r;

	*ret = (struct mb_fingerprint){ 0 };
	if (!mb_fingerprint_id_equal(&id, &d->base))
		return mb_fail(err, ESTALE,
			       "delta starts from fingerprint %016" PRIx64 " (%" PRIu64
			       " pages), but %016" PRIx64 " (%" PRIu64 " pages) is held",
			       d->base.hash.hi, d->base.pages, id.hash.hi, id.pages);
	r = check_removed(base, d, err);
	if (r < 0)
		return r;
	n = (size_t)base->n_distinct - d->n_removed + d->n_added;
	/* Each may hold every changed or added count above one, and what the base has. */
	r = mb_fingerprint_init(
		ret, n, MB_MIN((size_t)base->n_multi + d->n_changed + d->n_added_multi, n), err);
	if (r < 0)
		return r;
	r = apply_merge(base, d, ret, err);
	id = mb_fingerprint_id(ret);
	if (r == 0 && !mb_fingerprint_id_equal(&id, &d->result))
		r = mb_fail(err, EBADMSG,
			    "delta gives fingerprint %016" PRIx64 " (%" PRIu64
			    " pages), but names %016" PRIx64 " (%" PRIu64 " pages)",
			    id.hash.hi, id.pages, d->result.hash.hi, d->result.pages);
	if (r < 0)
		mb_fingerprint_deinit(ret);
	else
		mb_fingerprint_trim(ret);
	return r;
}

uint64_t mb_delta_gained(const struct mb_fingerprint *base, const struct mb_delta *d)
{
	uint64_t gained = d->n_added;
	uint32_t cursor = 0;

	for (uint32_t i = 0; i < d->n_added_multi; i++)
		gained += d->added_multi[i].copies - 1;
	for (uint32_t i = 0; i < d->n_changed; i++) {
		uint32_t before = mb_fingerprint_copies(base, &cursor, d->changed[i].rank);

		if (d->changed[i].copies > before)
			gained += d->changed[i].copies - before;
	}
	return gained;
}
