// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/sharing.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_server.h"

static int n_paths;
static char path[128];

static void new_path(void)
{
	char name[32];

	snprintf(name, sizeof(name), "%d.db", n_paths++);
	scratch_path(name, path);
}

static void add(struct mb_fleet *f, struct mb_store *store, struct mb_vm *vm)
{
	struct mb_err err = { 0 };

	if (store && vm->epoch)
		store_vm(store, vm);
	assert_ok(mb_fleet_add(f, vm, &err), &err);
	*vm = (struct mb_vm){ 0 };
}

static void lock(struct mb_sharing *s, const struct mb_sharing_view **ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_sharing_lock(s, ret, &err), &err);
}

static uint64_t brute_inter(const struct mb_fingerprint *a, const struct mb_fingerprint *b)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < a->n_distinct; i++)
		for (uint32_t k = 0; k < b->n_distinct; k++)
			n += a->digests[i] == b->digests[k];
	return n;
}

static uint64_t brute_any(const struct mb_fingerprint *all, const bool *same, uint32_t n,
			  uint32_t self)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < all[self].n_distinct; i++) {
		bool found = false;

		for (uint32_t v = 0; v < n; v++)
			for (uint32_t k = 0; v != self && same[v] && k < all[v].n_distinct; k++)
				found |= all[v].digests[k] == all[self].digests[i];
		sum += found;
	}
	return sum;
}

static void test_against_brute_force(void **state)
{
	enum { VMS = 9 };
	struct rng r = { 21 };

	(void)state;
	for (int round = 0; round < 15; round++) {
		const struct mb_sharing_view *v;
		struct mb_fingerprint fp[VMS];
		bool is_e[VMS], same[VMS];
		struct mb_fleet *f;
		struct mb_sharing *s;
		struct mb_err err = { 0 };
		uint32_t n_e = 0;

		assert_ok(mb_fleet_create(&f, &err), &err);
		assert_ok(mb_sharing_create(f, &s, &err), &err);
		for (uint32_t i = 0; i < VMS; i++) {
			struct mb_vm vm;
			char name[8];

			/* Not in the order of their names. */
			snprintf(name, sizeof(name), "v%u", (i * 5) % VMS);
			random_fingerprint(&r, rng_below(&r, 60), 100, &fp[(i * 5) % VMS]);
			is_e[(i * 5) % VMS] = rng_below(&r, 3) == 0;
			make_vm(name, 1 + i, &fp[(i * 5) % VMS], &vm);
			if (is_e[(i * 5) % VMS])
				make_identity("e", 1, &vm.identity);
			add(f, NULL, &vm);
		}
		for (uint32_t i = 0; i < VMS; i++)
			n_e += is_e[i];
		lock(s, &v);
		assert_int_equal(v->fleet.n, VMS);
		assert_int_equal(v->n_sets, n_e == 0 || n_e == VMS ? 1 : 2);
		for (uint32_t k = 0; k < v->n_sets; k++) {
			const struct mb_comparable *set = &v->sets[k];
			bool e = strcmp(set->identity.domain, "e") == 0;

			assert_int_equal(set->n, e ? n_e : VMS - n_e);
			for (uint32_t i = 0; i < VMS; i++)
				same[i] = is_e[i] == e;
			for (uint32_t i = 0; i < set->n; i++) {
				uint32_t vi = set->vms[i];

				assert_true(same[vi]);
				assert_true(i == 0 || set->vms[i - 1] < vi);
				assert_int_equal(set->any[i], brute_any(fp, same, VMS, vi));
				for (uint32_t j = 0; j < set->n; j++)
					assert_int_equal(
						set->inter[i * set->n + j],
						i == j ? 0 :
							 brute_inter(&fp[vi], &fp[set->vms[j]]));
			}
		}
		/* The groups count VMs as the snapshot does, and no group mixes identities. */
		for (size_t g = 0; g < v->groups.n_groups; g++) {
			const uint32_t *vms = v->groups.vms + v->groups.groups[g].first_vm;

			for (uint32_t i = 1; i < v->groups.groups[g].n_vms; i++) {
				assert_true(vms[i - 1] < vms[i] && vms[i] < VMS);
				assert_int_equal(is_e[vms[i]], is_e[vms[0]]);
			}
		}
		mb_sharing_unlock(s);
		mb_sharing_destroy(s);
		mb_fleet_destroy(f);
		for (uint32_t i = 0; i < VMS; i++)
			mb_fingerprint_deinit(&fp[i]);
	}
}

/* --- samples ---------------------------------------------------------------------------------- */

