// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"
#include "server/groups_parallel.h"

enum { VMS = 9 };

struct vms {
	struct mb_fingerprint fps[VMS];
	struct mb_digest_list lists[VMS];
	uint64_t bits[VMS][2048]; /* more than any list has digests */
	const uint64_t *keep[VMS];
};

enum shape { SPREAD, LOW_32_BITS, BOTH_ENDS, FEW, ONE, SHAPES };

static uint64_t digest_of(struct rng *r, enum shape shape)
{
	uint64_t x = rng_below(r, 20000);

	switch (shape) {
	case SPREAD:
		return mb_mix64(x);
	case LOW_32_BITS:
		return mb_mix64(x) >> 32;
	case BOTH_ENDS:
		return x & 1 ? UINT64_MAX - x / 2 : x / 2;
	case FEW: /* fewer than ranges */
		return x % 5;
	default:
		return UINT64_MAX;
	}
}

/* VM 3 has nothing, VM 4 most. */
static void make_vms(struct rng *r, struct vms *s, enum shape shape, size_t pages)
{
	for (uint32_t v = 0; v < VMS; v++) {
		size_t n = v == 3 ? 0 : v == 4 ? 4 * pages : pages;
		mb_autofree uint64_t *d = malloc((n + 1) * sizeof(*d));
		struct mb_err err = { 0 };

		assert_non_null(d);
		for (size_t i = 0; i < n; i++)
			d[i] = digest_of(r, shape);
		assert_ok(mb_fingerprint_from_digests(&s->fps[v], d, n, &err), &err);
		s->lists[v] = (struct mb_digest_list){ s->fps[v].digests, s->fps[v].n_distinct };
		/* Of every third all of them. */
		s->keep[v] = v % 3 ? s->bits[v] : NULL;
		for (size_t i = 0; i < 2048; i++)
			s->bits[v][i] = rng_next(r);
		assert_true(s->lists[v].n <= 64 * 2048);
	}
}

static void free_vms(struct vms *s)
{
	for (uint32_t v = 0; v < VMS; v++)
		mb_fingerprint_deinit(&s->fps[v]);
}

static void check_same_of(const struct vms *s, const uint64_t *const *keep, uint64_t first,
			  uint64_t last, unsigned int n_threads, size_t min_groups)
{
	mb_cleanup(mb_groups_deinit) struct mb_groups serial = { 0 }, parallel = { 0 };
	struct mb_err err = { 0 };

	assert_ok(mb_groups_compute_kept(&serial, s->lists, keep, VMS, first, last, &err), &err);
	assert_ok(mb_groups_compute_parallel(&parallel, s->lists, keep, VMS, first, last, n_threads,
					     &err),
		  &err);
	assert_true(serial.n_groups >= min_groups);
	assert_int_equal(parallel.n_groups, serial.n_groups);
	assert_int_equal(parallel.n_vms, serial.n_vms);
	assert_memory_equal(parallel.groups, serial.groups,
			    serial.n_groups * sizeof(*serial.groups));
	assert_memory_equal(parallel.vms, serial.vms, serial.n_vms * sizeof(*serial.vms));
}

static void check_same(const struct vms *s, uint64_t first, uint64_t last, unsigned int n_threads,
		       size_t min_groups)
{
	check_same_of(s, NULL, first, last, n_threads, min_groups);
	check_same_of(s, s->keep, first, last, n_threads, 0);
}

static void test_same_bytes_as_serial(void **state)
{
	static const unsigned int threads[] = { 1, 2, 7, 1000 };
	struct rng r = { 1 };

	(void)state;
	for (enum shape shape = 0; shape < SHAPES; shape++) {
		struct vms s;

		make_vms(&r, &s, shape, 2000);
		for (size_t i = 0; i < MB_ARRAY_LEN(threads); i++)
			check_same(&s, 0, UINT64_MAX, threads[i], shape < FEW ? 100 : 1);
		free_vms(&s);
	}
}

/* Both ends of a range may be digests that there are. */
static void test_ranges(void **state)
{
	struct rng r = { 2 };
	struct vms s;

	(void)state;
	for (enum shape shape = 0; shape < SHAPES; shape++) {
		const struct mb_digest_list *l = &s.lists[0];

		make_vms(&r, &s, shape, 500);
		for (unsigned int i = 0; i < 10; i++) {
			uint64_t first = l->digests[rng_below(&r, l->n)];
			uint64_t last = l->digests[rng_below(&r, l->n)];

			check_same(&s, first, last, 4, 0);
			check_same(&s, first, first, 4, 0);
			check_same(&s, 0, first, 4, 0);
			check_same(&s, first, UINT64_MAX, 4, 0);
		}
		free_vms(&s);
	}
}

/* Where it pays, by itself. */
static void test_chosen_threads(void **state)
{
	mb_autofree uint64_t *digests = malloc(sizeof(*digests) << 20);
	mb_cleanup(mb_groups_deinit) struct mb_groups g = { 0 };
	struct mb_digest_list lists[2];
	struct mb_err err = { 0 };

	(void)state;
	assert_non_null(digests);
	for (uint64_t i = 0; i < 1 << 20; i++)
		digests[i] = i << 40;
	lists[0] = (struct mb_digest_list){ digests, 1 << 20 };
	lists[1] = (struct mb_digest_list){ digests + 7, (1 << 20) - 7 };
	assert_ok(mb_groups_compute_parallel(&g, lists, NULL, 2, 0, UINT64_MAX, 0, &err), &err);
	assert_int_equal(g.n_groups, 1);
	assert_int_equal(g.groups[0].weight_pages, (1 << 20) - 7);
}

static void test_nothing_and_refusals(void **state)
{
	mb_cleanup(mb_groups_deinit) struct mb_groups g = { 0 };
	uint64_t digest = 5;
	struct mb_digest_list lists[] = { { &digest, 1 }, { &digest, 0 } };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_groups_compute_parallel(&g, NULL, NULL, 0, 0, UINT64_MAX, 4, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
	assert_ok(mb_groups_compute_parallel(&g, lists, NULL, 2, 0, UINT64_MAX, 4, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
	assert_ok(mb_groups_compute_parallel(&g, lists, NULL, 2, 6, 4, 4, &err), &err);
	assert_int_equal(g.n_groups, 0);
	mb_groups_deinit(&g);
	assert_fails(mb_groups_compute_parallel(&g, lists, NULL, UINT32_MAX, 0, 1, 4, &err), EINVAL,
		     &err,
		     "2^31");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_bytes_as_serial),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_chosen_threads),
		cmocka_unit_test(test_nothing_and_refusals),
	};

	return cmocka_run_group_tests_name("groups_parallel", tests, NULL, NULL);
}
