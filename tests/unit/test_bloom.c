// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/bloom.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

enum { TRIES = 200, CONTENTS = 3000, BITS = 10240 };

static uint64_t content(uint64_t seed, uint64_t i)
{
	return mb_mix64(mb_mix64(seed + 1) ^ (i + 1));
}

/* Contents [first, first + n) of a stream of random ones. */
static void fill(struct mb_bloom *b, uint64_t seed, uint64_t first, uint64_t n, uint32_t k)
{
	struct mb_err err = { 0 };

	assert_ok(mb_bloom_init(b, BITS, k, &err), &err);
	for (uint64_t i = first; i < first + n; i++)
		mb_bloom_add(b, content(seed, i));
}

/* The paper's formula as it is printed. */
static void test_is_formula_1(void **state)
{
	double m = 753664, z1 = 555555, z2 = 544444, z12 = 622222;
	struct mb_estimate e;
	struct mb_err err = { 0 };

	(void)state;
	for (uint32_t k = 1; k <= 4; k++) {
		double paper =
			(log(z1 + z2 - z12) - log(z1 * z2) + log(m)) / (k * (log(m) - log(m - 1)));

		assert_ok(mb_bloom_estimate(m, k, z1, z2, z1 + z2 - z12, &e, &err), &err);
		assert_true(fabs(e.pages - paper) < 1e-6 * paper);
	}
}

static void test_bits(void **state)
{
	struct mb_bloom a, b;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_bloom_init(&a, 65, 3, &err), &err);
	assert_int_equal(a.n_bits, 128);
	assert_int_equal(mb_bloom_zeros(&a), 128);
	mb_bloom_add(&a, 1);
	assert_int_equal(mb_bloom_zeros(&a), 125);
	/* The same once more is the same. */
	mb_bloom_add(&a, 1);
	assert_int_equal(mb_bloom_zeros(&a), 125);
	assert_ok(mb_bloom_init(&b, 128, 3, &err), &err);
	assert_ok(mb_bloom_or(&b, &a, &err), &err);
	assert_memory_equal(a.words, b.words, 16);
	mb_bloom_deinit(&b);
	assert_ok(mb_bloom_init(&b, 192, 3, &err), &err);
	assert_fails(mb_bloom_or(&b, &a, &err), EINVAL, &err, "192 bits, 3 hashes, and of 128, 3");
	assert_fails(mb_bloom_shared(&a, &b, &(struct mb_estimate){ 0 }, &err), EINVAL, &err,
		     "128 bits");
	mb_bloom_deinit(&a);
	mb_bloom_deinit(&b);
	assert_fails(mb_bloom_init(&a, 63, 1, &err), EINVAL, &err, "63 bits");
	assert_fails(mb_bloom_init(&a, MB_BLOOM_BITS_MAX + 1, 1, &err), EINVAL, &err, "bits");
	assert_fails(mb_bloom_init(&a, 64, 0, &err), EINVAL, &err, "0 hashes");
	assert_fails(mb_bloom_init(&a, 64, 17, &err), EINVAL, &err, "17 hashes");
}

static void test_full_filter_says_nothing(void **state)
{
	struct mb_estimate e;
	struct mb_bloom a;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_bloom_init(&a, 64, 1, &err), &err);
	for (uint64_t i = 0; i < 2000; i++)
		mb_bloom_add(&a, i);
	assert_fails(mb_bloom_shared(&a, &a, &e, &err), ERANGE, &err, "64 bits is full");
	mb_bloom_deinit(&a);
}

/* Right on average, and the error holds in 95 of 100 cases but is no wider than it must be. */
static void test_estimates(void **state)
{
	static const uint64_t shared[] = { 0, 30, 600, 1500, 3000 };

	(void)state;
	for (uint32_t k = 1; k <= 4; k += 3) {
		for (size_t i = 0; i < MB_ARRAY_LEN(shared); i++) {
			double sum = 0, error = 0;
			unsigned int within = 0;

			for (uint64_t seed = 0; seed < TRIES; seed++) {
				struct mb_estimate e;
				struct mb_bloom a, b;
				struct mb_err err = { 0 };

				fill(&a, seed, 0, CONTENTS, k);
				fill(&b, seed, CONTENTS - shared[i], CONTENTS, k);
				assert_ok(mb_bloom_shared(&a, &b, &e, &err), &err);
				sum += e.pages / TRIES;
				error += e.error_pages / TRIES;
				within += fabs(e.pages - (double)shared[i]) <= e.error_pages;
				mb_bloom_deinit(&a);
				mb_bloom_deinit(&b);
			}
			/* Of several hash functions it is on the safe side. */
			assert_in_range(within, TRIES * 91 / 100,
					k == 1 ? TRIES * 99 / 100 : TRIES);
			/* None shared: half of the estimates are cut at 0. */
			assert_true(fabs(sum - (double)shared[i]) < error / (shared[i] ? 5 : 2));
		}
	}
}

/* All that a host's VMs have, as the paper keeps it. */
static void test_or_is_the_union(void **state)
{
	struct mb_bloom a, b, c;
	struct mb_estimate e;
	struct mb_err err = { 0 };

	(void)state;
	fill(&a, 1, 0, 1000, 1);
	fill(&b, 1, 500, 1000, 1);
	fill(&c, 1, 0, 1500, 1);
	assert_ok(mb_bloom_or(&a, &b, &err), &err);
	assert_memory_equal(a.words, c.words, BITS / 8);
	mb_bloom_deinit(&b);
	fill(&b, 1, 1400, 1000, 1);
	assert_ok(mb_bloom_shared(&a, &b, &e, &err), &err);
	assert_true(fabs(e.pages - 100) <= e.error_pages && e.error_pages < 60);
	mb_bloom_deinit(&a);
	mb_bloom_deinit(&b);
	mb_bloom_deinit(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_formula_1),
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_full_filter_says_nothing),
		cmocka_unit_test(test_estimates),
		cmocka_unit_test(test_or_is_the_union),
	};

	return cmocka_run_group_tests_name("bloom", tests, NULL, NULL);
}
