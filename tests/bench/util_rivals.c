// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/util_rivals.h"

#include <math.h>
#include <roaring/roaring.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"
#include "tests/bench/util_bench.h"

/* --- sorted lists ----------------------------------------------------------------------------- */

static uint32_t merge_count(const struct mb_digest_list *a, const struct mb_digest_list *b)
{
	uint32_t i = 0, j = 0, both = 0;

	/* Without a branch that cannot be predicted. */
	while (i < a->n && j < b->n) {
		uint64_t x = a->digests[i], y = b->digests[j];

		both += x == y;
		i += x <= y;
		j += y <= x;
	}
	return both;
}

void rival_merge(const struct mb_digest_list *lists, uint32_t n, double *ret_inter)
{
	for (uint32_t i = 0; i < n; i++)
		for (uint32_t j = i + 1; j < n; j++)
			ret_inter[i * n + j] = merge_count(&lists[i], &lists[j]);
}

static uint32_t merge_two(const struct mb_digest_list *a, const struct mb_digest_list *b,
			  uint64_t *to)
{
	uint32_t i = 0, j = 0, n = 0;

	while (i < a->n && j < b->n) {
		uint64_t x = a->digests[i], y = b->digests[j];

		to[n++] = x < y ? x : y;
		i += x <= y;
		j += y <= x;
	}
	while (i < a->n)
		to[n++] = a->digests[i++];
	while (j < b->n)
		to[n++] = b->digests[j++];
	return n;
}

/* Level by level, so that each list is read log2(n) times. */
uint64_t rival_union(const struct mb_digest_list *lists, uint32_t n)
{
	mb_autofree struct mb_digest_list *runs = bench_alloc(n * sizeof(*runs));
	mb_autofree uint64_t **owned = bench_alloc(n * sizeof(*owned));

	memcpy(runs, lists, n * sizeof(*runs));
	for (; n > 1; n = (n + 1) / 2)
		for (uint32_t k = 0; k < n; k += 2) {
			struct mb_digest_list a = runs[k], b = { NULL, 0 };
			uint64_t *merged;

			if (k + 1 < n)
				b = runs[k + 1];
			merged = bench_alloc(((size_t)a.n + b.n) * sizeof(*merged));
			runs[k / 2].n = merge_two(&a, &b, merged);
			runs[k / 2].digests = merged;
			free(owned[k]);
			if (k + 1 < n)
				free(owned[k + 1]);
			owned[k] = NULL;
			owned[k / 2] = merged;
		}
	n = runs[0].n;
	free(owned[0]);
	return n;
}

/* --- CRoaring --------------------------------------------------------------------------------- */

struct rival_roaring {
	uint32_t n;
	roaring_bitmap_t **sets;
};

struct rival_roaring *rival_roaring_make(const struct mb_digest_list *lists, uint32_t n)
{
	struct rival_roaring *r = bench_alloc(sizeof(*r));

	r->n = n;
	r->sets = bench_alloc(n * sizeof(*r->sets));
	for (uint32_t v = 0; v < n; v++) {
		mb_autofree uint32_t *high = bench_alloc(lists[v].n * sizeof(*high));

		for (uint32_t i = 0; i < lists[v].n; i++)
			high[i] = (uint32_t)(lists[v].digests[i] >> 32);
		r->sets[v] = roaring_bitmap_of_ptr(lists[v].n, high);
		roaring_bitmap_shrink_to_fit(r->sets[v]);
	}
	return r;
}

void rival_roaring_free(struct rival_roaring *r)
{
	for (uint32_t v = 0; v < r->n; v++)
		roaring_bitmap_free(r->sets[v]);
	free(r->sets);
	free(r);
}

void rival_roaring_compare(const struct rival_roaring *r, double *ret_inter)
{
	for (uint32_t i = 0; i < r->n; i++)
		for (uint32_t j = i + 1; j < r->n; j++)
			ret_inter[i * r->n + j] =
				(double)roaring_bitmap_and_cardinality(r->sets[i], r->sets[j]);
}

/* Serialized: in memory each container of a few keys has a block of its own beside it. */
uint64_t rival_roaring_bytes(const struct rival_roaring *r)
{
	uint64_t bytes = 0;

	for (uint32_t v = 0; v < r->n; v++)
		bytes += roaring_bitmap_portable_size_in_bytes(r->sets[v]);
	return bytes;
}

/* --- Bloom filters ---------------------------------------------------------------------------- */

struct rival_bloom {
	uint32_t n;
	size_t words; /* of a filter */
	uint64_t *filters;
	double *zeros; /* of each */
};

/* As fast as this CPU can. */
__attribute__((target_clones("arch=icelake-server", "popcnt", "default"),
	       optimize("O3"))) static uint64_t
count_and(const uint64_t *a, const uint64_t *b, size_t words)
{
	uint64_t n = 0;

	for (size_t i = 0; i < words; i++)
		n += (uint64_t)__builtin_popcountll(a[i] & b[i]);
	return n;
}

struct rival_bloom *rival_bloom_make(const struct mb_digest_list *lists, uint32_t n,
				     double bits_per_page)
{
	struct rival_bloom *b = bench_alloc(sizeof(*b));

	b->n = n;
	for (uint32_t v = 0; v < n; v++)
		b->words = MB_MAX(b->words, (size_t)(lists[v].n * bits_per_page / 64) + 1);
	b->filters = bench_alloc(n * b->words * sizeof(*b->filters));
	b->zeros = bench_alloc(n * sizeof(*b->zeros));
	for (uint32_t v = 0; v < n; v++) {
		uint64_t *filter = b->filters + v * b->words;
		unsigned __int128 bits = (unsigned __int128)b->words * 64;

		for (uint32_t i = 0; i < lists[v].n; i++) {
			size_t bit = (size_t)(bits * mb_mix64(lists[v].digests[i]) >> 64);

			filter[bit / 64] |= (uint64_t)1 << bit % 64;
		}
		b->zeros[v] = (double)(b->words * 64 - count_and(filter, filter, b->words));
	}
	return b;
}

void rival_bloom_free(struct rival_bloom *b)
{
	free(b->filters);
	free(b->zeros);
	free(b);
}

void rival_bloom_compare(const struct rival_bloom *b, double *ret_inter)
{
	double m = (double)b->words * 64, per_page = log(m) - log(m - 1);

	for (uint32_t i = 0; i < b->n; i++)
		for (uint32_t j = i + 1; j < b->n; j++) {
			double ones = (double)count_and(b->filters + i * b->words,
							b->filters + j * b->words, b->words);
			double z1 = b->zeros[i], z2 = b->zeros[j];

			ret_inter[i * b->n + j] =
				(log(z1 + z2 - (m - ones)) - log(z1) - log(z2) + log(m)) / per_page;
		}
}

uint64_t rival_bloom_bytes(const struct rival_bloom *b)
{
	return b->n * b->words * sizeof(*b->filters);
}
