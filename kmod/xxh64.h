/* SPDX-License-Identifier: GPL-2.0 */
/*
 * XXH64 with seed 0, for pages and parts of them only. Our own port of Yann Collet's algorithm
 * (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md), since Linux 4.1 has no lib/xxhash and
 * later kernels need not have it built. Compiles in user space, too: that is where it is tested.
 */
#ifndef MBWALK_XXH64_H
#define MBWALK_XXH64_H

#ifdef __KERNEL__
#include <linux/types.h>
#include <asm/byteorder.h>
#define MBWALK_LE64(p) __le64_to_cpup((const __le64 *)(p))
#else
#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#define MBWALK_LE64(p) le64toh(*(const uint64_t *)(p))
#endif

#define MBWALK_PRIME1 0x9e3779b185ebca87ull
#define MBWALK_PRIME2 0xc2b2ae3d27d4eb4full
#define MBWALK_PRIME3 0x165667b19e3779f9ull
#define MBWALK_PRIME4 0x85ebca77c2b2ae63ull

static inline uint64_t mbwalk_rotl(uint64_t v, unsigned int bits)
{
	return v << bits | v >> (64 - bits);
}

static inline uint64_t mbwalk_round(uint64_t acc, uint64_t lane)
{
	return mbwalk_rotl(acc + lane * MBWALK_PRIME2, 31) * MBWALK_PRIME1;
}

static inline uint64_t mbwalk_merge(uint64_t hash, uint64_t acc)
{
	return (hash ^ mbwalk_round(0, acc)) * MBWALK_PRIME1 + MBWALK_PRIME4;
}

/* `data` is aligned to 8, `len` a multiple of 32 and at least that: no tail is left over. */
static inline uint64_t mbwalk_xxh64(const void *data, size_t len)
{
	const uint64_t *p = data, *end = p + len / sizeof(*p);
	uint64_t a = MBWALK_PRIME1 + MBWALK_PRIME2, b = MBWALK_PRIME2, c = 0, d = -MBWALK_PRIME1;
	uint64_t hash;

	for (; p < end; p += 4) {
		a = mbwalk_round(a, MBWALK_LE64(p));
		b = mbwalk_round(b, MBWALK_LE64(p + 1));
		c = mbwalk_round(c, MBWALK_LE64(p + 2));
		d = mbwalk_round(d, MBWALK_LE64(p + 3));
	}
	hash = mbwalk_rotl(a, 1) + mbwalk_rotl(b, 7) + mbwalk_rotl(c, 12) + mbwalk_rotl(d, 18);
	hash = mbwalk_merge(hash, a);
	hash = mbwalk_merge(hash, b);
	hash = mbwalk_merge(hash, c);
	hash = mbwalk_merge(hash, d);
	hash += len;
	hash ^= hash >> 33;
	hash *= MBWALK_PRIME2;
	hash ^= hash >> 29;
	hash *= MBWALK_PRIME3;
	hash ^= hash >> 32;
	return hash;
}

#endif
