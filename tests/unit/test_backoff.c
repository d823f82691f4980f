// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/backoff.h"

#include "tests/unit/util_test.h"

#define MAX UINT64_MAX

static struct mb_backoff make(uint64_t min_ns, uint64_t max_ns)
{
	struct mb_backoff b = { .min_ns = min_ns, .max_ns = max_ns };

	mb_backoff_reset(&b);
	return b;
}

/* The longest wait of each try: chance that takes the last of what is possible. */
static void expect_limits(struct mb_backoff *b, const uint64_t *limits, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct mb_backoff short_one = *b;

		assert_int_equal(mb_backoff_next(&short_one, 0, limits[i]), 1);
		assert_int_equal(mb_backoff_next(b, 0, limits[i] - 1), limits[i]);
	}
}

static void test_doubles_up_to_the_most(void **state)
{
	struct mb_backoff b = make(500, 6000), odd = make(3, MAX / 2), same = make(7, 7);

	(void)state;
	expect_limits(&b, (const uint64_t[]){ 500, 1000, 2000, 4000, 6000, 6000 }, 6);
	mb_backoff_reset(&b);
	expect_limits(&b, (const uint64_t[]){ 500, 1000 }, 2);
	for (int i = 0; i < 100; i++)
		mb_backoff_next(&odd, 0, 0);
	assert_int_equal(odd.limit_ns, MAX / 2);
	expect_limits(&same, (const uint64_t[]){ 7, 7 }, 2);
}

/* All of it is used, each part alike. */
static void test_full_jitter(void **state)
{
	unsigned int tenths[10] = { 0 };

	(void)state;
	for (uint64_t chance = 0; chance < 1000; chance++) {
		struct mb_backoff b = make(100, 100);
		uint64_t wait = mb_backoff_next(&b, 0, chance * 7919);

		assert_in_range(wait, 1, 100);
		tenths[(wait - 1) / 10]++;
	}
	for (int i = 0; i < 10; i++)
		assert_int_equal(tenths[i], 100);
}

/* What was asked for is kept, and not by all to the moment. */
static void test_asked_for_a_pause(void **state)
{
	struct mb_backoff b = make(100, 1000);

	(void)state;
	assert_int_equal(mb_backoff_next(&b, 4000, 0), 4001);
	assert_int_equal(mb_backoff_next(&b, 4000, 999), 5000);
	assert_int_equal(mb_backoff_next(&b, 4000, 1000), 4001);
	/* A short pause does not shorten the wait that is due. */
	assert_int_equal(mb_backoff_next(&b, 4, 799), 804);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_up_to_the_most),
		cmocka_unit_test(test_full_jitter),
		cmocka_unit_test(test_asked_for_a_pause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
