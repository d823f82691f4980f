// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/multiset_hash.h"
#include "server/groups.h"

#define VMS_MAX 64

struct vms {
	struct mb_fingerprint fps[VMS_MAX];
	struct mb_digest_list lists[VMS_MAX];
	uint32_t n;
};

/* Digests within [0, space) + base; space 0 is all 64 bits. */
static void make_vms(struct rng *r, struct vms *s, uint32_t n, size_t pages, uint64_t space)
{
	s->n = n;
	for (uint32_t v = 0; v < n; v++) {
		random_fingerprint(r, rng_below(r, pages + 1), space, &s->fps[v]);
		s->lists[v] = (struct mb_digest_list){ s->fps[v].digests, s->fps[v].n_distinct };
	}
}

static void free_vms(struct vms *s)
{
	for (uint32_t v = 0; v < s->n; v++)
		mb_fingerprint_deinit(&s->fps[v]);
}

static bool has(const struct mb_digest_list *l, uint64_t digest)
{
	for (uint32_t i = 0; i < l->n; i++)
		if (l->digests[i] == digest)
			return true;
	return false;
}

static uint64_t set_of(const struct mb_groups *g, const struct mb_group *group)
{
	uint64_t set = 0;

	for (uint32_t k = 0; k < group->n_vms; k++)
		set |= (uint64_t)1 << g->vms[group->first_vm + k];
	return set;
}

static uint64_t *weight_of(const struct mb_groups *g, uint64_t set)
{
	for (size_t i = 0; i < g->n_groups; i++)
		if (set_of(g, &g->groups[i]) == set)
			return &g->groups[i].weight_pages;
	return NULL;
}

/* Takes every digest's page off its group: what is left over must be nothing. */
static void check_against_brute_force(const struct vms *s, const struct mb_groups *g,
				      uint64_t first, uint64_t last)
{
	for (uint32_t v = 0; v < s->n; v++)
		for (uint32_t i = 0; i < s->lists[v].n; i++) {
			uint64_t digest = s->lists[v].digests[i], set = 0;

			if (digest < first || digest > last)
				continue;
			for (uint32_t u = 0; u < s->n; u++)
				set |= (uint64_t)has(&s->lists[u], digest) << u;
			/* Once per digest: by the first VM that has it. */
			if (!(set & (set - 1)) || (set & (((uint64_t)1 << v) - 1)))
				continue;
			assert_non_null(weight_of(g, set));
			assert_true((*weight_of(g, set))-- > 0);
		}
	for (size_t i = 0; i < g->n_groups; i++)
		assert_int_equal(g->groups[i].weight_pages, 0);
}

static void assert_ordered(const struct mb_groups *g)
{
	uint32_t at = 0;

	for (size_t i = 0; i < g->n_groups; i++) {
		const uint32_t *a = g->vms + g->groups[i].first_vm, *b;
		uint32_t k = 0;

		assert_int_equal(g->groups[i].first_vm, at);
		assert_true(g->groups[i].n_vms >= 2);
		at += g->groups[i].n_vms;
		for (uint32_t j = 1; j < g->groups[i].n_vms; j++)
			assert_true(a[j - 1] < a[j]);
		if (i + 1 == g->n_groups)
			break;
		b = g->vms + g->groups[i + 1].first_vm;
		while (k < g->groups[i].n_vms && k < g->groups[i + 1].n_vms && a[k] == b[k])
			k++;
		assert_true(k == g->groups[i].n_vms || (k < g->groups[i + 1].n_vms && a[k] < b[k]));
	}
	assert_int_equal(at, g->n_vms);
}

static void assert_groups_equal(const struct mb_groups *a, const struct mb_groups *b)
{
	assert_int_equal(a->n_groups, b->n_groups);
	assert_int_equal(a->n_vms, b->n_vms);
	assert_memory_equal(a->groups, b->groups, a->n_groups * sizeof(*a->groups));
	assert_memory_equal(a->vms, b->vms, a->n_vms * sizeof(*a->vms));
}

static void test_brute_force(void **state)
{
	static const uint64_t spaces[] = { 5, 50, 300, 5000, 0 };
	struct rng r = { 1 };

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		uint64_t space = spaces[i % 5], first = 0, last = UINT64_MAX;
		struct mb_err err = { 0 };
		struct mb_groups g, again;
		struct vms s;

		make_vms(&r, &s, (uint32_t)rng_below(&r, 9), 60, space);
		if (i % 3 == 0 && space) {
			first = rng_below(&r, space);
			last = rng_below(&r, space);
		}
		assert_ok(mb_groups_compute(&g, s.lists, s.n, first, last, &err), &err);
		assert_ok(mb_groups_compute(&again, s.lists, s.n, first, last, &err), &err);
		assert_ordered(&g);
		assert_groups_equal(&g, &again);
		check_against_brute_force(&s, &g, first, last);
		mb_groups_deinit(&g);
		mb_groups_deinit(&again);
		free_vms(&s);
	}
}

