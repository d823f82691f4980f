// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/mover.h"

#include "tests/unit/util_test.h"

static struct mb_mover dry = { &mb_mover_dry };

static struct mb_migration of(const char *from, uint64_t begun_ms)
{
	return (struct mb_migration){ .vm = "web1",
				      .from = from,
				      .to = "h2",
				      .memory_mb = 100,
				      .copy_mb = 120,
				      .time_s = 10,
				      .begun_ms = begun_ms };
}

static const char *where(const struct mb_migration *g, uint64_t now_ms)
{
	struct mb_err err = { 0 };
	const char *host = NULL;
	enum mb_located l = mb_mover_dry.locate(&dry, g, now_ms, &host, &err);

	assert_int_equal(l, host ? MB_LOCATED_HOST : MB_LOCATED_NOWHERE);
	return host ? host : "nowhere";
}

static enum mb_polled poll(const struct mb_migration *g, uint64_t now_ms, struct mb_copied *p,
			   struct mb_err *err)
{
	*p = (struct mb_copied){ 0 };
	return mb_mover_dry.poll(&dry, g, now_ms, p, err);
}

static void test_takes_the_expected_time(void **state)
{
	struct mb_migration g = of("h1", 0);
	struct mb_copied p;
	struct mb_err err = { 0 };

	(void)state;
	assert_string_equal(where(&g, 1000), "h1");
	assert_int_equal(mb_mover_dry.begin(&dry, &g, 1000, &err), MB_BEGUN_OK);
	g.begun_ms = 1000;
	assert_int_equal(poll(&g, 3500, &p, &err), MB_POLLED_RUNNING);
	assert_int_equal(p.copied_mb, 30);
	assert_int_equal(p.left_mb, 90);
	assert_int_equal(p.ask_in_ms, 7500);
	assert_string_equal(where(&g, 10999), "h1");
	assert_int_equal(poll(&g, 11000, &p, &err), MB_POLLED_DONE);
	assert_int_equal(p.copied_mb, 120);
	assert_string_equal(where(&g, 11000), "h2");
}

static void test_first_placement(void **state)
{
	struct mb_migration g = of(NULL, 0);

	(void)state;
	g.time_s = g.copy_mb = 0;
	assert_string_equal(where(&g, 1000), "nowhere");
	g.begun_ms = 1000;
	assert_string_equal(where(&g, 1000), "h2");
}

static void test_cancel(void **state)
{
	struct mb_migration g = of("h1", 1000);
	struct mb_copied p;
	struct mb_err err = { 0 };

	(void)state;
	assert_int_equal(mb_mover_dry.cancel(&dry, &g, 5000, &err), MB_CANCELLED_ASKED);
	g.cancelled_ms = 5000;
	assert_int_equal(poll(&g, 6000, &p, &err), MB_POLLED_FAILED);
	assert_string_equal(err.text, "cancelled");
	assert_string_equal(where(&g, 99000), "h1");
	/* Too late. */
	g.cancelled_ms = 0;
	assert_int_equal(mb_mover_dry.cancel(&dry, &g, 11000, &err), MB_CANCELLED_LATE);
	g.cancelled_ms = 11000;
	assert_int_equal(poll(&g, 12000, &p, &err), MB_POLLED_DONE);
	assert_string_equal(where(&g, 12000), "h2");
}

static void test_times_beyond_all_clocks(void **state)
{
	struct mb_migration g = of("h1", 1000);
	struct mb_copied p;
	struct mb_err err = { 0 };

	(void)state;
	g.time_s = UINT64_MAX;
	assert_int_equal(poll(&g, (uint64_t)1 << 60, &p, &err), MB_POLLED_RUNNING);
	assert_string_equal(where(&g, (uint64_t)1 << 60), "h1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_the_expected_time),
		cmocka_unit_test(test_first_placement),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_times_beyond_all_clocks),
	};

	return cmocka_run_group_tests_name("mover_dry", tests, NULL, NULL);
}
