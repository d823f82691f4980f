// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/group_table.h"

#include "tests/unit/util_test.h"

static void add(struct mb_group_table *t, uint32_t a, uint32_t b, uint64_t weight)
{
	struct mb_err err = { 0 };

	assert_ok(mb_group_table_add(t, (const uint32_t[]){ a, b }, 2, weight, &err), &err);
}

static void test_adds_up(void **state)
{
	enum { N = 90 };
	static uint64_t weights[N][N];
	struct mb_group_table t = { 0 };
	struct rng r = { 4 };
	struct mb_groups g;
	struct mb_err err = { 0 };
	size_t n = 0, i = 0;

	(void)state;
	for (int k = 0; k < 30000; k++) {
		uint32_t a = (uint32_t)rng_below(&r, N - 1);
		uint32_t b = a + 1 + (uint32_t)rng_below(&r, N - 1 - a);
		/* What was put in can be taken out again. */
		uint64_t weight =
			weights[a][b] && rng_below(&r, 2) ? -weights[a][b] : rng_below(&r, 9);

		weights[a][b] += weight;
		add(&t, a, b, weight);
	}
	assert_ok(mb_group_table_finish(&t, &g, &err), &err);
	assert_null(t.slots);
	for (uint32_t a = 0; a < N; a++)
		for (uint32_t b = a + 1; b < N; b++) {
			if (!weights[a][b])
				continue;
			assert_true(i < g.n_groups);
			assert_int_equal(g.groups[i].weight_pages, weights[a][b]);
			assert_int_equal(g.groups[i].first_vm, 2 * i);
			assert_int_equal(g.vms[2 * i], a);
			assert_int_equal(g.vms[2 * i + 1], b);
			n += 2;
			i++;
		}
	assert_int_equal(g.n_groups, i);
	assert_int_equal(g.n_vms, n);
	assert_true(i > 1000);
	mb_groups_deinit(&g);
}

static void test_sets_of_many_sizes(void **state)
{
	static const uint32_t vms[] = { 1, 2, 3, 4, 5 };
	struct mb_group_table t = { 0 };
	struct mb_groups g;
	struct mb_err err = { 0 };

	(void)state;
	for (uint32_t n = 5; n >= 2; n--)
		assert_ok(mb_group_table_add(&t, vms, n, n, &err), &err);
	assert_ok(mb_group_table_add(&t, vms + 1, 2, 0, &err), &err);
	assert_ok(mb_group_table_finish(&t, &g, &err), &err);
	/* A set before those that go on from it; none without a weight. */
	assert_int_equal(g.n_groups, 4);
	for (uint32_t i = 0; i < 4; i++) {
		assert_int_equal(g.groups[i].n_vms, i + 2);
		assert_int_equal(g.groups[i].weight_pages, i + 2);
	}
	mb_groups_deinit(&g);
	/* Nothing at all. */
	assert_ok(mb_group_table_finish(&t, &g, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_adds_up),
		cmocka_unit_test(test_sets_of_many_sizes),
	};

	return cmocka_run_group_tests_name("group_table", tests, NULL, NULL);
}
