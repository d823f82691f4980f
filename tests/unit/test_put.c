// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/put.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

static void is_escaped(const char *text, const char *expected)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };

	mb_put_escaped(&b, text);
	mb_buf_put_u8(&b, 0);
	assert_string_equal(b.data, expected);
}

static void test_escape(void **state)
{
	(void)state;
	is_escaped("a<b>&\"c'", "a&lt;b&gt;&amp;&quot;c&#39;");
	is_escaped("tab\tline\nß€😀", "tab\tline\nß€😀");
	/* Control characters, and what is no UTF-8: cut, overlong, a surrogate, too large. */
	is_escaped("\x1b[2J\x7f", "\xef\xbf\xbd[2J\xef\xbf\xbd");
	is_escaped("\xc3", "\xef\xbf\xbd");
	is_escaped("\xc3(", "\xef\xbf\xbd(");
	is_escaped("\xc0\xbc", "\xef\xbf\xbd\xef\xbf\xbd");
	is_escaped("\xed\xa0\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	is_escaped("\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	/* U+FFFF and U+0085 are none of XML's. */
	is_escaped("\xef\xbf\xbf", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
	is_escaped("\xc2\x85", "\xef\xbf\xbd\xef\xbf\xbd");
}

static void test_put(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	char word[3000];

	(void)state;
	memset(word, 'x', sizeof(word) - 1);
	word[sizeof(word) - 1] = 0;
	for (int i = 0; i < 50; i++)
		mb_put(&b, "%s|%d\n", word, i);
	assert_false(b.failed);
	assert_int_equal(b.len, 50 * 3001 + 10 * 1 + 40 * 2);
	assert_memory_equal(b.data + b.len - 4, "|49\n", 4);
}

static void test_numbers(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *o =
		json_pack("{s:i, s:f, s:n, s:s}", "i", 7, "f", 2.25, "n", "s", "text");
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	mb_cleanup(mb_json_unrefp) json_t *none = mb_json_real(INFINITY);
	mb_cleanup(mb_json_unrefp) json_t *odd = mb_json_any_text("a\xff b");

	(void)state;
	mb_put_number(&b, o, "i", 0, "-");
	mb_put_number(&b, o, "f", 1, "-");
	mb_put_number(&b, o, "n", 1, "-");
	mb_put_number(&b, o, "s", 1, "?");
	mb_put_number(&b, NULL, "x", 1, "!");
	mb_buf_put_u8(&b, 0);
	assert_string_equal(b.data, "72.2-?!");
	assert_true(isnan(mb_json_number(o, "n")) && mb_json_number(o, "i") == 7);
	assert_true(json_is_null(none));
	assert_string_equal(json_string_value(odd), "a? b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_escape),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
