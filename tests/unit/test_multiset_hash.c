// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/multiset_hash.h"

/* The format rests on these numbers: they are in FORMAT.md and must never change. */
static void test_known_values(void **state)
{
	struct mb_multiset_hash h = { 0 };

	(void)state;
	/* The first output of SplitMix64 seeded with 0. */
	assert_true(mb_mix64(0x9e3779b97f4a7c15u) == 0xe220a8397b1dcdafu);
	mb_multiset_hash_add(&h, 0, 1);
	assert_true(h.lo == 0xe220a8397b1dcdafu);
	assert_true(h.hi == mb_mix64(0xd1b54a32d192ed03u));
}

static void test_order_and_undoing(void **state)
{
	struct mb_multiset_hash a = { 0 }, b = { 0 }, zero = { 0 };
	uint64_t d[100];
	struct rng r = { 3 };

	(void)state;
	for (size_t i = 0; i < 100; i++)
		mb_multiset_hash_add(&a, d[i] = rng_next(&r), i + 1);
	for (size_t i = 100; i-- > 0;)
		for (size_t k = 0; k <= i; k++)
			mb_multiset_hash_add(&b, d[i], 1);
	assert_true(mb_multiset_hash_equal(a, b));
	for (size_t i = 0; i < 100; i++)
		mb_multiset_hash_add(&a, d[i], -(uint64_t)(i + 1));
	assert_true(mb_multiset_hash_equal(a, zero));
}

/* Both halves count: neither a lost digest nor a lost copy goes unseen. */
static void test_every_digest_counts(void **state)
{
	struct rng r = { 4 };

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t d = rng_next(&r) >> rng_below(&r, 64);
		struct mb_multiset_hash h = { 0 };

		mb_multiset_hash_add(&h, d, 1 + rng_below(&r, 1000));
		assert_true(h.lo && h.hi && h.lo != h.hi);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_values),
		cmocka_unit_test(test_order_and_undoing),
		cmocka_unit_test(test_every_digest_counts),
	};

	return cmocka_run_group_tests_name("multiset_hash", tests, NULL, NULL);
}
