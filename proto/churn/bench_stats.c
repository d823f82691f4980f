// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench_stats.h"

#include <math.h>

struct mb_sample mb_bench_sample_of(const double *values, size_t n)
{
	struct mb_sample s = { .n = n };
	double sum = 0, squares = 0;

	for (size_t i = 0; i < n; i++)
		sum += values[i];
	s.mean = n ? sum / (double)n : NAN;
	for (size_t i = 0; i < n; i++)
		squares += (values[i] - s.mean) * (values[i] - s.mean);
	s.sd = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
	return s;
}

/* The continued fraction of the incomplete beta function, by Lentz's method. */
static double beta_fraction(double a, double b, double x)
{
	const double tiny = 1e-300;
	double c = 1, d = 1 - (a + b) * x / (a + 1), h;

	d = 1 / (fabs(d) < tiny ? tiny : d);
	h = d;
	for (int m = 1; m <= 500; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double steps[] = { even, odd }, factor = 1;

		for (int i = 0; i < 2; i++) {
			d = 1 + steps[i] * d;
			c = 1 + steps[i] / c;
			d = 1 / (fabs(d) < tiny ? tiny : d);
			c = fabs(c) < tiny ? tiny : c;
			factor = c * d;
			h *= factor;
		}
		if (fabs(factor - 1) < 1e-15)
			break;
	}
	return h;
}

/* I_x(a, b) */
static double incomplete_beta(double a, double b, double x)
{
	int sign;
	double front;

	if (x <= 0 || x >= 1)
		return x <= 0 ? 0 : 1;
	front = exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) + a * log(x) +
		    b * log1p(-x));
	/* The fraction converges quickly on one side of the peak only. */
	if (x < (a + 1) / (a + b + 2))
		return front * beta_fraction(a, b, x) / a;
	return 1 - front * beta_fraction(b, a, 1 - x) / b;
}

double mb_student_cdf(double t, double df)
{
	double tail = incomplete_beta(df / 2, .5, df / (df + t * t)) / 2;

	return t > 0 ? 1 - tail : tail;
}

double mb_student_quantile(double p, double df)
{
	double low = 0, high = 1, mid = 0;

	if (p < .5)
		return -mb_student_quantile(1 - p, df);
	while (mb_student_cdf(high, df) < p && high < 1e12)
		high *= 2;
	for (int i = 0; i < 200 && mid != (low + high) / 2; i++) {
		mid = (low + high) / 2;
		if (mb_student_cdf(mid, df) < p)
			low = mid;
		else
			high = mid;
	}
	return mid;
}

/* Variance of the mean. */
static double variance(const struct mb_sample *s)
{
	return s->sd * s->sd / (double)s->n;
}

struct mb_interval mb_sample_interval(const struct mb_sample *s, double confidence)
{
	double half;

	if (s->n < 2)
		return (struct mb_interval){ -INFINITY, INFINITY };
	half = mb_student_quantile((1 + confidence) / 2, (double)s->n - 1) * sqrt(variance(s));
	return (struct mb_interval){ s->mean - half, s->mean + half };
}

/* Welch and Satterthwaite, for now - ratio * base. */
static double degrees(const struct mb_sample *base, const struct mb_sample *now, double ratio)
{
	double a = variance(now), b = ratio * ratio * variance(base);
	double below = a * a / (double)(now->n - 1) + b * b / (double)(base->n - 1);

	return below > 0 ? (a + b) * (a + b) / below : (double)(now->n + base->n - 2);
}

/* The test's t for the hypothesis now = ratio * base; falls as the ratio grows. */
static double t_of(const struct mb_sample *base, const struct mb_sample *now, double ratio)
{
	double d = now->mean - ratio * base->mean;
	double se = sqrt(variance(now) + ratio * ratio * variance(base));

	return se > 0 ? d / se : d > 0 ? INFINITY : d < 0 ? -INFINITY : 0;
}

/* The ratio in [low, high] from which on t is at most `wanted`. */
static double cross(const struct mb_sample *base, const struct mb_sample *now, double low,
		    double high, double wanted)
{
	for (int i = 0; i < 200; i++) {
		double mid = (low + high) / 2;

		if (t_of(base, now, mid) > wanted)
			low = mid;
		else
			high = mid;
	}
	return high;
}

struct mb_bench_change mb_bench_sample_change(const struct mb_sample *base,
					      const struct mb_sample *now, double confidence)
{
	struct mb_bench_change c = { 0, { -INFINITY, INFINITY } };
	double ratio, t, high = 1;

	if (!(base->mean > 0)) {
		c.change = now->mean > 0 ? INFINITY : 0;
		if (base->n < 2 || now->n < 2)
			return c;
		/* Then the question is only whether it is still 0. */
		c.interval.low = mb_sample_interval(now, confidence).low > 0 ? INFINITY : 0;
		c.interval.high = c.change;
		return c;
	}
	ratio = now->mean / base->mean;
	c.change = ratio - 1;
	if (base->n < 2 || now->n < 2)
		return c;
	t = mb_student_quantile((1 + confidence) / 2, degrees(base, now, ratio));
	c.interval.low = t_of(base, now, 0) <= t ? -1 : cross(base, now, 0, ratio, t) - 1;
	for (high = ratio + 1; high < 1e9 && t_of(base, now, high) > -t;)
		high *= 2;
	if (high < 1e9)
		c.interval.high = cross(base, now, ratio, high, -t) - 1;
	return c;
}
