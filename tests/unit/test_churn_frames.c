// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn_frames.h"

#include "tests/unit/util_test.h"

static struct mb_frame_range ranges[64];
static size_t n_ranges, fail_at;

static int on_range(void *ctx, const struct mb_frame_range *r, struct mb_err *err)
{
	(void)ctx;
	if (fail_at && n_ranges + 1 == fail_at)
		return mb_fail(err, ENOSPC, "no more");
	ranges[n_ranges++] = *r;
	return 0;
}

static int compare(const struct mb_page *a, size_t n_a, const struct mb_page *b, size_t n_b,
		   struct mb_frames_diff *ret, struct mb_err *err)
{
	struct mb_frame_array before = { a, 0, n_a }, after = { b, 0, n_b };

	n_ranges = 0;
	return mb_frames_compare(&(struct mb_frame_stream){ mb_frame_array_next, &before },
				 &(struct mb_frame_stream){ mb_frame_array_next, &after }, ret,
				 on_range, NULL, err);
}

static void is_range(size_t i, uint64_t first, uint64_t n, enum mb_frame_fate fate, int from,
		     int to)
{
	assert_true(i < n_ranges);
	assert_int_equal(ranges[i].first, first);
	assert_int_equal(ranges[i].n, n);
	assert_int_equal(ranges[i].fate, fate);
	assert_int_equal(ranges[i].from, from);
	assert_int_equal(ranges[i].to, to);
}

enum { ANON = MB_CLASS_ANON, FILE_ = MB_CLASS_FILE, SLAB = MB_CLASS_SLAB };

static const struct mb_page before[] = {
	{ 1, 10, ANON, 0, false },  { 2, 20, ANON, 0, false }, { 3, 30, ANON, 0, false },
	{ 4, 40, FILE_, 0, false }, { 7, 70, SLAB, 0, false }, { 8, 80, SLAB, 0, false },
};
static const struct mb_page after[] = {
	{ 1, 11, ANON, 0, false }, { 2, 21, ANON, 0, false }, { 3, 30, FILE_, 0, false },
	{ 4, 41, ANON, 0, false }, { 5, 50, ANON, 0, false }, { 6, 60, ANON, 0, false },
	{ 8, 80, SLAB, 0, false },
};

static void test_compare(void **state)
{
	struct mb_err err = { 0 };
	struct mb_frames_diff d;

	(void)state;
	fail_at = 0;
	assert_ok(compare(before, 6, after, 7, &d, &err), &err);
	assert_int_equal(d.same, 2);
	assert_int_equal(d.changed, 3);
	assert_int_equal(d.came, 2);
	assert_int_equal(d.went, 1);
	assert_int_equal(n_ranges, 5);
	assert_int_equal(d.ranges, 5);
	is_range(0, 1, 2, MB_FRAME_CHANGED, ANON, ANON);
	is_range(1, 3, 1, MB_FRAME_SAME, ANON, FILE_);
	is_range(2, 4, 1, MB_FRAME_CHANGED, FILE_, ANON);
	is_range(3, 5, 2, MB_FRAME_CAME, ANON, ANON);
	is_range(4, 7, 1, MB_FRAME_WENT, SLAB, SLAB);
	assert_int_equal(d.classes[ANON].before, 3);
	assert_int_equal(d.classes[ANON].after, 5);
	assert_int_equal(d.classes[ANON].changed, 3);
	assert_int_equal(d.classes[ANON].came, 2);
	assert_int_equal(d.classes[ANON].reclassed, 1);
	assert_int_equal(d.classes[FILE_].reclassed, 1);
	assert_int_equal(d.classes[SLAB].went, 1);
	assert_int_equal(d.classes[SLAB].changed, 0);
}

static void test_edges(void **state)
{
	struct mb_err err = { 0 };
	struct mb_frames_diff d;

	(void)state;
	fail_at = 0;
	assert_ok(compare(NULL, 0, NULL, 0, &d, &err), &err);
	assert_int_equal(n_ranges + d.same, 0);
	assert_ok(compare(before, 6, before, 6, &d, &err), &err);
	assert_int_equal(d.same, 6);
	assert_int_equal(n_ranges, 0);
	assert_ok(compare(NULL, 0, before, 6, &d, &err), &err);
	assert_int_equal(d.came, 6);
	assert_int_equal(n_ranges, 3);
	/* What it is told to stop at, it says. */
	fail_at = 2;
	assert_fails(compare(before, 6, after, 7, &d, &err), ENOSPC, &err, "no more");
	fail_at = 5;
	assert_fails(compare(before, 6, after, 7, &d, &err), ENOSPC, &err, "no more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_edges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
