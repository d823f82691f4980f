// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/churn/put.h"

int mb_bench_add(json_t *metrics, const char *name, const char *unit, double value)
{
	json_t *m = json_object_get(metrics, name);

	if (!m) {
		m = json_pack("{s:s, s:[]}", "unit", unit, "values");
		if (json_object_set_new(metrics, name, m) < 0)
			return -ENOMEM;
	}
	return json_array_append_new(json_object_get(m, "values"), mb_json_real(value)) < 0 ?
		       -ENOMEM :
		       0;
}

int mb_bench_sample(const json_t *metrics, const char *name, struct mb_sample *ret,
		    struct mb_err *err)
{
	const json_t *values = json_object_get(json_object_get(metrics, name), "values"), *v;
	double list[MB_BENCH_RUNS_MAX];
	size_t i;

	if (!json_is_array(values) || json_array_size(values) > MB_BENCH_RUNS_MAX)
		return mb_fail(err, EBADMSG, "metric %s: no list of at most %d values", name,
			       MB_BENCH_RUNS_MAX);
	json_array_foreach(values, i, v)
	{
		list[i] = json_is_number(v) ? json_number_value(v) : NAN;
		if (!(list[i] >= 0) || isinf(list[i]))
			return mb_fail(err, EBADMSG, "metric %s: values[%zu] is no number >= 0",
				       name, i);
	}
	*ret = mb_bench_sample_of(list, i);
	return 0;
}

int mb_bench_end(json_t *metrics)
{
	const char *name;
	json_t *m;

	json_object_foreach(metrics, name, m)
	{
		struct mb_sample s;
		struct mb_interval i;

		if (mb_bench_sample(metrics, name, &s, NULL) < 0)
			continue;
		i = mb_sample_interval(&s, MB_BENCH_CONFIDENCE);
		/* No value is below 0, and so no mean. */
		i.low = i.low < 0 && isfinite(i.low) ? 0 : i.low;
		if (json_object_set_new(m, "mean", mb_json_real(s.mean)) < 0 ||
		    json_object_set_new(m, "low", mb_json_real(i.low)) < 0 ||
		    json_object_set_new(m, "high", mb_json_real(i.high)) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int check_name(const char *name, struct mb_err *err)
{
	if (*name && strlen(name) <= MB_BENCH_NAME_MAX)
		return 0;
	return mb_fail(err, EINVAL, "a benchmark's name has 1 to %d bytes", MB_BENCH_NAME_MAX);
}

int mb_bench_github(const char *name, json_t *metrics, json_t **ret, struct mb_err *err)
{
	json_t *list, *m;
	const char *key;
	int r = check_name(name, err);

	if (r < 0)
		return r;
	list = json_array();
	json_object_foreach(metrics, key, m)
	{
		double mean = mb_json_number(m, "mean"), high = mb_json_number(m, "high");
		size_t n = json_array_size(json_object_get(m, "values"));
		json_t *o;

		if (isnan(mean))
			continue;
		o = json_pack("{s:o, s:O, s:o, s:o}", "name", json_sprintf("%s: %s", name, key),
			      "unit", json_object_get(m, "unit"), "value", mb_json_real(mean),
			      "extra",
			      json_sprintf("mean of %zu run%s%s", n, n == 1 ? "" : "s",
					   n > 1 ? "; range: 95 % confidence of the mean" : ""));
		/* What it shows behind the value; it does not calculate with it. */
		if (o && !isnan(high))
			json_object_set_new(o, "range", json_sprintf("± %.6g", high - mean));
		if (json_array_append_new(list, o) < 0)
			r = mb_fail_mem(err, "a benchmark's figures");
	}
	if (r < 0)
		json_decref(list);
	else
		*ret = list;
	return r;
}

int mb_bench_bencher(const char *name, json_t *metrics, json_t **ret, struct mb_err *err)
{
	json_t *measures, *m;
	const char *key;
	int r = check_name(name, err);

	if (r < 0)
		return r;
	measures = json_object();
	json_object_foreach(metrics, key, m)
	{
		double mean = mb_json_number(m, "mean");
		double low = mb_json_number(m, "low"), high = mb_json_number(m, "high");
		json_t *o;

		if (isnan(mean))
			continue;
		o = json_pack("{s:o}", "value", mb_json_real(mean));
		if (o && !isnan(low) && !isnan(high)) {
			json_object_set_new(o, "lower_value", mb_json_real(low));
			json_object_set_new(o, "upper_value", mb_json_real(high));
		}
		if (json_object_set_new(measures, key, o) < 0)
			r = mb_fail_mem(err, "a benchmark's figures");
	}
	*ret = r < 0 ? NULL : json_object();
	if (r == 0 && json_object_set(*ret, name, measures) < 0) {
		json_decref(*ret);
		*ret = NULL;
		r = mb_fail(err, EINVAL, "the benchmark's name is no UTF-8");
	}
	json_decref(measures);
	return r;
}
