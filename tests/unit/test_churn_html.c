// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_report.h"
#include "tests/unit/util_churn.h"

static void test_report(void **state)
{
	/* It loads nothing and runs nothing. */
	static const char *const never[] = { "<script", "http://", "https://", "src=", "url(",
					     "@import", "<link",   "onload",   "\x1b" };
	mb_cleanup(mb_json_unrefp) json_t *root = churn_report();
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	churn_written(mb_churn_html, root, &text);
	assert_markup(&text);
	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		assert_has_not(&text, never[i]);
	assert_has(&text, "<title>Churn of &lt;i&gt;&quot;x&quot; &amp; &#39;y&#39;");
	assert_has(&text, "<td>&lt;script&gt;</td><td class=\"left\">/a&amp;b</td><td>40</td>");
	assert_has(&text, "<details open><summary>Run 1 of 2: 2 epochs in 3.0 s, exit code 0");
	assert_has(&text, "<details><summary>Run 2 of 2");
	assert_has(&text, "<b>22.0</b>");
	assert_has(&text, "<th>unchanged 300 s</th>");
	assert_has(&text, "<span class=\"bad\">worse</span> dirtied: &lt;worse&gt;");
	assert_has(&text, "prefers-color-scheme:dark");
	assert_has(&text, "width=device-width");
}

static void test_little(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *root = json_loads("{\"runs\": [{}]}", 0, NULL);
	mb_cleanup(mb_json_unrefp) json_t *odd = json_loads(
		"{\"runs\": [{\"epochs\": [{}, {}], \"who\": {\"by\": [3]}, \"summary\": 5}],"
		" \"metrics\": {\"a\": 1}, \"windows_s\": {}}",
		0, NULL);
	mb_cleanup(mb_buf_deinit) struct mb_buf text;

	(void)state;
	churn_written(mb_churn_html, root, &text);
	assert_markup(&text);
	assert_has_not(&text, "<svg ");
	mb_buf_deinit(&text);
	churn_written(mb_churn_html, odd, &text);
	assert_markup(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
