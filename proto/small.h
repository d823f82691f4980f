/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What an agent may send in the place of all digests: a sample of them (sample.h), or all of them
 * cut to a Bloom filter (cut.h). One face for both, for who carries and keeps them.
 */
#ifndef MB_SMALL_H
#define MB_SMALL_H

#include <stdbool.h>

#include "proto/sample.h"

/* Neither of both. */
static inline bool mb_small_is_all(const struct mb_sample_of *of)
{
	return !of->shift && !of->cut_bits;
}

/* Made in the same way: one may be the other's base. */
static inline bool mb_small_alike(const struct mb_sample_of *a, const struct mb_sample_of *b)
{
	return a->shift == b->shift && a->cut_bits == b->cut_bits;
}

/* Bits of each digest, of `bits` of the identity's. */
static inline uint32_t mb_small_bits(const struct mb_sample_of *of, uint32_t bits)
{
	return of->cut_bits ? of->cut_bits : bits;
}

/* In the way of how->shift and cut_bits; *ret_of says what of. `ret` is given storage. */
int mb_small_make(const struct mb_fingerprint *whole, const struct mb_identity *id,
		  const struct mb_sample_of *how, struct mb_fingerprint *ret,
		  struct mb_sample_of *ret_of, struct mb_err *err);
/* As mb_sample_check(), of either kind; nothing to check where it is all. */
int mb_small_check(const struct mb_fingerprint *fp, const struct mb_sample_of *of,
		   const struct mb_identity *id, struct mb_err *err);
/*
 * Pages gained and lost from one to the next, made alike: as mb_sample_change() of a sample; of cut
 * digests, distinct ones, 0 where the filter is full.
 */
void mb_small_change(const struct mb_fingerprint *from, const struct mb_sample_of *from_of,
		     const struct mb_fingerprint *to, const struct mb_sample_of *to_of,
		     uint32_t bits, uint64_t *ret_gained, uint64_t *ret_lost);
/* "all", "a sample of 1 in 16", "digests cut to 20 bits" */
enum { MB_SMALL_TEXT = 48 };
void mb_small_text(const struct mb_sample_of *of, char ret[MB_SMALL_TEXT]);

#endif
