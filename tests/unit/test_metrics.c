// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/metrics.h"

#include <math.h>

#include "tests/unit/util_test.h"

static void expect(struct mb_buf *out, const char *text)
{
	struct mb_err err = { 0 };

	assert_ok(mb_buf_check(out, "metrics", &err), &err);
	mb_buf_put_u8(out, 0);
	assert_string_equal((const char *)out->data, text);
	mb_buf_deinit(out);
	*out = (struct mb_buf){ 0 };
}

static void test_families(void **state)
{
	struct mb_buf out = { 0 };
	struct mb_metrics m = { .out = &out };

	(void)state;
	mb_metrics_family(&m, "a_pages", MB_GAUGE, "Pages.");
	mb_metrics_label(&m, "vm", "web1");
	mb_metrics_label(&m, "host", "h");
	mb_metrics_put(&m, 12);
	mb_metrics_label(&m, "vm", "web2");
	mb_metrics_put(&m, .5);
	mb_metrics_one(&m, "b_total", MB_COUNTER, "Things.", 9007199254740992.0);
	expect(&out, "# HELP a_pages Pages.\n"
		     "# TYPE a_pages gauge\n"
		     "a_pages{vm=\"web1\",host=\"h\"} 12\n"
		     "a_pages{vm=\"web2\"} 0.5\n"
		     "# HELP b_total Things.\n"
		     "# TYPE b_total counter\n"
		     "b_total 9007199254740992\n");
}

/* What a label holds cannot end it, nor begin a line of its own. */
static void test_labels_of_strangers(void **state)
{
	struct mb_buf out = { 0 };
	struct mb_metrics m = { .out = &out, .name = "x" };

	(void)state;
	mb_metrics_label(&m, "vm", "a\"} 1\nb 2\\");
	mb_metrics_put(&m, 0);
	expect(&out, "x{vm=\"a\\\"} 1\\nb 2\\\\\"} 0\n");
}

static void test_what_is_no_number(void **state)
{
	struct mb_buf out = { 0 };
	struct mb_metrics m = { .out = &out, .name = "x" };

	(void)state;
	mb_metrics_put(&m, NAN);
	mb_metrics_put(&m, INFINITY);
	mb_metrics_put(&m, -INFINITY);
	expect(&out, "x NaN\nx +Inf\nx -Inf\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_families),
		cmocka_unit_test(test_labels_of_strangers),
		cmocka_unit_test(test_what_is_no_number),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
