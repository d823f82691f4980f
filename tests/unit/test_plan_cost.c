// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

#include "server/plan/cost.h"

#define MBIT_OF_1_MB_S 8.388608 /* a MB is 2^20 bytes, a Mbit 10^6 bits */

static struct mb_move cost(uint64_t memory_mb, uint64_t dirty_kb_s, uint32_t link_mbit_s)
{
	const struct mb_plan_vm vm = { .memory_mb = memory_mb, .dirty_kb_s = dirty_kb_s };
	const struct mb_plan_options o = { .link_mbit_s = link_mbit_s };
	struct mb_move move = { .from = 0, .to = 1 };

	mb_plan_cost(&move, &vm, &o);
	return move;
}

static void test_idle_vm(void **state)
{
	/* 4 GiB at 10 Gbit/s, the default, and at 1. */
	struct mb_move ten = cost(4096, 0, 0), one = cost(4096, 0, 1000);

	(void)state;
	assert_int_equal(ten.copy_mb, 4096);
	assert_int_equal(ten.time_s, (uint64_t)(4096 * MBIT_OF_1_MB_S / 10000) + 1);
	assert_int_equal(one.time_s, (uint64_t)(4096 * MBIT_OF_1_MB_S / 1000) + 1);
	assert_true(ten.converges && one.converges);
}

static void test_first_placement(void **state)
{
	const struct mb_plan_vm vm = { .memory_mb = 4096, .dirty_kb_s = UINT64_MAX };
	const struct mb_plan_options o = { 0 };
	struct mb_move move = { .from = MB_NOWHERE, .to = 1 };

	(void)state;
	mb_plan_cost(&move, &vm, &o);
	assert_int_equal(move.copy_mb, 0);
	assert_int_equal(move.time_s, 0);
	assert_true(move.converges);
}

/* The rounds are a geometric row, but for the last one, which is a stop of at most 16 MB. */
static void test_rounds(void **state)
{
	struct rng r = { 5 };

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		uint64_t mb = 1 + rng_below(&r, 1 << 20), kb_s = rng_below(&r, 1 << 20);
		uint32_t link = 9000 + (uint32_t)rng_below(&r, 90000);
		double ratio = (double)kb_s / 1024 * MBIT_OF_1_MB_S / link;
		struct mb_move move = cost(mb, kb_s, link);
		double all = (double)mb / (1 - ratio);

		assert_true(ratio < 1 && move.converges);
		/* What is left after 30 rounds, and what a stop spares of the row. */
		assert_true((double)move.copy_mb >= (double)mb - 1);
		assert_true((double)move.copy_mb <= all + 1);
		if (ratio < 0.5)
			assert_true((double)move.copy_mb >= all - 17);
		assert_true((double)move.time_s >=
			    ((double)move.copy_mb - 1) * MBIT_OF_1_MB_S / link);
		assert_true((double)move.time_s <=
			    ((double)move.copy_mb + 1) * MBIT_OF_1_MB_S / link + 1);
	}
}

static void test_never_converges(void **state)
{
	/* 1 Mbit/s is 122 KB/s, and so many are dirtied: just no. */
	struct mb_move under = cost(1024, 122, 1), over = cost(1024, 123, 1);
	struct mb_move wild = cost(1024, UINT64_MAX, 1);

	(void)state;
	assert_true(under.converges);
	assert_false(over.converges);
	assert_false(wild.converges);
	/* It is given up after so many rounds, each of all memory at most. */
	assert_int_equal(over.copy_mb, 1024 * 31);
	assert_int_equal(wild.copy_mb, 1024 * 31);
	assert_true(under.copy_mb < over.copy_mb);
}

static void test_absurd_sizes(void **state)
{
	const struct mb_plan_vm vm = { .memory_mb = UINT64_MAX };
	struct mb_plan_options o = { 0 };
	struct mb_move move;

	(void)state;
	move = cost(UINT64_MAX, UINT64_MAX, 1);
	assert_int_equal(move.copy_mb, UINT64_MAX);
	assert_int_equal(move.time_s, UINT64_MAX);
	move = cost(0, UINT64_MAX, UINT32_MAX);
	assert_int_equal(move.copy_mb, 0);
	assert_int_equal(mb_plan_merge_s(&vm, &o), UINT64_MAX / 20 + 1);
	o.merge_mb_s = 1;
	assert_int_equal(mb_plan_merge_s(&vm, &o), UINT64_MAX);
}

static void test_merging(void **state)
{
	struct mb_plan_vm vm = { .memory_mb = 41 };
	struct mb_plan_options o = { 0 };

	(void)state;
	assert_int_equal(mb_plan_merge_s(&vm, &o), 3);
	vm.memory_mb = 40;
	assert_int_equal(mb_plan_merge_s(&vm, &o), 2);
	o.merge_mb_s = 40;
	assert_int_equal(mb_plan_merge_s(&vm, &o), 1);
	vm.memory_mb = 0;
	assert_int_equal(mb_plan_merge_s(&vm, &o), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_vm),	     cmocka_unit_test(test_first_placement),
		cmocka_unit_test(test_rounds),	     cmocka_unit_test(test_never_converges),
		cmocka_unit_test(test_absurd_sizes), cmocka_unit_test(test_merging),
	};

	return cmocka_run_group_tests_name("plan_cost", tests, NULL, NULL);
}
