// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor_gap.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

enum { ZERO = 7 };

static void add(struct mb_gap_pages *p, uint64_t digest, uint64_t frame, uint32_t state,
		uint32_t process)
{
	const struct mb_gap_page page = { digest, frame, process, state };
	struct mb_err err = { 0 };

	assert_ok(mb_gap_pages_add(p, &page, &err), &err);
}

/* What must hold whatever the pages are. */
static void count(struct mb_gap_pages *p, uint64_t (*by_process)[MB_GAP_STATES], struct mb_gap *ret)
{
	uint64_t lost = 0;

	mb_gap_count(p, ZERO, by_process, ret);
	for (int i = 0; i < MB_GAP_STATES; i++)
		lost += ret->lost[i];
	assert_int_equal(ret->predicted, ret->pages - ret->distinct);
	assert_int_equal(ret->predicted, ret->by_ksm + ret->otherwise + lost);
}

static void test_nothing(void **state)
{
	mb_cleanup(mb_gap_pages_deinit) struct mb_gap_pages p = { 0 };
	struct mb_gap g;

	(void)state;
	count(&p, NULL, &g);
	assert_int_equal(g.pages, 0);
	add(&p, 1, 10, MB_GAP_WAITING, 0);
	add(&p, 2, 11, MB_GAP_UNMARKED, 0);
	count(&p, NULL, &g);
	assert_int_equal(g.distinct, 2);
	assert_int_equal(g.predicted, 0);
}

/* Of one content the best frame stays, and each other one is lost for its own reason. */
static void test_reasons(void **state)
{
	mb_cleanup(mb_gap_pages_deinit) struct mb_gap_pages p = { 0 };
	uint64_t by_process[2][MB_GAP_STATES] = { { 0 } };
	struct mb_gap g;

	(void)state;
	add(&p, 5, 50, MB_GAP_HUGETLB, 0);
	add(&p, 5, 51, MB_GAP_SHARED, 0);
	add(&p, 5, 52, MB_GAP_UNMARKED, 1);
	add(&p, 5, 53, MB_GAP_UNMARKED, 1);
	add(&p, 5, 54, MB_GAP_HUGE, 1);
	add(&p, 5, 55, MB_GAP_WAITING, 0);
	add(&p, 5, 56, MB_GAP_WAITING, 1);
	count(&p, by_process, &g);
	assert_int_equal(g.predicted, 6);
	assert_int_equal(g.lost[MB_GAP_WAITING], 1);
	assert_int_equal(g.lost[MB_GAP_HUGE], 1);
	assert_int_equal(g.lost[MB_GAP_UNMARKED], 2);
	assert_int_equal(g.lost[MB_GAP_SHARED], 1);
	assert_int_equal(g.lost[MB_GAP_HUGETLB], 1);
	assert_int_equal(by_process[1][MB_GAP_UNMARKED], 2);
	assert_int_equal(by_process[0][MB_GAP_UNMARKED], 0);
	/* Which of the two that wait stays is chance, but it is one of them. */
	assert_int_equal(by_process[0][MB_GAP_WAITING] + by_process[1][MB_GAP_WAITING], 1);
	assert_int_equal(g.by_ksm + g.otherwise, 0);
}

static void test_what_is_merged_is_saved(void **state)
{
	mb_cleanup(mb_gap_pages_deinit) struct mb_gap_pages p = { 0 };
	struct mb_gap g;

	(void)state;
	/* Two merged frames of one content, of 3 and 2 pages, and one that waits. */
	for (int i = 0; i < 3; i++)
		add(&p, 9, 90, MB_GAP_MERGED, 0);
	for (int i = 0; i < 2; i++)
		add(&p, 9, 91, MB_GAP_MERGED, 0);
	add(&p, 9, 92, MB_GAP_WAITING, 0);
	/* A page that fork has left in two processes. */
	add(&p, 8, 80, MB_GAP_UNMARKED, 0);
	add(&p, 8, 80, MB_GAP_UNMARKED, 1);
	count(&p, NULL, &g);
	assert_int_equal(g.by_ksm, 3);
	assert_int_equal(g.otherwise, 1);
	assert_int_equal(g.lost[MB_GAP_MERGED], 1);
	assert_int_equal(g.lost[MB_GAP_WAITING], 1);
	assert_int_equal(g.predicted, 6);
}

static void test_zero_pages(void **state)
{
	mb_cleanup(mb_gap_pages_deinit) struct mb_gap_pages p = { 0 };
	struct mb_gap g;

	(void)state;
	for (int i = 0; i < 4; i++)
		add(&p, ZERO, UINT64_MAX, MB_GAP_ZERO_PAGE, 0);
	add(&p, ZERO, 70, MB_GAP_MERGED, 0);
	add(&p, ZERO, 71, MB_GAP_HUGE, 0);
	add(&p, 1, 72, MB_GAP_WAITING, 0);
	count(&p, NULL, &g);
	assert_int_equal(g.zero, 6);
	/* The kernel's own stays, and costs nothing. */
	assert_int_equal(g.otherwise, 3);
	assert_int_equal(g.lost[MB_GAP_ZERO_PAGE], 0);
	assert_int_equal(g.lost_zero[MB_GAP_MERGED], 1);
	assert_int_equal(g.lost_zero[MB_GAP_HUGE], 1);
	assert_int_equal(g.lost_zero[MB_GAP_WAITING], 0);
}

/* Each its own, though their number is the same. */
static void test_hidden_frames(void **state)
{
	mb_cleanup(mb_gap_pages_deinit) struct mb_gap_pages p = { 0 };
	struct mb_gap g;

	(void)state;
	for (int i = 0; i < 10; i++)
		add(&p, 3, 0, MB_GAP_WAITING, 0);
	count(&p, NULL, &g);
	assert_int_equal(g.lost[MB_GAP_WAITING], 9);
	assert_int_equal(g.otherwise, 0);
}

/* Any order of any pages. */
static void test_sums(void **state)
{
	struct rng r = { 3 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		mb_cleanup(mb_gap_pages_deinit) struct mb_gap_pages p = { 0 };
		uint32_t state_of[40];
		struct mb_gap g;

		for (int i = 0; i < 40; i++)
			state_of[i] = (uint32_t)rng_below(&r, MB_GAP_STATES);
		for (uint64_t n = rng_below(&r, 300); n; n--) {
			uint64_t frame = rng_below(&r, 40);

			add(&p, frame % 13, frame, state_of[frame], 0);
		}
		count(&p, NULL, &g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_what_is_merged_is_saved),
		cmocka_unit_test(test_zero_pages),
		cmocka_unit_test(test_hidden_frames),
		cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
