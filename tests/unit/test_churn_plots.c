// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_plots.h"

#include "tests/unit/util_churn.h"

static const json_t *windows;

static void make(const json_t *run, struct mb_buf *to)
{
	mb_churn_plots(run, windows, to);
}

static int count(const struct mb_buf *text, const char *part)
{
	int n = 0;

	for (const char *p = (const char *)text->data; (p = strstr(p, part)); p++)
		n++;
	return n;
}

static void test_all(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = churn_report();
	const json_t *run = json_array_get(json_object_get(root, "runs"), 0);
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	windows = json_object_get(root, "windows_s");
	churn_written(make, run, &text);
	assert_markup(&text);
	assert_int_equal(count(&text, "<svg "), 6);
	/* Epoch 1: 31 anon below, 1 file above. */
	assert_has(&text, "<title>1.5 s, anon: 31 pages an epoch</title>");
	assert_has(&text, "<title>1.5 s, file: 1 pages an epoch</title>");
	assert_has(&text, "<title>1.5 s, copy on write: 2 frames an epoch</title>");
	assert_has(&text, "<title>3 s, for 1 s unchanged: 13 pages</title>");
	assert_has(&text, "<title>3 s, with itself: 60 %</title>");
	/* Nothing is known of the other window, nor of changes before epoch 0. */
	assert_has_not(&text, "for 300 s");
	assert_has_not(&text, "<title>0 s, gained digests");
}

static void test_by_content(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *run =
		json_loads("{\"epochs\": [{\"at_s\": 0, \"dirtied\": 0, \"classes\": null},"
			   " {\"at_s\": 2, \"dirtied\": 5, \"classes\": null}]}",
			   0, NULL);
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	windows = NULL;
	churn_written(make, run, &text);
	assert_markup(&text);
	assert_has(&text, "<title>2 s, dirtied: 5 pages an epoch</title>");
	assert_int_equal(count(&text, "<svg "), 2);
}

/* More kinds than colours: the least are one. */
static void test_many(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *run = json_loads(
		"{\"epochs\": [{\"at_s\": 0}, {\"at_s\": 1, \"kinds\": {\"a\": 90, \"b\": 80, "
		"\"c\": 70,"
		" \"d\": 60, \"e\": 50, \"f\": 40, \"g\": 30, \"h\": 20, \"i\": 10, \"j\": 5}}]}",
		0, NULL);
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	churn_written(make, run, &text);
	assert_markup(&text);
	assert_has(&text, "g: 30 frames");
	assert_has(&text, "others: 35 frames");
	assert_has_not(&text, "h: 20");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_by_content),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
