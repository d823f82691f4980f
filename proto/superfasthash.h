/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SuperFastHash, 32 bits (Paul Hsieh, 2004): the hash of the seed project's traces, bit-exact.
 *
 * For comparison with old traces only: on structured pages it collides thousands of times more
 * often than 32 bits should. All in the header because the kernel module hashes with it, too.
 */
#ifndef MB_SUPERFASTHASH_H
#define MB_SUPERFASTHASH_H

#ifdef __KERNEL__
#include <linux/types.h>
#else
#include <stddef.h>
#include <stdint.h>
#endif

static inline uint32_t mb_superfasthash_le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

/* `len` in bytes, a multiple of 4 (a page always is). */
static inline uint32_t mb_superfasthash(const void *data, size_t len)
{
	const uint8_t *p = data, *end = p + (len & ~(size_t)3);
	uint32_t hash = (uint32_t)len;

	for (; p < end; p += 4) {
		hash += mb_superfasthash_le16(p);
		hash = (hash << 16) ^ ((mb_superfasthash_le16(p + 2) << 11) ^ hash);
		hash += hash >> 11;
	}
	hash ^= hash << 3;
	hash += hash >> 5;
	hash ^= hash << 4;
	hash += hash >> 17;
	hash ^= hash << 25;
	hash += hash >> 6;
	return hash;
}

#endif
