// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pace.h"

#include "tests/unit/util_test.h"

#define S  1000000000ull
#define MS 1000000ull

static char text[320];

static const char *say(const struct mb_pace *p, uint64_t pass_ns, uint64_t cost_ns)
{
	mb_pace_say(p, pass_ns, cost_ns, text, sizeof(text));
	return text;
}

static void test_as_asked(void **state)
{
	struct mb_pace p = { .interval_ns = 60 * S, .budget = .01 };

	(void)state;
	/* 600 ms in a minute are just what it may take. */
	assert_false(mb_pace_epoch(&p, 100 * S, 101 * S, 600 * MS));
	assert_int_equal(p.next_ns, 160 * S);
	assert_false(mb_pace_epoch(&p, 160 * S, 161 * S, 1));
	assert_int_equal(p.next_ns, 220 * S);
}

static void test_budget(void **state)
{
	struct mb_pace p = { .interval_ns = 10 * S, .budget = .01 };

	(void)state;
	assert_true(mb_pace_epoch(&p, 0, S, 300 * MS));
	assert_int_equal(p.next_ns, 30 * S);
	assert_non_null(strstr(say(&p, S, 300 * MS), "300 ms"));
	assert_non_null(strstr(text, "30.0 s apart"));
	assert_non_null(strstr(text, "within 1 % of a core"));
	/* A little more is no news, but is kept to. */
	assert_false(mb_pace_epoch(&p, 30 * S, 31 * S, 310 * MS));
	assert_int_equal(p.next_ns, 61 * S);
	/* Much more is, and so is that it is as it should be again. */
	assert_true(mb_pace_epoch(&p, 61 * S, 62 * S, 900 * MS));
	assert_int_equal(p.next_ns, 151 * S);
	assert_true(mb_pace_epoch(&p, 151 * S, 152 * S, 1 * MS));
	assert_int_equal(p.next_ns, 161 * S);
	assert_non_null(strstr(say(&p, S, 1 * MS), "again"));
	assert_false(mb_pace_epoch(&p, 161 * S, 162 * S, 1 * MS));
}

static void test_slow_pass(void **state)
{
	struct mb_pace p = { .interval_ns = S };

	(void)state;
	assert_true(mb_pace_epoch(&p, 0, 8 * S, 8 * S));
	assert_int_equal(p.next_ns, 9 * S);
	assert_non_null(strstr(say(&p, 8 * S, 8 * S), "too long for --interval"));
}

static void test_without_a_pause(void **state)
{
	struct mb_pace p = { 0 };

	(void)state;
	assert_false(mb_pace_epoch(&p, 0, 8 * S, 8 * S));
	assert_false(mb_pace_epoch(&p, 9 * S, 10 * S, S));
	/* But with a budget. */
	p = (struct mb_pace){ .budget = .5 };
	assert_true(mb_pace_epoch(&p, 0, S, S));
	assert_int_equal(p.next_ns, 2 * S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_asked),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_slow_pass),
		cmocka_unit_test(test_without_a_pause),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
