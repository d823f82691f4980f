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

/* Walks two fingerprints in digest order; says for each digest who has it, with how many copies. */
struct merge {
	const struct mb_fingerprint *a, *b;
	uint32_t i, j;	     /* next ranks */
	uint32_t at_a, at_b; /* cursors into the copies */
	uint32_t rank_a;     /* of this digest in a, valid if copies_a */
	uint64_t digest;
	uint32_t copies_a, copies_b; /* 0: does not have it */
};

static bool merge_next(struct merge *m)
{
	bool in_a = m->i < m->a->n_distinct, in_b = m->j < m->b->n_distinct;

	if (!in_a && !in_b)
		return false;
	if (in_a && in_b && m->a->digests[m->i] != m->b->digests[m->j]) {
		in_b = m->b->digests[m->j] < m->a->digests[m->i];
		in_a = !in_b;
	}
	m->digest = in_a ? m->a->digests[m->i] : m->b->digests[m->j];
	m->rank_a = m->i;
	m->copies_a = in_a ? mb_fingerprint_copies(m->a, &m->at_a, m->i++) : 0;
	m->copies_b = in_b ? mb_fingerprint_copies(m->b, &m->at_b, m->j++) : 0;
	return true;
}

int mb_delta_make(const struct mb_fingerprint *base, const struct mb_fingerprint *result,
		  struct mb_delta *ret, struct mb_err *err)
{
	size_t added = 0, multi = 0, removed = 0, changed = 0;
	int r;

	for (struct merge m = { .a = base, .b = result }; merge_next(&m);) {
		added += !m.copies_a;
		multi += !m.copies_a && m.copies_b > 1;
		removed += !m.copies_b;
		changed += m.copies_a && m.copies_b && m.copies_a != m.copies_b;
	}
	r = mb_delta_init(ret, added, multi, removed, changed, err);
	if (r < 0)
		return r;
	ret->base = mb_fingerprint_id(base);
	ret->result = mb_fingerprint_id(result);
	for (struct merge m = { .a = base, .b = result }; merge_next(&m);) {
		if (!m.copies_a) {
			if (m.copies_b > 1)
				ret->added_multi[ret->n_added_multi++] =
					(struct mb_copies){ ret->n_added, m.copies_b };
			ret->added[ret->n_added++] = m.digest;
		} else if (!m.copies_b) {
			ret->removed[ret->n_removed++] = m.rank_a;
		} else if (m.copies_a != m.copies_b) {
			ret->changed[ret->n_changed++] = (struct mb_copies){ m.rank_a, m.copies_b };
		}
	}
	return 0;
}

static int apply_merge(const struct mb_fingerprint *base, const struct mb_delta *d,
		       struct mb_fingerprint *ret, struct mb_err *err)
{
	uint32_t i = 0, at = 0, removed = 0, changed = 0, multi = 0;

	for (uint32_t rank = 0; rank <= base->n_distinct; rank++) {
		bool last = rank == base->n_distinct;
		uint64_t digest = last ? 0 : base->digests[rank];
		uint32_t copies;

		for (; i < d->n_added && (last || d->added[i] <= digest); i++) {
			if (!last && d->added[i] == digest)
				return mb_fail(err, EBADMSG,
					       "digest %016" PRIx64 " is added, but in the base",
					       digest);
			copies = 1;
			if (multi < d->n_added_multi && d->added_multi[multi].rank == i)
				copies = d->added_multi[multi++].copies;
			mb_fingerprint_push(ret, d->added[i], copies);
		}
		if (last)
			break;
		copies = mb_fingerprint_copies(base, &at, rank);
		if (changed < d->n_changed && d->changed[changed].rank == rank)
			copies = d->changed[changed++].copies;
		if (removed < d->n_removed && d->removed[removed] == rank) {
			if (changed && d->changed[changed - 1].rank == rank)
				return mb_fail(err, EBADMSG,
					       "delta both removes and changes rank %" PRIu32,
					       rank);
			removed++;
		} else {
			mb_fingerprint_push(ret, digest, copies);
		}
	}
	if (removed != d->n_removed || changed != d->n_changed || multi != d->n_added_multi)
		return mb_fail(err, EBADMSG, "delta names a rank beyond its end");
	return 0;
}

int mb_delta_apply(const struct mb_fingerprint *base, const struct mb_delta *d,
		   struct mb_fingerprint *ret, struct mb_err *err)
{
	struct mb_fingerprint_id id = mb_fingerprint_id(base);
	int r;

	*ret = (struct mb_fingerprint){ 0 };
	if (!mb_fingerprint_id_equal(&id, &d->base))
		return mb_fail(err, ESTALE,
			       "delta starts from fingerprint %016" PRIx64 " (%" PRIu64
			       " pages), but %016" PRIx64 " (%" PRIu64 " pages) is held",
			       d->base.hash.hi, d->base.pages, id.hash.hi, id.pages);
	if (d->n_removed > base->n_distinct)
		return mb_fail(err, EBADMSG, "delta removes more digests than the base has");
	/* Each may hold every changed or added count above one, and what the base has. */
	r = mb_fingerprint_init(ret, (size_t)base->n_distinct + d->n_added,
				MB_MIN((size_t)base->n_multi + d->n_changed + d->n_added_multi,
				       (size_t)base->n_distinct + d->n_added),
				err);
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
