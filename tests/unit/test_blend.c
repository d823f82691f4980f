// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/blend.h"

#include "tests/unit/util_test.h"

enum { VMS = 6, LIST_MAX = 64 };

/* Random groups in any order; the same set may come twice. */
struct list {
	struct mb_group groups[LIST_MAX];
	uint32_t vms[LIST_MAX * VMS];
	struct mb_groups view;
};

static void make_list(struct rng *rng, struct list *l)
{
	l->view = (struct mb_groups){ l->groups, 0, l->vms, 0 };
	for (uint64_t n = rng_below(rng, LIST_MAX); n; n--) {
		uint64_t set = rng_below(rng, 1 << VMS);
		struct mb_group *g = &l->groups[l->view.n_groups];

		if (__builtin_popcountll(set) < 2)
			continue;
		*g = (struct mb_group){ rng_below(rng, 500), (uint32_t)l->view.n_vms, 0 };
		for (uint32_t v = 0; v < VMS; v++)
			if (set >> v & 1)
				l->vms[l->view.n_vms + g->n_vms++] = v;
		l->view.n_vms += g->n_vms;
		l->view.n_groups++;
	}
}

static void weigh(const struct mb_groups *g, uint64_t percent, uint64_t *sums)
{
	for (size_t i = 0; i < g->n_groups; i++) {
		uint64_t set = 0;

		for (uint32_t k = 0; k < g->groups[i].n_vms; k++)
			set |= (uint64_t)1 << g->vms[g->groups[i].first_vm + k];
		sums[set] += g->groups[i].weight_pages * percent;
	}
}

static void test_as_the_sums(void **state)
{
	struct rng rng = { 5 };

	(void)state;
	for (int run = 0; run < 500; run++) {
		uint32_t pa = (uint32_t)rng_below(&rng, 101), pb = 100 - pa;
		uint64_t want[1 << VMS] = { 0 }, got[1 << VMS] = { 0 };
		struct mb_groups blend;
		struct list a, b;
		struct mb_err err = { 0 };

		make_list(&rng, &a);
		make_list(&rng, &b);
		weigh(&a.view, pa, want);
		weigh(&b.view, pb, want);
		assert_ok(mb_groups_blend(&blend, &a.view, pa, &b.view, pb, &err), &err);
		weigh(&blend, 1, got);
		for (int set = 0; set < 1 << VMS; set++)
			assert_int_equal(got[set], want[set] / 100);
		for (size_t i = 0; i < blend.n_groups; i++)
			assert_true(blend.groups[i].weight_pages && blend.groups[i].n_vms >= 2);
		/* Sorted, each set once: the planners' own check. */
		for (size_t i = 1; i < blend.n_groups; i++) {
			const struct mb_group *x = &blend.groups[i - 1], *y = &blend.groups[i];
			uint32_t k = 0;

			while (k < x->n_vms && k < y->n_vms &&
			       blend.vms[x->first_vm + k] == blend.vms[y->first_vm + k])
				k++;
			assert_true(k < y->n_vms &&
				    (k == x->n_vms ||
				     blend.vms[x->first_vm + k] < blend.vms[y->first_vm + k]));
		}
		mb_groups_deinit(&blend);
	}
}

static void test_nothing(void **state)
{
	const struct mb_groups none = { 0 };
	struct mb_groups blend;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_groups_blend(&blend, &none, 50, &none, 50, &err), &err);
	assert_int_equal(blend.n_groups, 0);
	mb_groups_deinit(&blend);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_the_sums),
		cmocka_unit_test(test_nothing),
	};

	return cmocka_run_group_tests_name("blend", tests, NULL, NULL);
}
