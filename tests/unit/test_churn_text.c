// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_report.h"
#include "tests/unit/util_churn.h"

static void test_report(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = churn_report();
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	churn_written(mb_churn_text, root, &text);
	assert_has(&text, "Run 2 of 2\n  2 epochs in 3 s; exit code 3\n");
	assert_has(&text, "dirtied: 22.0 pages an epoch, 14.7 a second\n");
	assert_has(&text, "still so an epoch later: 83.3 %; half-life: 3.3 min, extrapolated\n");
	assert_has(&text, "half-life: nothing of it was lost in 3 s\n");
	assert_has(&text, "unchanged for 1 s: 12 pages, 69.4 % of those sharable then\n");
	assert_has(&text, "unchanged for 5.0 min: not known, it was not measured for so long\n");
	assert_has(&text, "40  <script>  /a&b: 40 rewrite\n");
	assert_has(&text, "4  (others)  : 2 copy on write, 2 rewrite\n");
	assert_has(&text, "WORSE   dirtied: <worse>\n");
	assert_has(&text, "dirtied                   22.00 ± 0.00 ");
	/* A terminal obeys none of it. */
	assert_has_not(&text, "\x1b");
}

static void test_little(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = json_loads("{\"runs\": [{}]}", 0, NULL);
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	churn_written(mb_churn_text, root, &text);
	assert_has(&text, "pages: -, distinct -, zero -\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
