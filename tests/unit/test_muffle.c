// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/muffle.h"

#include "tests/unit/util_test.h"

#define S 1000000000ull

static struct mb_muffle m;
static uint64_t held;

static int set_up(void **state)
{
	(void)state;
	m = (struct mb_muffle){ 0 };
	held = 99;
	return 0;
}

static void test_once_a_minute_per_peer(void **state)
{
	uint64_t t = 1000 * S;

	(void)state;
	assert_true(mb_muffle_pass(&m, "a", t, &held));
	assert_int_equal(held, 0);
	assert_false(mb_muffle_pass(&m, "a", t, &held));
	assert_false(mb_muffle_pass(&m, "a", t + 59 * S, &held));
	assert_true(mb_muffle_pass(&m, "b", t + 59 * S, &held));
	assert_int_equal(held, 2);
	assert_true(mb_muffle_pass(&m, "a", t + 60 * S, &held));
	assert_int_equal(held, 0);
}

/* A new peer every time, as of one who has a network full of addresses. */
static void test_many_peers(void **state)
{
	uint64_t t = 5 * S, sum = 0;
	int told = 0;
	char name[20];

	(void)state;
	for (int i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "%d", i);
		if (mb_muffle_pass(&m, name, t + (uint64_t)i * S / 100, &held)) {
			told++;
			sum += held;
		}
	}
	/* 100 seconds and the burst. */
	assert_in_range(told, 100, 100 + MB_MUFFLE_BURST);
	assert_int_equal(sum + m.held_back + (uint64_t)told, 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_once_a_minute_per_peer, set_up),
		cmocka_unit_test_setup(test_many_peers, set_up),
	};

	return cmocka_run_group_tests_name("muffle", tests, NULL, NULL);
}