/* VMs of 20000 contents each from a stream of random ones, every one 1000 further on. */
enum { SAMPLED = 6, CONTENTS = 20000, APART = 1000, CUT = 18 };

static void add_sampled(struct mb_fleet *f, const uint32_t *shifts)
{
	for (uint32_t v = 0; v < SAMPLED; v++) {
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
		mb_autofree uint64_t *digests = malloc(CONTENTS * sizeof(*digests));
		struct mb_err err = { 0 };
		struct mb_vm vm;
		char name[8];

		assert_non_null(digests);
		for (uint64_t i = 0; i < CONTENTS; i++)
			digests[i] = mb_mix64(v * APART + i + 1);
		assert_ok(mb_fingerprint_from_digests(&fp, digests, CONTENTS, &err), &err);
		snprintf(name, sizeof(name), "v%u", v);
		make_vm(name, 1, &fp, &vm);
		if (shifts[v])
			small_vm(&vm,
				 &(struct mb_sample_of){ .shift = shifts[v] == CUT ? 0 : shifts[v],
							 .cut_bits = shifts[v] == CUT ? CUT : 0 });
		add(f, NULL, &vm);
	}
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* All right within the error; pairs that need no sample exactly, whatever the others sent. */
static void check_sampled(const struct mb_comparable *set, const uint32_t *shifts)
{
	for (uint32_t i = 0; i < SAMPLED; i++) {
		for (uint32_t j = 0; j < SAMPLED; j++) {
			uint64_t inter = set->inter[i * SAMPLED + j];
			uint64_t error = set->inter_error[i * SAMPLED + j];
			uint64_t want = CONTENTS - (i > j ? i - j : j - i) * APART;

			assert_int_equal(inter, set->inter[j * SAMPLED + i]);
			assert_int_equal(error, set->inter_error[j * SAMPLED + i]);
			if (i == j || !(shifts[i] | shifts[j])) {
				assert_int_equal(inter, i == j ? 0 : want);
				assert_int_equal(error, 0);
			} else {
				assert_true(apart(inter, want) <= error);
				/* Of the coarser rate, 1 in 4 or in 32, and no worse. */
				if ((shifts[i] | shifts[j]) == 2)
					assert_in_range(error, 10, 300);
				else
					assert_in_range(error, 100, 2000);
			}
		}
		assert_true(apart(set->any[i], CONTENTS - (i % 5 ? 0 : APART)) <=
			    set->any_error[i]);
		assert_in_range(set->any_error[i], 1, 1300);
	}
}

static void test_samples(void **state)
{
	static const uint32_t shifts[SAMPLED] = { 0, 2, 0, 5, 2, 5 };
	uint64_t shared[SAMPLED] = { 0 }, all = 0;
	const struct mb_sharing_view *v;
	struct mb_sharing *s;
	struct mb_fleet *f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_fleet_create(&f, &err), &err);
	assert_ok(mb_sharing_create(f, &s, &err), &err);
	add_sampled(f, shifts);
	lock(s, &v);
	assert_int_equal(v->n_sets, 1);
	assert_int_equal(v->sets[0].shift, 5);
	check_sampled(&v->sets[0], shifts);
	/* What planners subtract: nobody shares more than he has. */
	for (size_t g = 0; g < v->groups.n_groups; g++) {
		const struct mb_group *group = &v->groups.groups[g];

		all += group->weight_pages * (group->n_vms - 1);
		for (uint32_t k = 0; k < group->n_vms; k++)
			shared[v->groups.vms[group->first_vm + k]] += group->weight_pages;
	}
	for (uint32_t i = 0; i < SAMPLED; i++)
		assert_in_range(shared[i], CONTENTS * 9 / 10, CONTENTS);
	/* On one host they would have 25000 contents, each once. */
	assert_true(apart(all, SAMPLED * CONTENTS - 25000) < 5000);
	mb_sharing_unlock(s);
	mb_sharing_destroy(s);
	mb_fleet_destroy(f);
}

