// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

static void test_where_goes_in_front(void **state)
{
	struct mb_err err = { 0 };

	(void)state;
	assert_int_equal(mb_fail(&err, EBADMSG, "bad %s", "digest"), -EBADMSG);
	assert_string_equal(err.text, "bad digest");
	assert_int_equal(mb_fail_in(&err, -EBADMSG, "line %d", 7), -EBADMSG);
	assert_int_equal(mb_fail_in(&err, -EBADMSG, "file"), -EBADMSG);
	assert_string_equal(err.text, "file: line 7: bad digest");
	assert_int_equal(mb_fail_mem(&err, "a frame"), -ENOMEM);
	assert_string_equal(err.text, "out of memory for a frame");
}

static void test_nobody_wants_the_reason(void **state)
{
	(void)state;
	assert_int_equal(mb_fail(NULL, EINVAL, "%d", 1), -EINVAL);
	assert_int_equal(mb_fail_in(NULL, -EINVAL, "here"), -EINVAL);
	assert_int_equal(mb_fail_mem(NULL, "it"), -ENOMEM);
}

/* Hostile names end up in errors: a long one is cut, never overrun, at every length. */
static void test_long_reasons_are_cut(void **state)
{
	char name[2 * sizeof(((struct mb_err *)NULL)->text)];
	struct mb_err err = { 0 };

	(void)state;
	memset(name, 'x', sizeof(name));
	for (size_t n = 0; n < sizeof(name); n += 7) {
		name[n] = 0;
		assert_int_equal(mb_fail(&err, EINVAL, "%s", name), -EINVAL);
		assert_true(strlen(err.text) < sizeof(err.text));
		assert_int_equal(mb_fail_in(&err, -EINVAL, "%s", name), -EINVAL);
		assert_true(strlen(err.text) < sizeof(err.text));
		name[n] = 'x';
	}
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_where_goes_in_front),
		cmocka_unit_test(test_nobody_wants_the_reason),
		cmocka_unit_test(test_long_reasons_are_cut),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