/* Many buckets; clusters, 32-bit digests, the ends of the space. */
static void make_clustered(struct rng *r, struct vms *s, uint32_t n, unsigned int shape)
{
	struct mb_err err = { 0 };

	s->n = n;
	for (uint32_t v = 0; v < n; v++) {
		size_t pages = 5000;
		uint64_t *d = malloc(pages * sizeof(*d));

		assert_non_null(d);
		for (size_t i = 0; i < pages; i++) {
			uint64_t x = rng_below(r, 40000);

			switch (shape) {
			case 0: /* a third of the digests side by side, the others apart */
				d[i] = x % 3 ? mb_mix64(x) : ((uint64_t)1 << 40) + x;
				break;
			case 1:
				d[i] = mb_mix64(x) >> 32;
				break;
			case 2: /* both ends */
				d[i] = x & 1 ? UINT64_MAX - x / 2 : x / 2;
				break;
			default: /* few digests that all have: larger than any bucket */
				d[i] = x % 100;
			}
		}
		assert_ok(mb_fingerprint_from_digests(&s->fps[v], d, pages, &err), &err);
		s->lists[v] = (struct mb_digest_list){ s->fps[v].digests, s->fps[v].n_distinct };
		free(d);
	}
}

static void check_matrix(const struct vms *s, const struct mb_groups *g)
{
	uint64_t inter[VMS_MAX * VMS_MAX], any[VMS_MAX];
	uint8_t on_host[VMS_MAX] = { 0 };

	mb_groups_matrix(g, s->n, inter);
	mb_groups_any(g, s->n, any);
	for (uint32_t i = 0; i < s->n; i++) {
		uint64_t apart = 0;

		for (uint32_t j = 0; j < s->n; j++) {
			struct mb_pair_sharing p;

			mb_fingerprint_pair_sharing(&s->fps[i], &s->fps[j], &p);
			assert_int_equal(inter[i * s->n + j], i == j ? 0 : p.inter);
			if (j <= i)
				continue;
			on_host[i] = on_host[j] = 1;
			assert_int_equal(mb_groups_inter_saving(g, on_host), p.inter);
			on_host[i] = on_host[j] = 0;
		}
		for (uint32_t k = 0; k < s->lists[i].n; k++) {
			uint32_t u = 0;

			while (u < s->n &&
			       (u == i || !mb_fingerprint_find(&s->fps[u], s->lists[i].digests[k])))
				u++;
			apart += u == s->n;
		}
		assert_int_equal(any[i], s->lists[i].n - apart);
	}
}

static void test_matrix_of_clustered_digests(void **state)
{
	struct rng r = { 2 };

	(void)state;
	for (unsigned int shape = 0; shape < 4; shape++) {
		struct mb_err err = { 0 };
		struct mb_groups g;
		struct vms s;

		make_clustered(&r, &s, 8, shape);
		assert_ok(mb_groups_compute(&g, s.lists, s.n, 0, UINT64_MAX, &err), &err);
		assert_ordered(&g);
		check_matrix(&s, &g);
		mb_groups_deinit(&g);
		free_vms(&s);
	}
}

static void test_ranges_add_up(void **state)
{
	struct rng r = { 3 };

	(void)state;
	for (unsigned int shape = 0; shape < 4; shape++) {
		static const uint64_t cuts[] = { 17, (uint64_t)1 << 31, ((uint64_t)1 << 40) + 5000,
						 (uint64_t)1 << 63, UINT64_MAX };
		struct mb_groups whole, part;
		struct mb_err err = { 0 };
		uint64_t first = 0;
		struct vms s;

		make_clustered(&r, &s, 6, shape);
		assert_ok(mb_groups_compute(&whole, s.lists, s.n, 0, UINT64_MAX, &err), &err);
		for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
			assert_ok(mb_groups_compute(&part, s.lists, s.n, first, cuts[i], &err),
				  &err);
			for (size_t k = 0; k < part.n_groups; k++) {
				uint64_t *w = weight_of(&whole, set_of(&part, &part.groups[k]));

				assert_non_null(w);
				*w -= part.groups[k].weight_pages;
			}
			mb_groups_deinit(&part);
			first = cuts[i] + 1;
		}
		for (size_t k = 0; k < whole.n_groups; k++)
			assert_int_equal(whole.groups[k].weight_pages, 0);
		mb_groups_deinit(&whole);
		free_vms(&s);
	}
}

static void test_nothing_to_share(void **state)
{
	uint64_t digests[] = { 0, 5, UINT64_MAX };
	struct mb_digest_list lists[] = { { digests, 3 }, { digests, 0 }, { digests, 3 } };
	struct mb_err err = { 0 };
	struct mb_groups g;
	uint64_t any[1] = { 1 };

	(void)state;
	assert_ok(mb_groups_compute(&g, NULL, 0, 0, UINT64_MAX, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
	assert_ok(mb_groups_compute(&g, lists, 2, 0, UINT64_MAX, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_any(&g, 1, any);
	assert_int_equal(any[0], 0);
	mb_groups_deinit(&g);
	/* An empty range; one digest; both ends of the space. */
	assert_ok(mb_groups_compute(&g, lists, 3, 6, 4, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
	assert_ok(mb_groups_compute(&g, lists, 3, 5, 5, &err), &err);
	assert_int_equal(g.n_groups, 1);
	assert_int_equal(g.groups[0].weight_pages, 1);
	mb_groups_deinit(&g);
	assert_ok(mb_groups_compute(&g, lists, 3, 0, UINT64_MAX, &err), &err);
	assert_int_equal(g.n_groups, 1);
	assert_int_equal(g.groups[0].weight_pages, 3);
	assert_int_equal(g.vms[0], 0);
	assert_int_equal(g.vms[1], 2);
	mb_groups_deinit(&g);
	assert_fails(mb_groups_compute(&g, lists, UINT32_MAX, 0, 1, &err), EINVAL, &err, "2^31");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_brute_force),
		cmocka_unit_test(test_matrix_of_clustered_digests),
		cmocka_unit_test(test_ranges_add_up),
		cmocka_unit_test(test_nothing_to_share),
	};

	return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
