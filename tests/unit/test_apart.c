// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "server/ctl/apart.h"

enum { N = 6, ROUNDS = 200 };

static void test_same_identity_is_plain_groups(void **state)
{
	const uint64_t a[] = { 1, 2, 3 }, b[] = { 2, 3, 4 }, c[] = { 3 };
	const struct mb_digest_list lists[] = { { a, 3 }, { b, 3 }, { c, 1 } };
	const struct mb_identity id = { .bits = 64 };
	const struct mb_identity *ids[] = { &id, &id, &id };
	struct mb_groups plain, apart;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_groups_compute(&plain, lists, 3, 0, UINT64_MAX, &err), &err);
	assert_ok(mb_groups_apart(&apart, ids, lists, 3, &err), &err);
	assert_int_equal(apart.n_groups, plain.n_groups);
	assert_int_equal(apart.n_vms, plain.n_vms);
	assert_memory_equal(apart.vms, plain.vms, plain.n_vms * sizeof(*plain.vms));
	mb_groups_deinit(&plain);
	mb_groups_deinit(&apart);
}

static uint64_t common(const struct mb_fingerprint *a, const struct mb_fingerprint *b)
{
	struct mb_pair_sharing s;

	mb_fingerprint_pair_sharing(a, b, &s);
	return s.inter;
}

static bool ascends(const struct mb_groups *g, size_t i)
{
	const struct mb_group *x = &g->groups[i - 1], *y = &g->groups[i];

	for (uint32_t k = 0; k < x->n_vms && k < y->n_vms; k++) {
		uint32_t vx = g->vms[x->first_vm + k], vy = g->vms[y->first_vm + k];

		if (vx != vy)
			return vx < vy;
	}
	return x->n_vms < y->n_vms;
}

static void test_identities_share_nothing(void **state)
{
	const struct mb_identity ids[3] = { { .bits = 64, .domain = "a" },
					    { .bits = 64, .domain = "b" },
					    { .bits = 48, .domain = "a" } };
	struct rng r = { 4 };

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		const struct mb_identity *of[N];
		struct mb_fingerprint fp[N];
		struct mb_digest_list lists[N];
		uint64_t inter[N * N];
		struct mb_groups g;
		struct mb_err err = { 0 };

		for (size_t i = 0; i < N; i++) {
			random_fingerprint(&r, 40, 60, &fp[i]);
			lists[i] = (struct mb_digest_list){ fp[i].digests, fp[i].n_distinct };
			of[i] = &ids[rng_below(&r, 3)];
		}
		assert_ok(mb_groups_apart(&g, of, lists, N, &err), &err);
		mb_groups_matrix(&g, N, inter);
		for (size_t i = 0; i < N; i++)
			for (size_t j = 0; j < N; j++)
				assert_int_equal(inter[i * N + j], i != j && of[i] == of[j] ?
									   common(&fp[i], &fp[j]) :
									   0);
		for (size_t i = 1; i < g.n_groups; i++)
			assert_true(ascends(&g, i));
		mb_groups_deinit(&g);
		for (size_t i = 0; i < N; i++)
			mb_fingerprint_deinit(&fp[i]);
	}
}

static void test_nobody(void **state)
{
	struct mb_groups g;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_groups_apart(&g, NULL, NULL, 0, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_identity_is_plain_groups),
		cmocka_unit_test(test_identities_share_nothing),
		cmocka_unit_test(test_nobody),
	};

	return cmocka_run_group_tests_name("apart", tests, NULL, NULL);
}
