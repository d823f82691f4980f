// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/superfasthash.h"

static uint32_t le16(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}

uint32_t mb_superfasthash(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t hash = (uint32_t)len;

	for (const uint8_t *end = p + (len & ~(size_t)3); p < end; p += 4) {
		hash += le16(p);
		hash = (hash << 16) ^ ((le16(p + 2) << 11) ^ hash);
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
