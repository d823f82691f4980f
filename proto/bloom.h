/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bloom filters of fingerprints, as in the Memory Buddies paper (VEE 2009, section 3.2): m bits, of
 * which each digest sets k.
 *
 *	shared = ln(z_or m / (z_a z_b)) / (k (ln m - ln(m - 1)))	z: bits that are 0
 *
 * which is the paper's formula (1), with the zero bits of the OR, z_a + z_b - z_and, by their name.
 * It says what two VMs have in common, no more: not who of three has it, nor how many copies. Its
 * error follows from the same zeros: the variance of ln z_or - ln z_a - ln z_b, each of m bits
 * being set or not on its own.
 */
#ifndef MB_BLOOM_H
#define MB_BLOOM_H

#include <stdint.h>

#include "proto/base/err.h"
#include "proto/fingerprint.h"
#include "proto/sample.h"

enum { MB_BLOOM_BITS_MIN = 64, MB_BLOOM_HASHES_MAX = 16 };
#define MB_BLOOM_BITS_MAX ((uint64_t)1 << 32)

/*
 * Formula (1) and its error, 95 %. -ERANGE: a filter without a zero bit says nothing. `m_bits` and
 * zeros are counts.
 */
int mb_bloom_estimate(double m_bits, uint32_t k, double zeros_a, double zeros_b, double zeros_or,
		      struct mb_estimate *ret, struct mb_err *err);

struct mb_bloom {
	uint64_t *words; /* owned */
	uint64_t n_bits; /* a multiple of 64 */
	uint32_t k;
};

/* All bits 0. -EINVAL for sizes beyond the limits above; n_bits is rounded up to whole words. */
int mb_bloom_init(struct mb_bloom *b, uint64_t n_bits, uint32_t k, struct mb_err *err);
void mb_bloom_deinit(struct mb_bloom *b);
void mb_bloom_add(struct mb_bloom *b, uint64_t digest);
void mb_bloom_add_all(struct mb_bloom *b, const struct mb_fingerprint *fp);
/* -EINVAL: of another size or k. As the paper's fingerprint of a host: all that any of its VMs has.
 */
int mb_bloom_or(struct mb_bloom *to, const struct mb_bloom *from, struct mb_err *err);
uint64_t mb_bloom_zeros(const struct mb_bloom *b);
/* -EINVAL: of another size or k; -ERANGE as above. */
int mb_bloom_shared(const struct mb_bloom *a, const struct mb_bloom *b, struct mb_estimate *ret,
		    struct mb_err *err);

#endif
