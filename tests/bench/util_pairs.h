/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two fingerprints of one VM, some time apart: real ones where MB_TRACES names the folder of the
 * traces (docs/performance.md), always some that are made up.
 */
#ifndef MB_UTIL_PAIRS_H
#define MB_UTIL_PAIRS_H

#include "proto/fingerprint.h"

enum { BENCH_PAIRS_MAX = 8 };

struct bench_pair {
	char name[64];
	struct mb_fingerprint from, to;
	uint64_t seed_text_bytes; /* of `to` as the seed project sent it; 0: made up */
};

/* Digests of 64 or 48 bits. Returns how many there are; ends the program on error. */
size_t bench_pairs(struct bench_pair pairs[BENCH_PAIRS_MAX], uint32_t bits);
void bench_pairs_free(struct bench_pair *pairs, size_t n);

#endif
