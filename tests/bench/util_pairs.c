// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/util_pairs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "server/ctl/load.h"
#include "tests/bench/util_bench.h"

enum { SYNTHETIC_PAGES = 262144 };

static int load(const char *path, uint32_t bits, struct mb_fingerprint *ret, struct mb_err *err)
{
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	int r = mb_load_trace(&loads, path, true, NULL, err);

	return r < 0 ? r : mb_load_as_sent(&loads.items[loads.n - 1], bits, ret, &bits, err);
}

/* Lines of decimal digits, as many bytes as the digests' raw hashes take. */
static uint64_t text_bytes(const char *path)
{
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	struct mb_err err = { 0 };
	const struct mb_fingerprint *fp;
	uint64_t bytes = 0;
	uint32_t at = 0;

	bench_must(mb_load_trace(&loads, path, true, NULL, &err), &err);
	fp = &loads.items[loads.n - 1].fingerprint;
	for (uint32_t i = 0; i < fp->n_distinct; i++) {
		char line[24];
		int n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)fp->digests[i]);

		bytes += (uint64_t)n * mb_fingerprint_copies(fp, &at, i);
	}
	return bytes;
}

static bool real_pair(const char *folder, const char *trace, unsigned int first, uint32_t bits,
		      struct bench_pair *ret)
{
	struct mb_err err = { 0 };
	char from[512], to[512];

	snprintf(from, sizeof(from), "%s/%s/VM1.txt%u.zst", folder, trace, first);
	snprintf(to, sizeof(to), "%s/%s/VM1.txt%u.zst", folder, trace, first + 1);
	if (access(from, R_OK) != 0 || access(to, R_OK) != 0)
		return false;
	snprintf(ret->name, sizeof(ret->name), "%s, snapshot %u to %u", trace, first, first + 1);
	bench_must(load(from, bits, &ret->from, &err), &err);
	bench_must(load(to, bits, &ret->to, &err), &err);
	ret->seed_text_bytes = text_bytes(to);
	return true;
}

/* The i-th page's content. One in eight is a copy of another. */
static uint64_t content(uint64_t tag, uint64_t i, uint32_t bits)
{
	return mb_mix64(tag << 40 | (i % 8 == 7 ? i / 16 : i)) >> (64 - bits);
}

static void synthetic(uint64_t tag, uint32_t pages, uint32_t changed_percent, uint32_t bits,
		      struct mb_fingerprint *ret)
{
	mb_autofree uint64_t *d = bench_alloc(pages * sizeof(*d));
	struct mb_err err = { 0 };

	for (uint32_t i = 0; i < pages; i++) {
		bool changed = mb_mix64(i ^ 0x5bd1e995) % 100 < changed_percent;

		d[i] = content(changed ? tag + 1 : tag, i, bits);
	}
	bench_must(mb_fingerprint_from_digests(ret, d, pages, &err), &err);
}

static void synthetic_pair(uint32_t changed_percent, uint32_t bits, struct bench_pair *ret)
{
	snprintf(ret->name, sizeof(ret->name), "made up, %u %% of %u pages changed",
		 changed_percent, SYNTHETIC_PAGES);
	synthetic(1, SYNTHETIC_PAGES, 0, bits, &ret->from);
	synthetic(1, SYNTHETIC_PAGES, changed_percent, bits, &ret->to);
}

size_t bench_pairs(struct bench_pair pairs[BENCH_PAIRS_MAX], uint32_t bits)
{
	const char *folder = getenv("MB_TRACES");
	size_t n = 0;

	memset(pairs, 0, BENCH_PAIRS_MAX * sizeof(*pairs));
	if (folder) {
		n += real_pair(folder, "Trace3", 0, bits, &pairs[n]);
		n += real_pair(folder, "Trace4", 0, bits, &pairs[n]);
		n += real_pair(folder, "kernelBuild", 0, bits, &pairs[n]);
		if (!n)
			fprintf(stderr, "MB_TRACES: no traces in %s\n", folder);
	}
	synthetic_pair(2, bits, &pairs[n++]);
	synthetic_pair(20, bits, &pairs[n++]);
	return n;
}

void bench_pairs_free(struct bench_pair *pairs, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		mb_fingerprint_deinit(&pairs[i].from);
		mb_fingerprint_deinit(&pairs[i].to);
	}
}
