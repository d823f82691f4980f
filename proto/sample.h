/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A sample of a fingerprint by digest threshold, and what it says of the whole.
 *
 *	rank    0 . . . . . n_light | . . . . . . . . . . . . . n_distinct
 *	digest  <= last = max >> shift |  * only those with >= 64 copies: "heavy"
 *
 * Digests are as good as random, so those up to a threshold are a sample of 1 in 2^shift of all
 * contents, and of every set of contents that VMs have in common: two samples may be compared at
 *the coarser one's threshold. It is of distinct digests, never of pages: a zero page drawn or not
 *would ruin it. What has many copies is kept whatever its digest, so that counts of copies are near
 * exact. In a sorted list the sample proper is what comes first.
 *
 * Estimates come with an error, half the width of a 95 % interval: score interval of a binomial
 * draw (Wilson), so that it holds for few or no hits, too. Pure; rates are 1 / 2^shift.
 */
#ifndef MB_SAMPLE_H
#define MB_SAMPLE_H

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/digest.h"
#include "proto/fingerprint.h"

/* Numbers are part of the format (FORMAT.md). */
enum { MB_SAMPLE_SHIFT_MAX = 16, MB_SAMPLE_HEAVY_COPIES = 64 };

/* How a fingerprint was made smaller (small.h), and what is known of the whole, exactly. */
struct mb_sample_of {
	uint32_t shift;	   /* 1 in 2^this; 0: no sample */
	uint64_t pages;	   /* copies included */
	uint32_t distinct; /* digests */
	uint32_t zero;	   /* copies of the zero page */
	uint32_t cut_bits; /* bits that each digest was cut to (cut.h); 0: not cut */
};

/* The largest digest of the sample proper; shift 0: of the identity. */
static inline uint64_t mb_sample_last(uint32_t bits, uint32_t shift)
{
	return mb_digest_max(bits) >> shift;
}

/* How many of these ascending digests are in the sample proper: the first ones. O(log n). */
uint32_t mb_sample_light(const uint64_t *digests, uint32_t n, uint64_t last);

/* The sample as a fingerprint: the sample proper and what is heavy. `ret` is given storage. */
int mb_sample_make(const struct mb_fingerprint *fp, uint32_t bits, uint32_t shift,
		   struct mb_fingerprint *ret, struct mb_err *err);
struct mb_sample_of mb_sample_of(const struct mb_fingerprint *whole, uint64_t zero_digest,
				 uint32_t shift);
/*
 * Checks what came from outside: -EBADMSG for a digest that is in no such sample, and for a whole
 * that cannot be that of this sample.
 */
int mb_sample_check(const struct mb_fingerprint *sample, const struct mb_sample_of *of,
		    uint32_t bits, uint64_t zero_digest, struct mb_err *err);
/* As mb_fingerprint_self_sharing(), of the whole. */
void mb_sample_self_sharing(const struct mb_sample_of *of, struct mb_self_sharing *ret);
/*
 * Pages gained and lost from one sample to the next of the same rate, as in mb_pair_sharing: what
 * has many copies counts as it is, but for 63 copies where it had or has too few to be seen; the
 * rest for 2^shift.
 */
void mb_sample_change(const struct mb_fingerprint *from, const struct mb_fingerprint *to,
		      uint32_t bits, uint32_t shift, uint64_t *ret_gained, uint64_t *ret_lost);

/* A figure of the whole, in pages. At shift 0 it is exact, error 0. */
struct mb_estimate {
	double pages, error_pages; /* 95 %: the truth is within pages -/+ error_pages */
};

/*
 * The error of a sum of e_d over the digests d of a sample, brought up by 2^shift: `squares` is the
 * sum of e_d^2 over the sample, `largest` the largest |e_d|.
 */
double mb_sample_error(double squares, double largest, uint32_t shift);

/* `n` of the sample's digests have a property. How many do of all? */
struct mb_estimate mb_sample_count(uint64_t n, uint32_t shift);

/*
 * The same where it is known what all are: n of `light`, the sample of `distinct`. Never more than
 * distinct.
 */
struct mb_estimate mb_sample_part(uint64_t n, uint64_t light, uint64_t distinct, uint32_t shift);

/* One of two VMs, at the common threshold: digests of the sample proper, and of the whole. */
struct mb_sample_size {
	uint64_t light, distinct;
};
/*
 * |A n B| of which `both` are in the sample. That the sizes are known takes away most of the error
 * of VMs that are much alike.
 */
struct mb_estimate mb_sample_pair(struct mb_sample_size a, struct mb_sample_size b, uint64_t both,
				  uint32_t shift);

#endif
