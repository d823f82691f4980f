// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/printable.h"

#include "tests/unit/util_test.h"

static void test_printable(void **state)
{
	char plain[] = "/system.slice/a b-1~", empty[] = "";
	char evil[] = "a\033]0;x\007\n\r\x7f\x9b"
		      "31m\xff\xc3\xa9";

	(void)state;
	mb_printable(plain);
	assert_string_equal(plain, "/system.slice/a b-1~");
	mb_printable(empty);
	assert_string_equal(empty, "");
	mb_printable(evil);
	assert_string_equal(evil, "a?]0;x?????31m???");
}

static void test_every_byte(void **state)
{
	(void)state;
	for (int c = 1; c < 256; c++) {
		char text[2] = { (char)c, 0 };

		mb_printable(text);
		assert_int_equal(text[0], c >= ' ' && c <= '~' ? c : '?');
		assert_int_equal(text[1], 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_printable),
		cmocka_unit_test(test_every_byte),
	};

	return cmocka_run_group_tests_name("printable", tests, NULL, NULL);
}
