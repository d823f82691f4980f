// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/bench_junit.h"

#include "tests/unit/util_churn.h"

static void test_report(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = churn_report();
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	churn_written(mb_bench_junit, root, &text);
	assert_markup(&text);
	/* Two runs, the second of which failed, and two metrics, of which one did. */
	assert_has(&text, "<testsuites tests=\"4\" failures=\"2\" errors=\"0\">");
	assert_has(&text,
		   "<testsuite name=\"&lt;i&gt;&quot;x&quot; &amp; &#39;y&#39;\xef\xbf\xbd[2J\"");
	assert_has(&text, "name=\"run 1\" time=\"3.000\"/>");
	assert_has(&text, "the command ended with exit code 3\"");
	assert_has(&text, "<failure type=\"regression\" message=\"dirtied: &lt;worse&gt;\"/>");
	assert_has(&text, "<system-out>101.000 pages, mean of 2</system-out>");
	assert_has_not(&text, "\x1b");
}

static void test_little(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = json_object();
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	churn_written(mb_bench_junit, root, &text);
	assert_markup(&text);
	assert_has(&text, "<testsuite name=\"churn\" tests=\"0\" failures=\"0\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