/* VMs 1 and 4 send filters, 2 a sample: pairs are right, and nobody else's figures suffer. */
static void test_cut_digests(void **state)
{
	static const uint32_t shifts[SAMPLED] = { 0, CUT, 2, 0, CUT, 0 };
	const struct mb_comparable *set;
	const struct mb_sharing_view *v;
	struct mb_sharing *s;
	struct mb_fleet *f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_fleet_create(&f, &err), &err);
	assert_ok(mb_sharing_create(f, &s, &err), &err);
	add_sampled(f, shifts);
	lock(s, &v);
	set = &v->sets[0];
	assert_int_equal(v->n_sets, 1);
	assert_int_equal(set->n_cut, 2);
	assert_int_equal(set->shift, 2);
	for (uint32_t i = 0; i < SAMPLED; i++) {
		for (uint32_t j = 0; j < SAMPLED; j++) {
			uint64_t inter = set->inter[i * SAMPLED + j];
			uint64_t error = set->inter_error[i * SAMPLED + j];
			uint64_t want = CONTENTS - (i > j ? i - j : j - i) * APART;

			if (i == j)
				continue;
			assert_int_equal(inter, set->inter[j * SAMPLED + i]);
			assert_true(apart(inter, want) <= error);
			if (shifts[i] == CUT || shifts[j] == CUT)
				assert_in_range(error, 10,
						shifts[i] == 2 || shifts[j] == 2 ? 600 : 200);
			else
				assert_true((error == 0) == !(shifts[i] | shifts[j]));
		}
	}
	/* Of cut digests: with the closest one, which is 1000 apart; the others without them. */
	assert_true(apart(set->any[1], CONTENTS - APART) <= set->any_error[1]);
	assert_true(apart(set->any[0], CONTENTS - 2 * APART) <= set->any_error[0]);
	for (size_t g = 0; g < v->groups.n_groups; g++) {
		const struct mb_group *group = &v->groups.groups[g];

		for (uint32_t k = 0; k < group->n_vms; k++)
			assert_true(shifts[v->groups.vms[group->first_vm + k]] != CUT);
	}
	mb_sharing_unlock(s);
	mb_sharing_destroy(s);
	mb_fleet_destroy(f);
}

/*
 * Beside what agents have made smaller, what the budget has: the coarser rate of the two, of
 * filters too, whichever side of a pair is paged out.
 */
static void test_samples_and_paged_out(void **state)
{
	static const uint32_t shifts[SAMPLED] = { 0, 2, CUT, 0, 5, CUT };
	const struct mb_sharing_view *v;
	const struct mb_comparable *set;
	struct mb_sharing *s;
	struct mb_fleet_memory m;
	struct mb_fleet *f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_fleet_create(&f, &err), &err);
	assert_ok(mb_sharing_create(f, &s, &err), &err);
	add_sampled(f, shifts);
	mb_fleet_set_budget(f, CONTENTS * 8);
	mb_fleet_trim(f);
	mb_fleet_memory(f, &m);
	assert_true(m.held_bytes <= CONTENTS * 8);
	lock(s, &v);
	set = &v->sets[0];
	assert_true(v->fleet.n_paged_out > 3);
	assert_true(v->fleet.vms[0].paged_out);
	assert_true(v->fleet.vms[2].paged_out || v->fleet.vms[5].paged_out);
	assert_int_equal(set->shift, MB_MAX(5u, v->fleet.sample_shift));
	assert_int_equal(v->sample_shift, set->shift);
	for (uint32_t i = 0; i < SAMPLED; i++)
		for (uint32_t j = 0; j < SAMPLED; j++) {
			uint64_t error = mb_comparable_inter_error(set, i, j);

			if (i == j)
				continue;
			assert_in_range(error, 1, CONTENTS / 4);
			assert_in_range(
				apart(set->inter[i * SAMPLED + j], CONTENTS - APART * apart(i, j)),
				0, error);
		}
	mb_sharing_unlock(s);
	mb_sharing_destroy(s);
	mb_fleet_destroy(f);
}

/* Groups of samples are none to go on from when all is sent. */
static void test_samples_no_more(void **state)
{
	static const uint32_t sampled[SAMPLED] = { 0, 2, 0, 0, 0, 0 };
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	const struct mb_sharing_view *v;
	struct mb_sharing *s;
	struct mb_fleet *f;
	struct mb_err err = { 0 };
	struct mb_vm vm;

	(void)state;
	assert_ok(mb_fleet_create(&f, &err), &err);
	assert_ok(mb_sharing_create(f, &s, &err), &err);
	add_sampled(f, sampled);
	lock(s, &v);
	assert_non_null(v->sets[0].inter_error);
	mb_sharing_unlock(s);
	/* So little that counting again only what changed would pay. */
	make_fingerprint_of(1, 3, 50, &fp);
	make_vm("v1", 2, &fp, &vm);
	mb_fleet_publish(f, 1, &vm);
	lock(s, &v);
	assert_null(v->sets[0].inter_error);
	assert_int_equal(v->sample_shift, 0);
	for (uint32_t i = 0; i < SAMPLED; i++)
		for (uint32_t j = 0; j < SAMPLED; j++)
			if (i != j && i != 1 && j != 1)
				assert_int_equal(v->sets[0].inter[i * SAMPLED + j],
						 CONTENTS - APART * apart(i, j));
	/* v2 is the closest. */
	assert_int_equal(v->sets[0].any[0], CONTENTS - 2 * APART);
	mb_sharing_unlock(s);
	mb_sharing_destroy(s);
	mb_fleet_destroy(f);
}

