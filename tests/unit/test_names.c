// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/names.h"

#include "tests/unit/util_test.h"

static void test_numbers_of_many(void **state)
{
	enum { N = 20000 };
	static char text[N][12];
	struct mb_names names;
	struct mb_err err;

	(void)state;
	assert_int_equal(mb_names_init(&names, N, &err), 0);
	for (uint32_t i = 0; i < N; i++) {
		snprintf(text[i], sizeof(text[i]), "v%u", i);
		assert_int_equal(mb_names_find(&names, text[i]), MB_NO_NAME);
		assert_int_equal(mb_names_put(&names, text[i], i), i);
	}
	for (uint32_t i = 0; i < N; i++) {
		char copy[12];

		strcpy(copy, text[i]);
		assert_int_equal(mb_names_find(&names, copy), i);
		assert_int_equal(mb_names_put(&names, copy, i + 1), i);
	}
	assert_int_equal(mb_names_find(&names, ""), MB_NO_NAME);
	mb_names_deinit(&names);
	mb_names_deinit(&names);
}

static void test_empty(void **state)
{
	struct mb_names names;
	struct mb_err err;

	(void)state;
	assert_int_equal(mb_names_init(&names, 0, &err), 0);
	assert_int_equal(mb_names_find(&names, "x"), MB_NO_NAME);
	mb_names_deinit(&names);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_of_many),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
