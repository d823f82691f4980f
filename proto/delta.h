/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A delta: what changed between two fingerprints, and the algebra both sides agree on.
 *
 *	apply(a, make(a, b)) == b
 *
 * It is state-based: it says what the result has, not what happened. Removed and recounted digests
 * are named by their rank in the base, so both sides must hold the same base; the hash of base and
 * result proves it. A snapshot is a delta from the empty fingerprint.
 */
#ifndef MB_DELTA_H
#define MB_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/fingerprint.h"

/* One end of a delta. */
struct mb_fingerprint_id {
	uint64_t pages;
	uint32_t distinct;
	struct mb_multiset_hash hash;
};

struct mb_delta {
	struct mb_fingerprint_id base, result;
	uint64_t *added;	       /* digests not in the base, strictly ascending */
	struct mb_copies *added_multi; /* {index into added, copies >= 2}, ascending */
	uint32_t *removed;	       /* ranks in the base, strictly ascending */
	struct mb_copies *changed;     /* {rank in the base, copies in the result}, ascending */
	uint32_t n_added, n_added_multi, n_removed, n_changed;
};

static inline struct mb_fingerprint_id mb_fingerprint_id(const struct mb_fingerprint *fp)
{
	return (struct mb_fingerprint_id){ fp->n_pages, fp->n_distinct, fp->hash };
}

static inline bool mb_fingerprint_id_equal(const struct mb_fingerprint_id *a,
					   const struct mb_fingerprint_id *b)
{
	return a->pages == b->pages && a->distinct == b->distinct &&
	       mb_multiset_hash_equal(a->hash, b->hash);
}

/* Room for so many entries of each kind, none there yet. */
int mb_delta_init(struct mb_delta *d, size_t added, size_t multi, size_t removed, size_t changed,
		  struct mb_err *err);
void mb_delta_deinit(struct mb_delta *d);
int mb_delta_make(const struct mb_fingerprint *base, const struct mb_fingerprint *result,
		  struct mb_delta *ret, struct mb_err *err);
/*
 * -ESTALE: `base` is not the delta's base. -EBADMSG: the delta contradicts itself or the base. On
 * error nothing is left in `ret`; `base` never changes.
 */
int mb_delta_apply(const struct mb_fingerprint *base, const struct mb_delta *d,
		   struct mb_fingerprint *ret, struct mb_err *err);

/*
 * Pages that the result has and `base` has not, as `gained` of mb_pair_sharing, without looking at
 * all digests. Those lost follow: base.pages + gained - result.pages.
 */
uint64_t mb_delta_gained(const struct mb_fingerprint *base, const struct mb_delta *d);

/* The delta as byte fields of a message; FORMAT.md has the layout of each. */
struct mb_delta_fields {
	struct mb_fingerprint_id base, result;
	uint32_t n_added, n_removed, n_changed;
	struct mb_slice added, added_copies, removed, changed;
};

/* `buf` takes the bytes that the slices of `ret` point into. `bits` as in the hash identity. */
int mb_delta_encode(const struct mb_delta *d, uint32_t bits, struct mb_buf *buf,
		    struct mb_delta_fields *ret, struct mb_err *err);
/*
 * -EBADMSG names the field. Allocates no more than the fields' lengths justify; a bitmap of removed
 * ranks, which compresses to nothing, makes 32 bytes of one: compare f->base with what is held
 * first.
 */
int mb_delta_decode(const struct mb_delta_fields *f, uint32_t bits, struct mb_delta *ret,
		    struct mb_err *err);

#endif
