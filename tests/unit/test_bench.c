// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "proto/churn/put.h"
#include "tests/unit/util_test.h"

static json_t *metrics_of(const double *values, size_t n)
{
	json_t *m = json_object();

	for (size_t i = 0; i < n; i++)
		assert_int_equal(mb_bench_add(m, "dirtied", "pages/epoch", values[i]), 0);
	assert_int_equal(mb_bench_end(m), 0);
	return m;
}

static void is_json(json_t *got, const char *expected)
{
	mb_cleanup(mb_json_unrefp) json_t *e = json_loads(expected, 0, NULL);
	mb_autofree char *text = json_dumps(got, JSON_INDENT(1));

	assert_non_null(e);
	if (!json_equal(got, e))
		fail_msg("%s, expected %s", text, expected);
}

/* As the trackers' own documentation has it: names, and what may be missing. */
static void test_formats(void **state)
{
	const double two[] = { 10, 12 }, one[] = { 10 };
	mb_cleanup(mb_json_unrefp) json_t *m = metrics_of(two, 2);
	mb_cleanup(mb_json_unrefp) json_t *single = metrics_of(one, 1);
	const json_t *d;
	json_t *got;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_bench_github("toy", m, &got, &err), &err);
	is_json(got, "[{\"name\": \"toy: dirtied\", \"unit\": \"pages/epoch\", \"value\": 11.0, "
		     "\"range\": \"± 12.7062\", \"extra\": \"mean of 2 runs; range: 95 % "
		     "confidence of the mean\"}]");
	json_decref(got);
	assert_ok(mb_bench_github("toy", single, &got, &err), &err);
	is_json(got, "[{\"name\": \"toy: dirtied\", \"unit\": \"pages/epoch\", \"value\": 10.0, "
		     "\"extra\": \"mean of 1 run\"}]");
	json_decref(got);
	assert_ok(mb_bench_bencher("a b", single, &got, &err), &err);
	is_json(got, "{\"a b\": {\"dirtied\": {\"value\": 10.0}}}");
	json_decref(got);
	assert_ok(mb_bench_bencher("toy", m, &got, &err), &err);
	d = json_object_get(json_object_get(got, "toy"), "dirtied");
	assert_true(mb_json_number(d, "value") == 11);
	/* Nothing is below 0. */
	assert_true(mb_json_number(d, "lower_value") == 0);
	assert_true(fabs(mb_json_number(d, "upper_value") - 23.7062) < 1e-4);
	json_decref(got);
}

static void test_names(void **state)
{
	const double one[] = { 10 };
	mb_cleanup(mb_json_unrefp) json_t *m = metrics_of(one, 1);
	char name[MB_BENCH_NAME_MAX + 2];
	struct mb_err err = { 0 };
	json_t *got;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	assert_fails(mb_bench_github("", m, &got, &err), EINVAL, &err, "1 to 512");
	assert_fails(mb_bench_bencher(name, m, &got, &err), EINVAL, &err, "1 to 512");
	assert_fails(mb_bench_bencher("\xff", m, &got, &err), EINVAL, &err, "UTF-8");
}

static void test_sample(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *m = json_loads(
		"{\"a\": {\"values\": [1, 2.5]}, \"minus\": {\"values\": [1, -2]},"
		" \"text\": {\"values\": [1, \"2\"]}, \"none\": {\"unit\": \"x\"}, \"no\": 3}",
		0, NULL);
	struct mb_err err = { 0 };
	struct mb_sample s;

	(void)state;
	assert_ok(mb_bench_sample(m, "a", &s, &err), &err);
	assert_true(s.n == 2 && s.mean == 1.75);
	assert_fails(mb_bench_sample(m, "minus", &s, &err), EBADMSG, &err, "minus: values[1]");
	assert_fails(mb_bench_sample(m, "text", &s, &err), EBADMSG, &err, "values[1]");
	assert_fails(mb_bench_sample(m, "none", &s, &err), EBADMSG, &err, "no list");
	assert_fails(mb_bench_sample(m, "no", &s, &err), EBADMSG, &err, "no list");
	assert_fails(mb_bench_sample(m, "other", &s, &err), EBADMSG, &err, "other");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
