// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench_gate.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "proto/churn/put.h"
#include "tests/unit/util_test.h"

static json_t *metrics(const char *text)
{
	json_error_t why;
	json_t *m = json_loads(text, 0, &why);

	if (!m)
		fail_msg("%s", why.text);
	return m;
}

static int gate(const char *base, const char *now, double limit, size_t n, const char *const *names,
		json_t **ret, struct mb_err *err)
{
	mb_cleanup(mb_json_unrefp) json_t *a = metrics(base);
	mb_cleanup(mb_json_unrefp) json_t *b = metrics(now);
	struct mb_gate_wish w = { .limit = limit, .n_metrics = n };

	memcpy(w.metrics, names, n * sizeof(*names));
	return mb_gate(a, b, &w, ret, err);
}

static const char *const names[] = { "d", "e", "f" };

static bool fails(const char *base, const char *now, double limit)
{
	struct mb_err err = { 0 };
	json_t *ret;
	bool failed;

	assert_ok(gate(base, now, limit, 1, names, &ret, &err), &err);
	failed = json_is_true(json_object_get(ret, "failed"));
	assert_int_equal(json_is_true(json_object_get(
				 json_array_get(json_object_get(ret, "checks"), 0), "failed")),
			 failed);
	json_decref(ret);
	return failed;
}

static void test_limits(void **state)
{
	const char base[] = "{\"d\": {\"unit\": \"p\", \"values\": [100, 101, 99, 100]}}";
	const char worse[] = "{\"d\": {\"unit\": \"p\", \"values\": [110, 111, 109, 110]}}";
	const char noisy[] = "{\"d\": {\"unit\": \"p\", \"values\": [60, 160, 90, 130]}}";
	const char better[] = "{\"d\": {\"unit\": \"p\", \"values\": [10, 11, 9, 10]}}";

	(void)state;
	assert_true(fails(base, worse, .05));
	assert_false(fails(base, worse, .09)); /* 10 % is above it, its lower bound is not */
	assert_false(fails(base, worse, .2));
	assert_true(fails(base, worse, 0));
	/* The same mean, but it may be noise. */
	assert_false(fails(base, noisy, .05));
	assert_false(fails(base, better, 0));
	assert_false(fails(base, base, 0));
	/* What does not vary at all is taken at its word. */
	assert_true(fails("{\"d\": {\"unit\": \"p\", \"values\": [50, 50]}}",
			  "{\"d\": {\"unit\": \"p\", \"values\": [53, 53]}}", .05));
	assert_false(fails("{\"d\": {\"unit\": \"p\", \"values\": [50, 50]}}",
			   "{\"d\": {\"unit\": \"p\", \"values\": [52, 52]}}", .05));
	/* From nothing to something. */
	assert_true(fails("{\"d\": {\"unit\": \"p\", \"values\": [0, 0]}}",
			  "{\"d\": {\"unit\": \"p\", \"values\": [1, 1]}}", 100));
}

static void test_text(void **state)
{
	struct mb_err err = { 0 };
	const json_t *c;
	json_t *ret;

	(void)state;
	assert_ok(gate("{\"d\": {\"unit\": \"p\", \"values\": [50, 50]}}",
		       "{\"d\": {\"unit\": \"p\", \"values\": [60, 60, 60]}}", .05, 1, names, &ret,
		       &err),
		  &err);
	c = json_array_get(json_object_get(ret, "checks"), 0);
	assert_string_equal(json_string_value(json_object_get(c, "text")),
			    "d: 60 p, was 50: +20.00 %, between +20.00 % and +20.00 % at 95 % "
			    "confidence; allowed: +5 %");
	assert_true(mb_json_number(c, "runs") == 3 && mb_json_number(c, "base_runs") == 2);
	assert_true(fabs(mb_json_number(c, "low_percent") - 20) < 1e-6);
	json_decref(ret);
}

/* Three metrics, and the chance of a false alarm is still one metric's. */
static void test_several(void **state)
{
	const char base[] = "{\"d\": {\"unit\": \"p\", \"values\": [100, 104, 96]},"
			    " \"e\": {\"unit\": \"p\", \"values\": [5, 5]},"
			    " \"f\": {\"unit\": \"p\", \"values\": [5, 6]}}";
	const char now[] = "{\"d\": {\"unit\": \"p\", \"values\": [110, 114, 106]},"
			   " \"e\": {\"unit\": \"p\", \"values\": [5, 5]},"
			   " \"f\": {\"unit\": \"p\", \"values\": [5, 6]}}";
	struct mb_err err = { 0 };
	json_t *ret;

	(void)state;
	assert_ok(gate(base, now, 0, 1, names, &ret, &err), &err);
	assert_true(json_is_true(json_object_get(ret, "failed")));
	json_decref(ret);
	assert_ok(gate(base, now, 0, 3, names, &ret, &err), &err);
	assert_true(fabs(mb_json_number(ret, "confidence") - (1 - .05 / 3)) < 1e-12);
	assert_false(json_is_true(json_object_get(ret, "failed")));
	assert_int_equal(json_array_size(json_object_get(ret, "checks")), 3);
	json_decref(ret);
}

static void test_refused(void **state)
{
	const char ok[] = "{\"d\": {\"unit\": \"p\", \"values\": [1, 2]}}";
	struct mb_err err = { 0 };
	json_t *ret = NULL;

	(void)state;
	assert_fails(gate("{}", ok, 0, 1, names, &ret, &err), EINVAL, &err,
		     "the baseline has no metric \"d\"");
	assert_fails(gate(ok, "{}", 0, 1, names, &ret, &err), EINVAL, &err, "this measurement");
	assert_fails(
		gate(ok, "{\"d\": {\"unit\": \"q\", \"values\": [1, 2]}}", 0, 1, names, &ret, &err),
		EINVAL, &err, "p in the baseline, q now");
	assert_fails(
		gate(ok, "{\"d\": {\"unit\": \"p\", \"values\": [1]}}", 0, 1, names, &ret, &err),
		EINVAL, &err, "less than 2");
	assert_fails(gate("{\"d\": {\"unit\": \"p\", \"values\": [1, null]}}", ok, 0, 1, names,
			  &ret, &err),
		     EBADMSG, &err, "values[1]");
	assert_null(ret);
}

static void test_parse(void **state)
{
	static const char *const bad[] = { "", "%", "-1", "5 %", "5%%", "x", "nan", "10001" };
	struct mb_err err = { 0 };
	double v;

	(void)state;
	assert_ok(mb_gate_parse_limit("5%", &v, &err), &err);
	assert_true(v == .05);
	assert_ok(mb_gate_parse_limit("7.5", &v, &err), &err);
	assert_true(v == .075);
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++)
		assert_fails(mb_gate_parse_limit(bad[i], &v, &err), EINVAL, &err, "percentage");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limits),	cmocka_unit_test(test_text),
		cmocka_unit_test(test_several), cmocka_unit_test(test_refused),
		cmocka_unit_test(test_parse),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
