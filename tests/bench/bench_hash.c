// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a page's digest costs, next to reading the page once. usage: bench_hash [--json]
 * Pages are of more memory than caches hold.
 */
#include "proto/base/cleanup.h"
#include "proto/digest.h"
#include "proto/multiset_hash.h"
#include "tests/bench/util_bench.h"

enum { PAGES = 65536 }; /* 256 MiB */

struct pages {
	uint8_t *data;
	uint64_t *digests;
	struct mb_digester digester;
	uint64_t sum; /* so that reading is not optimised away */
};

/* Four sums at a time: one would wait for itself. */
static void read_once(void *ctx)
{
	typedef uint64_t vector __attribute__((vector_size(64)));
	struct pages *p = ctx;
	const vector *v = (const vector *)(const void *)p->data;
	vector sum[4] = { 0 };

	for (size_t i = 0; i < (size_t)PAGES * MB_PAGE_BYTES / sizeof(*v); i += 4)
		for (size_t k = 0; k < 4; k++)
			sum[k] += v[i + k];
	for (size_t k = 0; k < 4; k++)
		p->sum += sum[k][0];
}

static void raw(struct pages *p, enum mb_algorithm algorithm)
{
	for (size_t i = 0; i < PAGES; i++)
		p->digests[i] = mb_raw_hash(algorithm, p->data + i * MB_PAGE_BYTES, MB_PAGE_BYTES);
}

static void xxh64(void *ctx)
{
	raw(ctx, MB_XXH64);
}

static void superfasthash(void *ctx)
{
	raw(ctx, MB_SUPERFASTHASH32);
}

static void keyed(void *ctx)
{
	struct pages *p = ctx;

	raw(p, MB_XXH64);
	mb_blind(&p->digester, p->digests, PAGES);
}

int main(int argc, char **argv)
{
	static const uint8_t key[MB_KEY_BYTES] = "a benchmark's";
	struct bench_options o = { .rounds = 9 };
	struct pages p = { .data = aligned_alloc(MB_PAGE_BYTES, (size_t)PAGES * MB_PAGE_BYTES),
			   .digests = bench_alloc(PAGES * sizeof(uint64_t)) };
	struct bench_case cases[] = {
		{ "reading memory once", read_once, &p, PAGES, 0 },
		{ "XXH64", xxh64, &p, PAGES, 0 },
		{ "XXH64, keyed (SipHash of it): a digest", keyed, &p, PAGES, 0 },
		{ "SuperFastHash-32 (the seed project's)", superfasthash, &p, PAGES, 0 },
	};
	struct bench_report report;
	struct mb_err err = { 0 };

	argp_parse(&bench_argp, argc, argv, 0, NULL, &o);
	if (!p.data)
		bench_must(mb_fail_mem(&err, "the pages"), &err);
	for (size_t i = 0; i < (size_t)PAGES * MB_PAGE_BYTES / 8; i++)
		((uint64_t *)(void *)p.data)[i] = mb_mix64(i);
	bench_must(mb_digester_init(&p.digester, MB_XXH64, MB_PAGE_BYTES, 64, "bench", key, &err),
		   &err);
	bench_run(cases, MB_ARRAY_LEN(cases), o.rounds, CLOCK_PROCESS_CPUTIME_ID);
	bench_begin(&report, &o, "hash", "256 MiB of random pages, one core", cases[0].what);
	bench_rows(&report, cases, MB_ARRAY_LEN(cases), "ns a page");
	free(p.data);
	free(p.digests);
	return p.sum == 0;
}
