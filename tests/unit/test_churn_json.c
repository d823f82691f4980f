// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_json.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "proto/churn/put.h"
#include "tests/unit/util_test.h"

static const struct mb_fingerprint empty = { 0 };
static const struct mb_churn_config with_all = { .reference = &empty,
						 .by_frame = true,
						 .windows_ns = { 1000000000, 5000000000 },
						 .n_windows = 2 };
static const struct mb_churn_config by_content = { .windows_ns = { 1000000000 }, .n_windows = 1 };

static const struct mb_churn_row row = {
	.epoch = 3,
	.at_ns = 1500000000,
	.pages = 100,
	.distinct = 90,
	.zero = 4,
	.classes[MB_CLASS_ANON] = { 60, 5, 2, 1 },
	.classes[MB_CLASS_FILE] = { 40, 1, 0, 0 },
	.gained_pages = 7,
	.lost_pages = 6,
	.gained_digests = 5,
	.lost_digests = 4,
	.sharable = { { 10, 20, 11, 9, 8, { 15 } }, { 3, 3, 3, 3, 2, { 1 } } },
	.windows_known = 1,
};

static void is_json(json_t *got, const char *expected)
{
	mb_cleanup(mb_json_unrefp) json_t *e = json_loads(expected, 0, NULL);
	mb_autofree char *text = json_dumps(got, 0);

	assert_non_null(e);
	if (!json_equal(got, e))
		fail_msg("%s, expected %s", text, expected);
	json_decref(got);
}

static void test_row(void **state)
{
	static const struct mb_who_row cc1 = { "cc1", "/", { [MB_WHO_REWRITE] = 8 } };
	struct mb_who who = { 0 };

	(void)state;
	mb_who_put(&who, &cc1);
	who.others[MB_WHO_REWRITE] = 2;
	is_json(mb_churn_row_json(&with_all, &row, &who),
		"{\"epoch\": 3, \"at_s\": 1.5, \"pages\": 100, \"distinct\": 90, \"zero\": 4,"
		" \"dirtied\": 8, \"changed\": 6, \"came\": 2, \"went\": 1, \"gained\": 7, "
		"\"lost\": 6,"
		" \"gained_digests\": 5, \"lost_digests\": 4, \"classes\": {"
		" \"anon\": {\"pages\": 60, \"changed\": 5, \"came\": 2, \"went\": 1},"
		" \"file\": {\"pages\": 40, \"changed\": 1, \"came\": 0, \"went\": 0}},"
		" \"self\": {\"digests\": 10, \"pages\": 20, \"before\": 11, \"kept\": 9,"
		" \"survivors\": 8, \"durable\": [15, null]},"
		" \"reference\": {\"digests\": 3, \"pages\": 3, \"before\": 3, \"kept\": 3,"
		" \"survivors\": 2, \"durable\": [1, null]}, \"kinds\": {\"rewrite\": 10}}");
}

static void test_row_by_content(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *j = mb_churn_row_json(&by_content, &row, NULL);

	(void)state;
	assert_true(json_is_null(json_object_get(j, "changed")));
	assert_true(json_is_null(json_object_get(j, "classes")));
	assert_true(json_is_null(json_object_get(j, "reference")));
	assert_true(json_is_null(json_object_get(j, "kinds")));
}

static void test_log(void **state)
{
	static const struct mb_who_row rows[] = { { "b", "/", { [MB_WHO_REWRITE] = 8 } },
						  { "a", "/", { [MB_WHO_EXEC] = 8 } },
						  { "c", "/x", { [MB_WHO_COW] = 9 } } };
	struct mb_churn_row first = { .pages = 100 };
	struct mb_who who = { 0 };
	mb_cleanup(mb_json_unrefp) json_t *run = NULL;
	struct mb_churn_log log;
	struct mb_err err = { 0 };
	const json_t *by;

	(void)state;
	for (int i = 0; i < 3; i++)
		mb_who_put(&who, &rows[i]);
	who.others[MB_WHO_FREE] = 3;
	assert_ok(mb_churn_log_init(&log, &with_all, &err), &err);
	/* What was dirtied before epoch 0 is not the run's. */
	assert_ok(mb_churn_log_add(&log, &first, &who, &err), &err);
	assert_ok(mb_churn_log_add(&log, &row, &who, &err), &err);
	run = mb_churn_log_take(&log);
	assert_int_equal(json_array_size(json_object_get(run, "epochs")), 2);
	assert_true(mb_json_number(json_object_get(run, "summary"), "dirtied") == 8);
	by = json_object_get(json_object_get(run, "who"), "by");
	assert_int_equal(json_array_size(by), 4);
	assert_string_equal(json_string_value(json_object_get(json_array_get(by, 0), "process")),
			    "c");
	assert_string_equal(json_string_value(json_object_get(json_array_get(by, 1), "process")),
			    "a");
	assert_true(json_is_null(json_object_get(json_array_get(by, 3), "process")));
	assert_true(mb_json_number(json_array_get(by, 3), "frames") == 3);
	mb_churn_log_deinit(&log);
}

static void test_measure(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *metrics = json_object();
	mb_cleanup(mb_json_unrefp) json_t *summary = NULL;
	struct mb_churn_sums sums = { 0 };
	struct mb_churn_summary y;

	(void)state;
	/* Of one epoch there is nothing to tell but its pages. */
	mb_churn_sums_add(&sums, &row);
	mb_churn_summarize(&sums, &y);
	summary = mb_churn_summary_json(&by_content, &y);
	assert_int_equal(mb_churn_measure(summary, metrics), 0);
	assert_int_equal(json_object_size(metrics), 3); /* self-lost: the row has a before */
	assert_non_null(json_object_get(metrics, "pages"));
	assert_null(json_object_get(metrics, "dirtied"));
	json_decref(summary);
	mb_churn_sums_add(&sums, &row);
	mb_churn_summarize(&sums, &y);
	summary = mb_churn_summary_json(&with_all, &y);
	assert_int_equal(mb_churn_measure(summary, metrics), 0);
	assert_non_null(json_object_get(metrics, "dirtied"));
	assert_non_null(json_object_get(metrics, "reference-lost"));
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(metrics, "pages"), "values")), 2);
	assert_true(
		fabs(json_number_value(json_array_get(
			     json_object_get(json_object_get(metrics, "self-lost"), "values"), 0)) -
		     100 * (1 - 9 / 11.0)) < 1e-9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_row),
		cmocka_unit_test(test_row_by_content),
		cmocka_unit_test(test_log),
		cmocka_unit_test(test_measure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
