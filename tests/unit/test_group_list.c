// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/group_list.h"
#include "tests/unit/util_test.h"

static void add(struct mb_group_list *l, uint64_t set, uint64_t weight)
{
	struct mb_err err = { 0 };

	for (uint32_t v = 0; v < 64; v++)
		if (set >> v & 1)
			assert_ok(mb_group_list_vm(l, v, &err), &err);
	assert_ok(mb_group_list_end(l, weight, &err), &err);
}

static void assert_group(const struct mb_groups *g, size_t i, uint64_t set, uint64_t weight)
{
	uint64_t found = 0;

	assert_true(i < g->n_groups);
	for (uint32_t k = 0; k < g->groups[i].n_vms; k++)
		found |= (uint64_t)1 << g->vms[g->groups[i].first_vm + k];
	assert_int_equal(found, set);
	assert_int_equal(g->groups[i].weight_pages, weight);
}

static void test_sorted_and_merged(void **state)
{
	struct mb_group_list l = { 0 };
	struct mb_err err = { 0 };
	struct mb_groups g;

	(void)state;
	add(&l, 0x6, 5);
	add(&l, 0x7, 1);
	add(&l, 0x3, 10);
	add(&l, 0x4, 99); /* of one VM */
	add(&l, 0x6, 7);
	add(&l, 0x5, 0); /* of no page */
	assert_ok(mb_group_list_finish(&l, &g, &err), &err);
	assert_int_equal(g.n_groups, 3);
	assert_group(&g, 0, 0x3, 10);
	assert_group(&g, 1, 0x7, 1);
	assert_group(&g, 2, 0x6, 12);
	assert_int_equal(g.n_vms, 7);
	mb_groups_deinit(&g);
	/* It can be used again, and nothing is left from before. */
	assert_ok(mb_group_list_finish(&l, &g, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
}

static void test_as_the_index_would_make_them(void **state)
{
	uint64_t digests[8][200];
	struct mb_digest_list lists[8];
	struct rng r = { 5 };

	(void)state;
	for (unsigned int round = 0; round < 20; round++) {
		struct mb_group_list l = { 0 };
		struct mb_groups made, computed;
		struct mb_err err = { 0 };

		for (uint32_t v = 0; v < 8; v++)
			lists[v] = (struct mb_digest_list){ digests[v], 0 };
		for (uint64_t d = 0; d < 200; d++) {
			uint64_t set = rng_next(&r) & rng_next(&r) & 0xff;

			for (uint32_t v = 0; v < 8; v++)
				if (set >> v & 1)
					digests[v][lists[v].n++] = d;
			add(&l, set, 1);
		}
		assert_ok(mb_group_list_finish(&l, &made, &err), &err);
		assert_ok(mb_groups_compute(&computed, lists, 8, 0, UINT64_MAX, &err), &err);
		assert_int_equal(made.n_groups, computed.n_groups);
		assert_int_equal(made.n_vms, computed.n_vms);
		assert_memory_equal(made.vms, computed.vms, made.n_vms * sizeof(*made.vms));
		for (size_t i = 0; i < made.n_groups; i++)
			assert_int_equal(made.groups[i].weight_pages,
					 computed.groups[i].weight_pages);
		mb_groups_deinit(&made);
		mb_groups_deinit(&computed);
	}
}

static void test_of_some_vms_only(void **state)
{
	const uint32_t renamed[] = { 0, UINT32_MAX, 1, 2 };
	struct mb_groups g, some;
	struct mb_group_list l = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	add(&l, 0xf, 1);
	add(&l, 0x3, 10); /* leaves one VM */
	add(&l, 0x5, 100);
	add(&l, 0x7, 1000); /* the same set then */
	assert_ok(mb_group_list_finish(&l, &g, &err), &err);
	assert_ok(mb_group_list_restrict(&g, renamed, &some, &err), &err);
	assert_int_equal(some.n_groups, 2);
	assert_group(&some, 0, 0x3, 1100);
	assert_group(&some, 1, 0x7, 1);
	mb_groups_deinit(&some);
	mb_groups_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_and_merged),
		cmocka_unit_test(test_as_the_index_would_make_them),
		cmocka_unit_test(test_of_some_vms_only),
	};

	return cmocka_run_group_tests_name("group_list", tests, NULL, NULL);
}
