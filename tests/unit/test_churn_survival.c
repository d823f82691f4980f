// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_survival.h"

#include <math.h>

#include "tests/unit/util_test.h"

static struct mb_half_life of(size_t n, const uint64_t (*points)[2])
{
	struct mb_survival s = { 0 };

	for (size_t i = 0; i < n; i++)
		mb_survival_feed(&s, points[i][0], points[i][1]);
	return mb_survival_half_life(&s);
}

#define OF(...)                                                                                    \
	of(sizeof((uint64_t[][2]){ __VA_ARGS__ }) / sizeof(uint64_t[2]),                           \
	   (const uint64_t[][2]){ __VA_ARGS__ })

static void test_nothing_to_judge_by(void **state)
{
	(void)state;
	assert_int_equal(of(0, NULL).how, MB_HALF_LIFE_UNKNOWN);
	assert_int_equal(OF({ 0, 100 }).how, MB_HALF_LIFE_UNKNOWN);
	assert_int_equal(OF({ 0, 0 }, { 10, 0 }).how, MB_HALF_LIFE_UNKNOWN);
	/* No time has passed. */
	assert_int_equal(OF({ 5, 100 }, { 5, 100 }).how, MB_HALF_LIFE_UNKNOWN);
	assert_int_equal(OF({ 0, 100 }, { 10, 100 }).how, MB_HALF_LIFE_NO_LOSS);
}

static void test_read_off(void **state)
{
	struct mb_half_life h = OF({ 0, 100 }, { 10, 80 }, { 20, 40 }, { 30, 40 });

	(void)state;
	assert_int_equal(h.how, MB_HALF_LIFE_OBSERVED);
	assert_true(fabs(h.ns - 17.5) < 1e-9);
	/* Just a half is a half; what comes later does not move it. */
	h = OF({ 0, 100 }, { 10, 50 }, { 20, 0 });
	assert_int_equal(h.how, MB_HALF_LIFE_OBSERVED);
	assert_true(fabs(h.ns - 10) < 1e-9);
	h = OF({ 0, 100 }, { 10, 0 });
	assert_true(fabs(h.ns - 5) < 1e-9);
}

/* A true exponential that is watched for less than its half-life. */
static void test_fitted(void **state)
{
	struct mb_survival s = { 0 };
	struct mb_half_life h;

	(void)state;
	for (int i = 0; i <= 50; i++)
		mb_survival_feed(&s, (uint64_t)i * 1000000,
				 (uint64_t)llround(1e9 * exp2(-i / 100.0)));
	h = mb_survival_half_life(&s);
	assert_int_equal(h.how, MB_HALF_LIFE_FITTED);
	assert_true(fabs(h.ns / 100e6 - 1) < 1e-4);
	/* By hand: one of ten is lost within 8: exposure 9 x 8 + 4. */
	h = OF({ 0, 10 }, { 8, 9 });
	assert_true(fabs(h.ns - 0.693147180559945 * 76) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_judge_by),
		cmocka_unit_test(test_read_off),
		cmocka_unit_test(test_fitted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
