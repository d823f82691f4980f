// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/bloom.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"

/* Of the normal distribution: 95 % are within so many standard deviations. */
static const double z = 1.959964;

int mb_bloom_estimate(double m_bits, uint32_t k, double zeros_a, double zeros_b, double zeros_or,
		      struct mb_estimate *ret, struct mb_err *err)
{
	double scale = k * (log(m_bits) - log(m_bits - 1)), load, variance;

	*ret = (struct mb_estimate){ 0 };
	if (zeros_or < 1)
		return mb_fail(err, ERANGE, "a Bloom filter of %.0f bits is full", m_bits);
	ret->pages = log(zeros_or * m_bits / (zeros_a * zeros_b)) / scale;
	/* Chance makes filters that share nothing differ by less than they should. */
	ret->pages = MB_MAX(ret->pages, 0);
	load = ret->pages * k / m_bits;
	variance =
		m_bits / zeros_or - m_bits / zeros_a - m_bits / zeros_b + 2 * exp(load) - 1 - load;
	ret->error_pages = z * sqrt(MB_MAX(variance, 0) * m_bits) / k;
	return 0;
}

int mb_bloom_init(struct mb_bloom *b, uint64_t n_bits, uint32_t k, struct mb_err *err)
{
	*b = (struct mb_bloom){ 0 };
	if (n_bits < MB_BLOOM_BITS_MIN || n_bits > MB_BLOOM_BITS_MAX || !k ||
	    k > MB_BLOOM_HASHES_MAX)
		return mb_fail(err, EINVAL,
			       "a Bloom filter of %" PRIu64 " bits, %" PRIu32 " hashes", n_bits, k);
	b->n_bits = (n_bits + 63) / 64 * 64;
	b->k = k;
	b->words = calloc(b->n_bits / 64, sizeof(*b->words));
	return b->words ? 0 : mb_fail_mem(err, "a Bloom filter");
}

void mb_bloom_deinit(struct mb_bloom *b)
{
	free(b->words);
	*b = (struct mb_bloom){ 0 };
}

void mb_bloom_add(struct mb_bloom *b, uint64_t digest)
{
	for (uint32_t i = 0; i < b->k; i++) {
		/* Raw SuperFastHash is far from random: mixed, it does no harm. */
		uint64_t hash = mb_mix64(digest + i * 0x9e3779b97f4a7c15u);
		uint64_t bit = (uint64_t)(((__uint128_t)hash * b->n_bits) >> 64);

		b->words[bit / 64] |= (uint64_t)1 << bit % 64;
	}
}

void mb_bloom_add_all(struct mb_bloom *b, const struct mb_fingerprint *fp)
{
	for (uint32_t i = 0; i < fp->n_distinct; i++)
		mb_bloom_add(b, fp->digests[i]);
}

static int check_alike(const struct mb_bloom *a, const struct mb_bloom *b, struct mb_err *err)
{
	if (a->n_bits == b->n_bits && a->k == b->k)
		return 0;
	return mb_fail(err, EINVAL,
		       "Bloom filters of %" PRIu64 " bits, %" PRIu32 " hashes, and of %" PRIu64
		       ", %" PRIu32,
		       a->n_bits, a->k, b->n_bits, b->k);
}

int mb_bloom_or(struct mb_bloom *to, const struct mb_bloom *from, struct mb_err *err)
{
	int r = check_alike(to, from, err);

	for (uint64_t i = 0; r == 0 && i < to->n_bits / 64; i++)
		to->words[i] |= from->words[i];
	return r;
}

static uint64_t ones(uint64_t word)
{
	return (uint64_t)__builtin_popcountll(word);
}

uint64_t mb_bloom_zeros(const struct mb_bloom *b)
{
	uint64_t set = 0;

	for (uint64_t i = 0; i < b->n_bits / 64; i++)
		set += ones(b->words[i]);
	return b->n_bits - set;
}

int mb_bloom_shared(const struct mb_bloom *a, const struct mb_bloom *b, struct mb_estimate *ret,
		    struct mb_err *err)
{
	uint64_t set_a = 0, set_b = 0, set_or = 0;
	int r = check_alike(a, b, err);

	if (r < 0)
		return r;
	for (uint64_t i = 0; i < a->n_bits / 64; i++) {
		set_a += ones(a->words[i]);
		set_b += ones(b->words[i]);
		set_or += ones(a->words[i] | b->words[i]);
	}
	return mb_bloom_estimate((double)a->n_bits, a->k, (double)(a->n_bits - set_a),
				 (double)(a->n_bits - set_b), (double)(a->n_bits - set_or), ret,
				 err);
}
