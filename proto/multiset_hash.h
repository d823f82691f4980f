/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The digest of a whole fingerprint, kept up to date digest by digest.
 *
 * H(M) = sum over the digests d in M of copies(d) * h(d), h a fixed mix of 64 bits to 2 x 64, sums
 * modulo 2^64 each (Clarke et al., "Incremental multiset hash functions", ASIACRYPT 2003, MSet-Add-
 * Hash). Order does not matter, adding and taking away undo each other, and two fingerprints that
 * differ by accident agree with probability 2^-128. It guards against loss and bugs, not against
 * an agent that lies about its own VM.
 */
#ifndef MB_MULTISET_HASH_H
#define MB_MULTISET_HASH_H

#include <stdbool.h>
#include <stdint.h>

#define MB_MULTISET_HASH_BYTES 16

struct mb_multiset_hash {
	uint64_t lo, hi;
};

static inline uint64_t mb_mix64(uint64_t v)
{
	/* The finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014). */
	v = (v ^ (v >> 30)) * 0xbf58476d1ce4e5b9u;
	v = (v ^ (v >> 27)) * 0x94d049bb133111ebu;
	return v ^ (v >> 31);
}

/* `copies` may be "negative": it is taken modulo 2^64. */
static inline void mb_multiset_hash_add(struct mb_multiset_hash *h, uint64_t digest,
					uint64_t copies)
{
	h->lo += copies * mb_mix64(digest + 0x9e3779b97f4a7c15u);
	h->hi += copies * mb_mix64(digest ^ 0xd1b54a32d192ed03u);
}

static inline bool mb_multiset_hash_equal(struct mb_multiset_hash a, struct mb_multiset_hash b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

#endif
