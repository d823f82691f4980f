// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bpf_drain.h"

#include <string.h>

/* Most words are 0: to look costs less than to swap. */
static uint64_t take(uint64_t *word)
{
	if (!__atomic_load_n(word, __ATOMIC_RELAXED))
		return 0;
	return __atomic_exchange_n(word, 0, __ATOMIC_SEQ_CST);
}

uint64_t mb_bpf_drain_bits(uint64_t *map, size_t n_words, uint64_t *ret)
{
	uint64_t flagged = 0;

	for (size_t i = 0; i < n_words; i++) {
		ret[i] = take(&map[i]);
		flagged += (uint64_t)__builtin_popcountll(ret[i]);
	}
	return flagged;
}

uint64_t mb_bpf_drain_bytes(uint64_t *map, size_t n_words, uint64_t *ret)
{
	uint64_t flagged = 0;

	memset(ret, 0, (n_words + 7) / 8 * sizeof(*ret));
	for (size_t i = 0; i < n_words; i++) {
		/* The lowest bit of each byte, gathered in the highest byte. */
		uint64_t bytes = take(&map[i]), bits;

		if (!bytes)
			continue;
		bits = (bytes & 0x0101010101010101) * 0x0102040810204080 >> 56;
		ret[i / 8] |= bits << (i % 8 * 8);
		flagged += (uint64_t)__builtin_popcountll(bits);
	}
	return flagged;
}
