// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/health.h"

#include "tests/unit/util_test.h"

#define S UINT64_C(1000000000)

static void test_alive(void **state)
{
	struct mb_health h = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_health_alive(&h, 5 * S, &err), ETIME, &err, "not begun");
	mb_health_beat(&h, 100 * S);
	assert_ok(mb_health_alive(&h, 100 * S, &err), &err);
	assert_ok(mb_health_alive(&h, 99 * S, &err), &err);
	assert_ok(mb_health_alive(&h, 130 * S, &err), &err);
	assert_fails(mb_health_alive(&h, 131 * S, &err), ETIME, &err, "31 s");
	assert_fails(mb_health_ready(&h, 131 * S, &err), ETIME, &err, "31 s");
	mb_health_beat(&h, 131 * S);
	assert_ok(mb_health_alive(&h, 131 * S, &err), &err);
}

static void test_ready(void **state)
{
	struct mb_health h = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	mb_health_beat(&h, S);
	assert_ok(mb_health_ready(&h, S, &err), &err);
	mb_health_stored(&h, false);
	assert_fails(mb_health_ready(&h, S, &err), EAGAIN, &err, "could not be kept");
	assert_ok(mb_health_alive(&h, S, &err), &err);
	mb_health_stored(&h, true);
	assert_ok(mb_health_ready(&h, S, &err), &err);
	assert_int_equal(atomic_load(&h.failures), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alive),
		cmocka_unit_test(test_ready),
	};

	return cmocka_run_group_tests_name("health", tests, NULL, NULL);
}