static void test_nobody_samples(void **state)
{
	static const uint32_t shifts[SAMPLED] = { 0 };
	const struct mb_sharing_view *v;
	struct mb_sharing *s;
	struct mb_fleet *f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_fleet_create(&f, &err), &err);
	assert_ok(mb_sharing_create(f, &s, &err), &err);
	add_sampled(f, shifts);
	lock(s, &v);
	assert_int_equal(v->sets[0].shift, 0);
	assert_null(v->sets[0].inter_error);
	assert_null(v->sets[0].any_error);
	assert_int_equal(v->sets[0].inter[1], CONTENTS - APART);
	mb_sharing_unlock(s);
	mb_sharing_destroy(s);
	mb_fleet_destroy(f);
}

static void test_empty_fleet(void **state)
{
	const struct mb_sharing_view *v;
	struct mb_fleet *f;
	struct mb_sharing *s;
	struct mb_err err = { 0 };
	struct mb_vm vm = { .name = "new" };

	(void)state;
	assert_ok(mb_fleet_create(&f, &err), &err);
	assert_ok(mb_sharing_create(f, &s, &err), &err);
	lock(s, &v);
	assert_int_equal(v->n_sets, 0);
	assert_int_equal(v->fleet.n, 0);
	mb_sharing_unlock(s);
	/* A VM without a fingerprint is in the fleet, but in no set. */
	make_identity("d", 1, &vm.identity);
	add(f, NULL, &vm);
	lock(s, &v);
	assert_int_equal(v->fleet.n, 1);
	assert_int_equal(v->n_sets, 0);
	mb_sharing_unlock(s);
	mb_sharing_destroy(s);
	mb_sharing_destroy(NULL);
	mb_fleet_destroy(f);
}

/* Three VMs: a and b have 10 digests in common, c has nothing. */
struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_sharing *sharing;
};

static void scene_open(struct scene *s)
{
	static const uint64_t first[] = { 100, 110, 500 };
	static const char *const names[] = { "a", "b", "c" };
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_vm vm;

	new_path();
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(path, &s->store, &err), &err);
	assert_ok(mb_sharing_create(s->fleet, &s->sharing, &err), &err);
	for (int i = 0; i < 3; i++) {
		make_fingerprint_of(first[i], 1, 20, &fp);
		make_vm(names[i], 1, &fp, &vm);
		mb_fingerprint_deinit(&fp);
		add(s->fleet, s->store, &vm);
	}
}

static void scene_close(struct scene *s)
{
	mb_sharing_destroy(s->sharing);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
}

static void test_kept_until_the_fleet_changes(void **state)
{
	const struct mb_sharing_view *v, *again;
	struct mb_fingerprint fp;
	struct scene s;
	struct mb_vm vm;
	uint64_t generation;

	(void)state;
	scene_open(&s);
	lock(s.sharing, &v);
	generation = v->fleet.generation;
	assert_int_equal(generation, mb_fleet_generation(s.fleet));
	assert_int_equal(v->sets[0].any[0], 10);
	assert_int_equal(v->sets[0].any[2], 0);
	/* The old fingerprints are not held on to. */
	for (int i = 0; i < 3; i++)
		assert_null(v->fleet.vms[i].fp);
	mb_sharing_unlock(s.sharing);
	lock(s.sharing, &again);
	assert_ptr_equal(v, again);
	assert_int_equal(again->fleet.generation, generation);
	mb_sharing_unlock(s.sharing);
	/* c becomes as b is. */
	mb_fleet_get(s.fleet, 2, &vm);
	mb_fpref_put(vm.fp);
	make_fingerprint_of(110, 1, 20, &fp);
	vm.fp = mb_fpref_new(&fp);
	vm.epoch++;
	mb_fleet_publish(s.fleet, 2, &vm);
	lock(s.sharing, &v);
	assert_true(v->fleet.generation > generation);
	assert_int_equal(v->sets[0].any[2], 20);
	assert_int_equal(v->sets[0].inter[3 * 2 + 1], 20);
	mb_sharing_unlock(s.sharing);
	scene_close(&s);
}

