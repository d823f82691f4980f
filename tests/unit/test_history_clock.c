// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/history_clock.h"

#include "tests/unit/util_test.h"

#define DAY  (86400 * 1000000000ull)
#define YEAR (365 * DAY)

static struct mb_history_clock c;

static void test_goes_on_by_itself(void **state)
{
	(void)state;
	mb_history_clock_start(&c, 50 * YEAR, 50 * YEAR - 5, 1000);
	assert_int_equal(mb_history_clock_unix_ns(&c, 1000), 50 * YEAR - 5);
	assert_int_equal(mb_history_clock_unix_ns(&c, 1000 + DAY), 50 * YEAR - 5 + DAY);
}

/* Started with a clock that is ahead, or after a long time off: history is as old as it was. */
static void test_clock_is_ahead(void **state)
{
	(void)state;
	mb_history_clock_start(&c, 60 * YEAR, 50 * YEAR, 7);
	assert_int_equal(mb_history_clock_unix_ns(&c, 7 + DAY), 50 * YEAR + DAY);
}

/* Rows from a time when it was ahead; or the clock of a machine whose battery is empty. */
static void test_clock_is_behind(void **state)
{
	(void)state;
	mb_history_clock_start(&c, DAY, 50 * YEAR, 7);
	assert_int_equal(mb_history_clock_unix_ns(&c, 7 + DAY), 2 * DAY);
}

static void test_no_history(void **state)
{
	(void)state;
	mb_history_clock_start(&c, 50 * YEAR, 0, 7);
	assert_int_equal(mb_history_clock_unix_ns(&c, 8), 50 * YEAR + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_goes_on_by_itself),
		cmocka_unit_test(test_clock_is_ahead),
		cmocka_unit_test(test_clock_is_behind),
		cmocka_unit_test(test_no_history),
	};

	return cmocka_run_group_tests_name("history_clock", tests, NULL, NULL);
}
