// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench_gate.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/churn/put.h"

int mb_gate_parse_limit(const char *text, double *ret, struct mb_err *err)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || (*end && strcmp(end, "%") != 0) || !(percent >= 0) ||
	    !(percent <= 10000))
		return mb_fail(err, EINVAL, "\"%s\" is no percentage from 0 to 10000", text);
	*ret = percent / 100;
	return 0;
}

static int take_sample(const json_t *metrics, const char *name, const char *whose,
		       struct mb_sample *ret, struct mb_err *err)
{
	int r;

	if (!json_is_object(json_object_get(metrics, name)))
		return mb_fail(err, EINVAL, "%s has no metric \"%s\"", whose, name);
	r = mb_bench_sample(metrics, name, ret, err);
	if (r < 0)
		return mb_fail_in(err, r, "%s", whose);
	if (ret->n < 2)
		return mb_fail(err, EINVAL,
			       "%s has %zu run of metric %s: noise cannot be told from change "
			       "with less than 2",
			       whose, ret->n, name);
	return 0;
}

static const char *unit_of(const json_t *metrics, const char *name)
{
	const char *unit =
		json_string_value(json_object_get(json_object_get(metrics, name), "unit"));

	return unit ? unit : "";
}

static void say_percent(char *to, size_t size, double share)
{
	if (isfinite(share))
		snprintf(to, size, "%+.2f %%", 100 * share);
	else
		snprintf(to, size, "%s", share > 0 ? "without bound" : "unknown");
}

static json_t *check(const char *name, const char *unit, const struct mb_sample *base,
		     const struct mb_sample *now, double limit, double confidence)
{
	struct mb_bench_change c = mb_bench_sample_change(base, now, confidence);
	bool failed = c.interval.low > limit;
	char change[32], low[32], high[32];

	say_percent(change, sizeof(change), c.change);
	say_percent(low, sizeof(low), c.interval.low);
	say_percent(high, sizeof(high), c.interval.high);
	return json_pack("{s:s, s:s, s:I, s:o, s:I, s:o, s:o, s:o, s:o, s:b, s:o}", "metric", name,
			 "unit", unit, "base_runs", (json_int_t)base->n, "base_mean",
			 mb_json_real(base->mean), "runs", (json_int_t)now->n, "mean",
			 mb_json_real(now->mean), "change_percent", mb_json_real(100 * c.change),
			 "low_percent", mb_json_real(100 * c.interval.low), "high_percent",
			 mb_json_real(100 * c.interval.high), "failed", (int)failed, "text",
			 json_sprintf("%s: %.6g %s, was %.6g: %s, between %s and %s at %.4g %% "
				      "confidence; allowed: +%.4g %%",
				      name, now->mean, unit, base->mean, change, low, high,
				      100 * confidence, 100 * limit));
}

int mb_gate(const json_t *base, const json_t *now, const struct mb_gate_wish *wish, json_t **ret,
	    struct mb_err *err)
{
	/* Two-sided: of what is outside, half is on the side that fails. */
	double confidence = 1 - (1 - MB_BENCH_CONFIDENCE) / (double)wish->n_metrics;
	json_t *checks = json_array();
	bool failed = false;
	int r = 0;

	for (size_t i = 0; r == 0 && i < wish->n_metrics; i++) {
		const char *name = wish->metrics[i];
		struct mb_sample a, b;
		json_t *o;

		if ((r = take_sample(base, name, "the baseline", &a, err)) < 0 ||
		    (r = take_sample(now, name, "this measurement", &b, err)) < 0)
			break;
		if (strcmp(unit_of(base, name), unit_of(now, name)) != 0) {
			r = mb_fail(err, EINVAL, "metric %s: %s in the baseline, %s now", name,
				    unit_of(base, name), unit_of(now, name));
			break;
		}
		o = check(name, unit_of(now, name), &a, &b, wish->limit, confidence);
		failed |= json_is_true(json_object_get(o, "failed"));
		if (json_array_append_new(checks, o) < 0)
			r = mb_fail_mem(err, "a comparison");
	}
	if (r == 0) {
		*ret = json_pack("{s:f, s:f, s:b, s:O}", "limit_percent", 100 * wish->limit,
				 "confidence", confidence, "failed", (int)failed, "checks", checks);
		r = *ret ? 0 : mb_fail_mem(err, "a comparison");
	}
	json_decref(checks);
	return r;
}