/* What agents say of themselves is told as it is now, without computing again. */
static void test_refreshed_without_computing(void **state)
{
	struct mb_hello hello = { .vm = "b", .host = "elsewhere", .source = "new" };
	const struct mb_sharing_view *v;
	struct mb_welcome welcome = { 0 };
	struct mb_err err = { 0 };
	uint64_t generation;
	struct scene s;
	uint32_t index;

	(void)state;
	scene_open(&s);
	lock(s.sharing, &v);
	generation = v->fleet.generation;
	hello.identity = v->fleet.vms[1].identity;
	assert_int_equal(v->fleet.vms[1].session, 0);
	mb_sharing_unlock(s.sharing);
	assert_ok(mb_fleet_greet(s.fleet, &hello, 7, &welcome, &index, &err), &err);
	lock(s.sharing, &v);
	assert_int_equal(v->fleet.generation, generation);
	assert_int_equal(v->fleet.vms[1].session, 7);
	assert_string_equal(v->fleet.vms[1].host, "elsewhere");
	assert_string_equal(v->fleet.vms[1].source, "new");
	assert_int_equal(v->fleet.vms[0].session, 0);
	mb_sharing_unlock(s.sharing);
	mb_fleet_leave(s.fleet, index, 7);
	lock(s.sharing, &v);
	assert_int_equal(v->fleet.vms[1].session, 0);
	mb_sharing_unlock(s.sharing);
	scene_close(&s);
}

static void publish(struct mb_fleet *f, uint32_t vm, uint64_t first, uint64_t step, size_t n,
		    const char *domain)
{
	struct mb_fingerprint fp;
	struct mb_vm now;

	mb_fleet_get(f, vm, &now);
	mb_fpref_put(now.fp);
	make_fingerprint_of(first, step, n, &fp);
	now.fp = mb_fpref_new(&fp);
	if (domain)
		make_identity(domain, 1, &now.identity);
	now.epoch++;
	mb_fleet_publish(f, vm, &now);
}

/* VMs 0 and 1 have 100 digests in common all over the space; then some of VM 0's go and come. */
static void test_what_lasts(void **state)
{
	const uint64_t step = UINT64_MAX / 121;
	const struct mb_sharing_view *v;
	struct scene s;

	(void)state;
	scene_open(&s);
	publish(s.fleet, 0, 1 + 20 * step, step, 100, NULL);
	publish(s.fleet, 1, 1 + 20 * step, step, 100, NULL);
	mb_fleet_set_durable(s.fleet, 3600000000000);
	lock(s.sharing, &v);
	/* Known for too short a time: all of it lasts. */
	assert_false(v->has_durable);
	mb_sharing_unlock(s.sharing);
	mb_fleet_set_durable(s.fleet, 1);
	for (int i = 0; i < 4; i++)
		publish(s.fleet, i % 2, 1 + 20 * step, step, 100, NULL);
	/* What came between two looks counts. */
	publish(s.fleet, 0, 1 + 50 * step, step, 70, NULL);
	publish(s.fleet, 0, 1, step, 120, NULL);
	lock(s.sharing, &v);
	assert_true(v->has_durable);
	assert_int_equal(v->groups.n_groups, 1);
	assert_int_equal(v->groups.groups[0].weight_pages, 100);
	assert_int_equal(v->durable_groups.n_groups, 1);
	assert_int_equal(v->durable_groups.groups[0].weight_pages, 70);
	assert_int_equal(v->durable_groups.vms[0], 0);
	assert_int_equal(v->durable_groups.vms[1], 1);
	mb_sharing_unlock(s.sharing);
	/* No time at all. */
	mb_fleet_set_durable(s.fleet, 0);
	publish(s.fleet, 0, 1 + 20 * step, step, 100, NULL);
	publish(s.fleet, 1, 1, step, 100, NULL);
	lock(s.sharing, &v);
	assert_false(v->has_durable);
	assert_null(v->durable_groups.groups);
	mb_sharing_unlock(s.sharing);
	/* Digests of another key are not the same contents: it begins anew. */
	mb_fleet_set_durable(s.fleet, 1);
	publish(s.fleet, 0, 1, step, 100, "other");
	publish(s.fleet, 1, 1, step, 100, "other");
	lock(s.sharing, &v);
	assert_false(v->has_durable);
	mb_sharing_unlock(s.sharing);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_brute_force),
		cmocka_unit_test(test_samples),
		cmocka_unit_test(test_cut_digests),
		cmocka_unit_test(test_samples_and_paged_out),
		cmocka_unit_test(test_samples_no_more),
		cmocka_unit_test(test_nobody_samples),
		cmocka_unit_test(test_empty_fleet),
		cmocka_unit_test(test_kept_until_the_fleet_changes),
		cmocka_unit_test(test_refreshed_without_computing),
		cmocka_unit_test(test_what_lasts),
	};

	return cmocka_run_group_tests_name("sharing", tests, NULL, NULL);
}
