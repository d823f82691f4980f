// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench_stats.h"

#include <math.h>

#include "tests/unit/util_test.h"

static void near(double got, double expected, double by)
{
	if (!(fabs(got - expected) <= by))
		fail_msg("%.9g, expected %.9g", got, expected);
}

/* As printed in every table of Student's t. */
static void test_quantiles(void **state)
{
	static const struct {
		double p, df, t;
	} table[] = {
		{ .975, 1, 12.706 }, { .975, 2, 4.303 },   { .975, 3, 3.182 },	{ .975, 4, 2.776 },
		{ .975, 5, 2.571 },  { .975, 8, 2.306 },   { .975, 10, 2.228 }, { .975, 30, 2.042 },
		{ .95, 1, 6.314 },   { .95, 10, 1.812 },   { .995, 2, 9.925 },	{ .995, 20, 2.845 },
		{ .9995, 4, 8.610 }, { .975, 120, 1.980 }, { .6, 7, .263 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++) {
		near(mb_student_quantile(table[i].p, table[i].df), table[i].t, .0006);
		near(mb_student_quantile(1 - table[i].p, table[i].df), -table[i].t, .0006);
		near(mb_student_cdf(mb_student_quantile(table[i].p, table[i].df), table[i].df),
		     table[i].p, 1e-12);
	}
	near(mb_student_quantile(.5, 3), 0, 1e-12);
	/* Cauchy and df = 2 have closed forms. */
	near(mb_student_cdf(1, 1), .75, 1e-12);
	near(mb_student_cdf(-1, 2), .5 - .5 / sqrt(3), 1e-12);
	near(mb_student_quantile(.975, 1e7), 1.959964, 1e-5);
}

static void test_sample(void **state)
{
	const double v[] = { 2, 4, 4, 4, 5, 5, 7, 9 };
	struct mb_sample s = mb_bench_sample_of(v, 8);
	struct mb_interval i = mb_sample_interval(&s, .95);

	(void)state;
	near(s.mean, 5, 1e-12);
	near(s.sd, sqrt(32.0 / 7), 1e-12);
	near(i.high - 5, 2.364624 * sqrt(32.0 / 7 / 8), 1e-5);
	near(5 - i.low, i.high - 5, 1e-9);
	s = mb_bench_sample_of(v, 1);
	assert_true(s.sd == 0 && isinf(mb_sample_interval(&s, .95).high));
	s = mb_bench_sample_of(v, 0);
	assert_true(isnan(s.mean));
}

static struct mb_bench_change change(const struct mb_sample *base, const struct mb_sample *now)
{
	return mb_bench_sample_change(base, now, .95);
}

static void test_change(void **state)
{
	const double a[] = { 100, 102, 98, 101, 99 }, b[] = { 110, 112, 108, 111, 109 };
	struct mb_sample base = mb_bench_sample_of(a, 5), now = mb_bench_sample_of(b, 5);
	struct mb_bench_change c = change(&base, &now), back = change(&now, &base);

	(void)state;
	near(c.change, .1, 1e-12);
	/* Fieller by hand: sd^2 = 2.5 each, 8 degrees of freedom or nearly so. */
	assert_true(c.interval.low > .07 && c.interval.low < .08);
	assert_true(c.interval.high > .12 && c.interval.high < .13);
	/* The other way round it is the inverse. */
	near((1 + back.interval.low) * (1 + c.interval.high), 1, 2e-4);
	near((1 + back.interval.high) * (1 + c.interval.low), 1, 2e-4);
	c = change(&base, &base);
	assert_true(c.change == 0 && c.interval.low < 0 && c.interval.high > 0);
}

static void test_no_spread(void **state)
{
	const double a[] = { 50, 50, 50 }, b[] = { 60, 60 }, zero[] = { 0, 0, 0 };
	struct mb_sample base = mb_bench_sample_of(a, 3), now = mb_bench_sample_of(b, 2);
	struct mb_sample none = mb_bench_sample_of(zero, 3), one = mb_bench_sample_of(b, 1);
	struct mb_bench_change c = change(&base, &now);

	(void)state;
	near(c.change, .2, 1e-12);
	near(c.interval.low, .2, 1e-9);
	near(c.interval.high, .2, 1e-9);
	c = change(&base, &none);
	near(c.change, -1, 0);
	near(c.interval.high, -1, 1e-9);
	/* From nothing to something is beyond any limit; nothing to nothing is no change. */
	c = change(&none, &now);
	assert_true(isinf(c.change) && isinf(c.interval.low) && c.interval.low > 0);
	c = change(&none, &none);
	assert_true(c.change == 0 && c.interval.low == 0 && c.interval.high == 0);
	/* One run tells nothing. */
	c = change(&base, &one);
	assert_true(c.change > 0 && isinf(c.interval.low) && c.interval.low < 0);
}

static double normal(struct rng *r)
{
	double sum = -6;

	for (int i = 0; i < 12; i++)
		sum += (double)(rng_next(r) >> 11) / 9007199254740992.0;
	return sum;
}

/* The interval must have the truth in it in 95 of 100 cases, whatever spreads and numbers are. */
static void test_coverage(void **state)
{
	enum { ROUNDS = 4000 };
	struct rng r = { .state = 7 };
	int within = 0, false_alarms = 0;

	(void)state;
	for (int i = 0; i < ROUNDS; i++) {
		double a[7], b[4];
		struct mb_sample base, now;
		struct mb_bench_change c;

		for (int k = 0; k < 7; k++)
			a[k] = 1000 + 20 * normal(&r);
		for (int k = 0; k < 4; k++)
			b[k] = 1050 + 60 * normal(&r);
		base = mb_bench_sample_of(a, 7);
		now = mb_bench_sample_of(b, 4);
		c = change(&base, &now);
		within += c.interval.low <= .05 && c.interval.high >= .05;
		false_alarms += c.interval.low > .05;
	}
	if (within < ROUNDS * 93 / 100 || within > ROUNDS * 97 / 100)
		fail_msg("%d of %d intervals have the truth", within, ROUNDS);
	/* A gate at the true change fails one time in forty at most, or nearly so. */
	if (false_alarms > ROUNDS * 4 / 100)
		fail_msg("%d false alarms in %d", false_alarms, ROUNDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quantiles), cmocka_unit_test(test_sample),
		cmocka_unit_test(test_change),	  cmocka_unit_test(test_no_spread),
		cmocka_unit_test(test_coverage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
