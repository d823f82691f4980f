// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/file_list.h"

#include "tests/unit/util_test.h"

static void test_lists(void **state)
{
	struct mb_file_list l;
	struct mb_err err = { 0 };
	char many[2001];

	(void)state;
	assert_ok(mb_file_list_init(&l, "a b.mbt", &err), &err);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.paths[0], "a b.mbt");
	mb_file_list_deinit(&l);
	mb_file_list_deinit(&l);
	assert_ok(mb_file_list_init(&l, "/x/1,-, 3", &err), &err);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.paths[0], "/x/1");
	assert_string_equal(l.paths[1], "-");
	assert_string_equal(l.paths[2], " 3");
	mb_file_list_deinit(&l);
	for (size_t i = 0; i < 2000; i++)
		many[i] = i % 2 ? ',' : 'f';
	many[1999] = 0;
	assert_ok(mb_file_list_init(&l, many, &err), &err);
	assert_int_equal(l.n, 1000);
	mb_file_list_deinit(&l);
}

static void test_nameless_files(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "", "file 1 of \"\"" }, { ",", "file 1 of" },	   { ",a", "file 1 of" },
		{ "a,", "file 2 of" },	  { "a,,b", "file 2 of" }, { "a,b,", "file 3 of" },
	};
	struct mb_file_list l;
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_fails(mb_file_list_init(&l, bad[i].text, &err), EINVAL, &err, bad[i].word);
		assert_null(l.text);
		assert_null(l.paths);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_nameless_files),
	};

	return cmocka_run_group_tests_name("file_list", tests, NULL, NULL);
}
