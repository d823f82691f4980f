/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests cut to their high b bits: a Bloom filter of 2^b bits with one hash function (bloom.h),
 * kept as the list of the bits that are set.
 *
 *	digest 0x5c81...  --cut to 20 bits-->  0x5c81f: bit 0x5c81f of 1048576 is set
 *
 * One hash function is the best number for comparing two VMs, and this list is a fingerprint like
 * any other, of short digests with one copy each: deltas, hash, store and acks work on it as they
 * are, and what changes from epoch to epoch is all that is sent. Since the high bits are kept,
 * filters of two sizes can be compared at the smaller one's, and a filter with a sample (sample.h)
 * over the sample's part of the space.
 */
#ifndef MB_CUT_H
#define MB_CUT_H

#include "proto/bloom.h"

/* Numbers are part of the format (FORMAT.md). */
enum { MB_CUT_BITS_MIN = 16, MB_CUT_BITS_MAX = 31 };

/* As many bits as leave three in four 0, or more. */
uint32_t mb_cut_bits_for(uint64_t distinct);

/* `bits` of each digest are there; cut_bits of them are kept. `ret` is given storage. */
int mb_cut_make(const struct mb_fingerprint *fp, uint32_t bits, uint32_t cut_bits,
		struct mb_fingerprint *ret, struct mb_err *err);

/* One of two VMs: what is held of it. */
struct mb_cut_side {
	const struct mb_fingerprint *fp;
	uint32_t bits;	/* of each of its digests */
	uint32_t shift; /* fp is a sample of 1 in 2^this */
	uint64_t
		distinct; /* digests that the VM has; in a sample no more than that are looked at */
};

/*
 * |A n B| of which at least one is cut, at `cut_bits`: no more than either side's bits. -ERANGE:
 * the filter is full.
 */
int mb_cut_pair(const struct mb_cut_side *a, const struct mb_cut_side *b, uint32_t cut_bits,
		struct mb_estimate *ret, struct mb_err *err);
/* The same from the bits that are set, within the first 2^cut_bits >> the coarser shift. */
int mb_cut_estimate(const struct mb_cut_side *a, const struct mb_cut_side *b, uint32_t cut_bits,
		    uint64_t set_a, uint64_t set_b, uint64_t set_or, struct mb_estimate *ret,
		    struct mb_err *err);

#endif
