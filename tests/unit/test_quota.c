// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/quota.h"

#include "tests/unit/util_test.h"

#define S  1000000000ull
#define MB (1024 * 1024ull)

static struct mb_flow f;
static enum mb_quota_kind kind;
static uint64_t wait_ns;

static int set_up(void **state)
{
	(void)state;
	f = (struct mb_flow){ 0 };
	return 0;
}

static int take(const struct mb_quota *q, uint64_t bytes, uint64_t at_s)
{
	struct mb_err err = { 0 };
	int r = mb_flow_take(&f, q, bytes, at_s * S, &kind, &wait_ns, &err);

	if (r < 0)
		assert_fails(r, EDQUOT, &err, "is used up");
	return r;
}

static void test_parse(void **state)
{
	struct mb_quota q = mb_quota_default;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_quota_parse("vms=7,mb_per_day=0", &q, &err), &err);
	assert_int_equal(q.max[MB_QUOTA_VMS], 7);
	assert_int_equal(q.max[MB_QUOTA_MB_PER_DAY], 0);
	assert_int_equal(q.max[MB_QUOTA_SESSIONS], mb_quota_default.max[MB_QUOTA_SESSIONS]);
	for (int i = 0; i < MB_QUOTA_END; i++) {
		char text[64];

		assert_true(mb_quota_default.max[i] > 0);
		snprintf(text, sizeof(text), "%s=%d", mb_quota_name((enum mb_quota_kind)i), 90 + i);
		assert_ok(mb_quota_parse(text, &q, &err), &err);
		assert_int_equal(q.max[i], 90 + i);
	}
	assert_fails(mb_quota_parse("vms", &q, &err), EINVAL, &err, "\"vms\": not NAME=NUMBER");
	assert_fails(mb_quota_parse("vms=1,", &q, &err), EINVAL, &err, "\"\"");
	assert_fails(mb_quota_parse("", &q, &err), EINVAL, &err, "names are");
	assert_fails(mb_quota_parse("vm=1", &q, &err), EINVAL, &err, "\"vm=1\"");
	assert_fails(mb_quota_parse("vms=-1", &q, &err), EINVAL, &err, "vms");
	assert_fails(mb_quota_parse("mb_per_hour=99999999999", &q, &err), EINVAL, &err,
		     "mb_per_hour");
}

/* A whole quota at once after a rest, then at the rate. */
static void test_frames(void **state)
{
	const struct mb_quota q = { .max[MB_QUOTA_FRAMES_PER_MINUTE] = 6 };
	int n = 0;

	(void)state;
	while (take(&q, 1ull << 40, 1000) == 0)
		n++;
	assert_int_equal(n, 6);
	assert_int_equal(kind, MB_QUOTA_FRAMES_PER_MINUTE);
	assert_in_range(wait_ns, 10 * S - 10, 10 * S);
	assert_ok(take(&q, 1, 1010), NULL);
	/* Waiting as long as is said is enough. */
	for (int i = 0; i < 10; i++) {
		uint64_t at = 2000 + 10 * (uint64_t)i;

		while (take(&q, 1, at) == 0)
			;
		assert_true(wait_ns <= 10 * S);
		assert_ok(take(&q, 1, at + wait_ns / S + 1), NULL);
	}
	/* In the long run no more than the quota and what was put by. */
	set_up(NULL);
	n = 0;
	for (uint64_t t = 0; t < 36000; t++)
		n += take(&q, 1, 5000 + t / 10) == 0;
	assert_in_range(n, 360, 360 + 7);
}

/* One that is larger than the whole quota passes, and the next waits the longer. */
static void test_bytes(void **state)
{
	const struct mb_quota q = {
		.max = { [MB_QUOTA_MB_PER_HOUR] = 10, [MB_QUOTA_MB_PER_DAY] = 100 }
	};

	(void)state;
	assert_ok(take(&q, 50 * MB, 100), NULL);
	assert_true(take(&q, 1, 100) < 0);
	assert_int_equal(kind, MB_QUOTA_MB_PER_HOUR);
	assert_in_range(wait_ns / S, 4 * 3600 - 1, 4 * 3600 + 1);
	assert_true(take(&q, 1, 100 + 4 * 3600 - 1) < 0);
	assert_ok(take(&q, 1, 100 + 4 * 3600 + 1), NULL);
	/* The day's holds what the hour's let through. */
	assert_ok(take(&q, 300 * MB, 100000), NULL);
	assert_true(take(&q, 1, 100000 + 40 * 3600) < 0);
	assert_int_equal(kind, MB_QUOTA_MB_PER_DAY);
	assert_false(mb_flow_is_idle(&f, 100000 * S));
	assert_true(mb_flow_is_idle(&f, 1000000 * S));
}

static void test_without(void **state)
{
	const struct mb_quota q = { .max = { 0 } };

	(void)state;
	for (int i = 0; i < 100000; i++)
		assert_int_equal(take(&q, 1ull << 50, 1), 0);
	assert_true(mb_flow_is_idle(&f, 0));
}

/* As if it had been there all the time: each hour gives back an hour's part. */
static void test_recall(void **state)
{
	const struct mb_quota q = { .max = { [MB_QUOTA_MB_PER_DAY] = 24 } };
	const uint64_t hour_ns = 3600000000000, now_ns = 5;
	uint64_t bytes[MB_FLOW_HOURS] = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	mb_flow_recall(&f, &q, bytes, now_ns);
	assert_true(mb_flow_is_idle(&f, now_ns));
	/* One MB an hour ago is given back, and so are ten of ten hours. */
	bytes[1] = 1 << 20;
	mb_flow_recall(&f, &q, bytes, now_ns);
	assert_true(mb_flow_is_idle(&f, now_ns));
	bytes[10] = 9 << 20;
	mb_flow_recall(&f, &q, bytes, now_ns);
	assert_true(mb_flow_is_idle(&f, now_ns));
	/* Of 30 two hours ago 28 are left: four hours until there is room again. */
	bytes[10] = 0;
	bytes[1] = 0;
	bytes[2] = 30 << 20;
	mb_flow_recall(&f, &q, bytes, now_ns);
	assert_int_equal(mb_flow_take(&f, &q, 1, now_ns, &kind, &wait_ns, &err), -EDQUOT);
	assert_int_equal(kind, MB_QUOTA_MB_PER_DAY);
	assert_in_range(wait_ns, 4 * hour_ns - 1000, 4 * hour_ns + 1000);
	/* Who had a day's worth long ago has room for all of it. */
	bytes[2] = 0;
	bytes[MB_FLOW_HOURS - 1] = 24 << 20;
	mb_flow_recall(&f, &q, bytes, now_ns);
	assert_true(mb_flow_is_idle(&f, now_ns));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test_setup(test_recall, set_up),
		cmocka_unit_test_setup(test_frames, set_up),
		cmocka_unit_test_setup(test_bytes, set_up),
		cmocka_unit_test_setup(test_without, set_up),
	};

	return cmocka_run_group_tests_name("quota", tests, NULL, NULL);
}
