// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/recount.h"

#include "proto/multiset_hash.h"
#include "tests/unit/util_test.h"

#ifdef __SANITIZE_ADDRESS__
enum { ROUNDS = 60, STEPS = 6 };
#else
enum { ROUNDS = 300, STEPS = 8 };
#endif
enum { VMS_MAX = 12 };

/* A VM that counts: its list, which of it are kept, and what it was when last counted. */
struct vm {
	uint64_t *digests, *keep, *changed;
	uint32_t n, n_changed;
	uint64_t *counted; /* kept ones, when last counted */
	uint32_t n_counted;
	bool is_new;
	uint32_t old; /* index in the old groups, or MB_RECOUNT_GONE */
};

struct fleet {
	struct vm vms[VMS_MAX];
	uint32_t n;
	bool all_kept;
};

static void free_vm(struct vm *vm)
{
	free(vm->digests);
	free(vm->keep);
	free(vm->changed);
	free(vm->counted);
}

static void *copy_of(const void *p, size_t bytes)
{
	void *copy = malloc(bytes + 1);

	assert_non_null(copy);
	if (bytes)
		memcpy(copy, p, bytes);
	return copy;
}

static bool is_kept(const struct vm *vm, uint32_t rank)
{
	return !vm->keep || (vm->keep[rank / 64] >> rank % 64 & 1);
}

static void keep_some(struct rng *r, const struct fleet *f, struct vm *vm)
{
	free(vm->keep);
	vm->keep = NULL;
	if (f->all_kept || rng_below(r, 3) == 0)
		return;
	vm->keep = calloc(vm->n / 64 + 1, sizeof(*vm->keep));
	assert_non_null(vm->keep);
	for (uint32_t i = 0; i < vm->n; i++)
		vm->keep[i / 64] |= (uint64_t)(rng_below(r, 4) != 0) << i % 64;
}

static void fill(struct rng *r, const struct fleet *f, struct vm *vm, size_t n, uint64_t space)
{
	struct mb_fingerprint fp;

	random_fingerprint(r, n, space, &fp);
	free(vm->digests);
	vm->digests = copy_of(fp.digests, fp.n_distinct * sizeof(*fp.digests));
	vm->n = fp.n_distinct;
	mb_fingerprint_deinit(&fp);
	keep_some(r, f, vm);
}

/* Some digests go, others come, both ends of the space among them. */
static void churn(struct rng *r, const struct fleet *f, struct vm *vm, uint64_t percent,
		  uint64_t space)
{
	size_t n = 0, cap = 2 * (size_t)vm->n + 10;
	uint64_t *all = malloc(cap * sizeof(*all));
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };

	assert_non_null(all);
	for (uint32_t i = 0; i < vm->n; i++)
		if (rng_below(r, 100) >= percent)
			all[n++] = vm->digests[i];
	for (uint32_t i = 0; i < vm->n / 3 + 2; i++)
		if (rng_below(r, 100) < 3 * percent)
			all[n++] = space ? rng_below(r, space) : rng_next(r);
	if (rng_below(r, 3) == 0)
		all[n++] = rng_below(r, 2) ? 0 : UINT64_MAX;
	assert_ok(mb_fingerprint_from_digests(&fp, all, n, &err), &err);
	free(vm->digests);
	vm->digests = copy_of(fp.digests, fp.n_distinct * sizeof(*fp.digests));
	vm->n = fp.n_distinct;
	mb_fingerprint_deinit(&fp);
	free(all);
	if (rng_below(r, 2) || vm->keep)
		keep_some(r, f, vm);
}

static uint64_t *kept_of(const struct vm *vm, uint32_t *ret_n)
{
	uint64_t *ret = copy_of(vm->digests, vm->n * sizeof(*ret));

	*ret_n = 0;
	for (uint32_t i = 0; i < vm->n; i++)
		if (is_kept(vm, i))
			ret[(*ret_n)++] = vm->digests[i];
	return ret;
}

static void compute(const struct fleet *f, struct mb_groups *ret)
{
	struct mb_digest_list lists[VMS_MAX];
	uint64_t *kept[VMS_MAX];
	struct mb_err err = { 0 };

	for (uint32_t v = 0; v < f->n; v++) {
		kept[v] = kept_of(&f->vms[v], &lists[v].n);
		lists[v].digests = kept[v];
	}
	assert_ok(mb_groups_compute(ret, lists, f->n, 0, UINT64_MAX, &err), &err);
	for (uint32_t v = 0; v < f->n; v++)
		free(kept[v]);
}

/* What came and went since it was counted. */
static void diff(struct vm *vm)
{
	uint32_t n, i = 0, j = 0;
	uint64_t *now = kept_of(vm, &n);

	free(vm->changed);
	vm->changed = malloc(((size_t)n + vm->n_counted + 1) * sizeof(*vm->changed));
	assert_non_null(vm->changed);
	vm->n_changed = 0;
	while (i < vm->n_counted || j < n) {
		if (j == n || (i < vm->n_counted && vm->counted[i] < now[j])) {
			vm->changed[vm->n_changed++] = vm->counted[i++];
		} else if (i == vm->n_counted || now[j] < vm->counted[i]) {
			vm->changed[vm->n_changed++] = now[j++];
		} else {
			i++;
			j++;
		}
	}
	free(now);
}

/* Of the old groups, as VMs are numbered now. */
static void make_inter(const struct fleet *f, const struct mb_groups *old, uint32_t n_old,
		       uint64_t *inter)
{
	uint64_t before[VMS_MAX * VMS_MAX];

	mb_groups_matrix(old, n_old, before);
	for (uint32_t a = 0; a < f->n; a++)
		for (uint32_t b = 0; b < f->n; b++) {
			const struct vm *va = &f->vms[a], *vb = &f->vms[b];

			inter[a * f->n + b] =
				va->is_new || vb->is_new ? 0 : before[va->old * n_old + vb->old];
		}
}

static int recount(struct fleet *f, const struct mb_groups *old, uint32_t n_old, uint64_t *inter,
		   struct mb_groups *ret, struct mb_err *err)
{
	uint32_t renamed[VMS_MAX];
	struct mb_recount_vm vms[VMS_MAX];

	for (uint32_t i = 0; i < n_old; i++)
		renamed[i] = MB_RECOUNT_GONE;
	for (uint32_t v = 0; v < f->n; v++) {
		struct vm *vm = &f->vms[v];

		if (vm->old != MB_RECOUNT_GONE)
			renamed[vm->old] = v;
		diff(vm);
		vms[v] = (struct mb_recount_vm){ .list = { vm->digests, vm->n },
						 .keep = vm->keep,
						 .changed = { vm->changed, vm->n_changed },
						 .is_new = vm->is_new };
	}
	make_inter(f, old, n_old, inter);
	return mb_groups_recount(ret, old, renamed, vms, f->n, inter, err);
}

static void assert_inter(const struct fleet *f, const struct mb_groups *g, const uint64_t *inter)
{
	uint64_t anew[VMS_MAX * VMS_MAX];

	mb_groups_matrix(g, f->n, anew);
	assert_memory_equal(anew, inter, (size_t)f->n * f->n * sizeof(*inter));
}

static void counted(struct fleet *f)
{
	for (uint32_t v = 0; v < f->n; v++) {
		struct vm *vm = &f->vms[v];

		free(vm->counted);
		vm->counted = kept_of(vm, &vm->n_counted);
		vm->is_new = false;
		vm->old = v;
	}
}

static void assert_same(const struct mb_groups *a, const struct mb_groups *b)
{
	assert_int_equal(a->n_groups, b->n_groups);
	assert_int_equal(a->n_vms, b->n_vms);
	assert_memory_equal(a->groups, b->groups, a->n_groups * sizeof(*a->groups));
	assert_memory_equal(a->vms, b->vms, a->n_vms * sizeof(*a->vms));
}

static void insert(struct rng *r, struct fleet *f, size_t pages, uint64_t space)
{
	uint32_t at = (uint32_t)rng_below(r, f->n + 1);

	memmove(&f->vms[at + 1], &f->vms[at], (f->n - at) * sizeof(f->vms[0]));
	f->vms[at] = (struct vm){ .is_new = true, .old = MB_RECOUNT_GONE };
	fill(r, f, &f->vms[at], rng_below(r, pages + 1), space);
	f->n++;
}

static void leave(struct rng *r, struct fleet *f)
{
	uint32_t at = (uint32_t)rng_below(r, f->n);

	free_vm(&f->vms[at]);
	memmove(&f->vms[at], &f->vms[at + 1], (f->n - at - 1) * sizeof(f->vms[0]));
	f->n--;
}

/* One step of a fleet's life: VMs come, go, change a little or past telling. */
static void live(struct rng *r, struct fleet *f, size_t pages, uint64_t space)
{
	uint64_t percent = rng_below(r, 3) ? 3 : 60;

	if (f->n < VMS_MAX && rng_below(r, 2))
		insert(r, f, pages, space);
	if (f->n > 1 && rng_below(r, 3) == 0)
		leave(r, f);
	for (uint32_t v = 0; v < f->n; v++) {
		if (f->vms[v].is_new || rng_below(r, 2))
			continue;
		if (rng_below(r, 6) == 0) {
			/* It has an old index all the same. */
			f->vms[v].is_new = true;
			fill(r, f, &f->vms[v], rng_below(r, pages + 1), space);
		} else {
			churn(r, f, &f->vms[v], percent, space);
		}
	}
}

static void test_as_counted_anew(void **state)
{
	static const uint64_t spaces[] = { 6, 60, 400, 0 };
	struct rng r = { 7 };

	(void)state;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		uint64_t space = spaces[round % 4];
		struct fleet f = { .all_kept = round % 3 == 0 };
		struct mb_groups old = { 0 };

		for (unsigned int step = 0; step < STEPS; step++) {
			uint32_t n_old = f.n;
			uint64_t inter[VMS_MAX * VMS_MAX];
			struct mb_groups now, anew;
			struct mb_err err = { 0 };

			if (step)
				live(&r, &f, 150, space);
			else
				for (uint64_t i = rng_below(&r, VMS_MAX); i > 0; i--)
					insert(&r, &f, 150, space);
			assert_ok(recount(&f, &old, step ? n_old : 0, inter, &now, &err), &err);
			compute(&f, &anew);
			assert_same(&now, &anew);
			assert_inter(&f, &now, inter);
			counted(&f);
			mb_groups_deinit(&old);
			mb_groups_deinit(&anew);
			old = now;
		}
		mb_groups_deinit(&old);
		for (uint32_t v = 0; v < f.n; v++)
			free_vm(&f.vms[v]);
	}
}

/* Many slices, with digests spread, clustered and at the ends; too much at last. */
static void test_many_slices(void **state)
{
	static const struct {
		uint64_t space, percent;
		bool pays;
	} cases[] = { { 60000, 2, true },
		      { 60000, 5, true },
		      { 0, 5, true },
		      { 0, 20, true },
		      { 60000, 60, false } };
	struct rng r = { 8 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fleet f = { .all_kept = true };
		uint64_t inter[VMS_MAX * VMS_MAX];
		struct mb_groups old, now, anew;
		struct mb_err err = { 0 };
		int result;

		for (int v = 0; v < 4; v++)
			insert(&r, &f, 0, cases[i].space);
		for (uint32_t v = 0; v < f.n; v++)
			fill(&r, &f, &f.vms[v], 20000, cases[i].space);
		compute(&f, &old);
		counted(&f);
		for (uint32_t v = 0; v < f.n; v++)
			churn(&r, &f, &f.vms[v], cases[i].percent, cases[i].space);
		compute(&f, &anew);
		result = recount(&f, &old, f.n, inter, &now, &err);
		if (cases[i].pays) {
			assert_ok(result, &err);
			assert_same(&now, &anew);
			mb_groups_deinit(&now);
		} else {
			assert_fails(result, E2BIG, &err, "anew");
			assert_null(now.groups);
		}
		mb_groups_deinit(&old);
		mb_groups_deinit(&anew);
		for (uint32_t v = 0; v < f.n; v++)
			free_vm(&f.vms[v]);
	}
}

/* Few changes in large lists are searched for; the filter's false hits change nothing either way.
 */
static void test_a_needle(void **state)
{
	struct rng r = { 9 };
	struct fleet f = { .all_kept = true };
	uint64_t swap, inter[VMS_MAX * VMS_MAX];
	struct mb_groups old, now, anew;
	struct mb_err err = { 0 };

	(void)state;
	for (int v = 0; v < 3; v++)
		insert(&r, &f, 0, 1);
	for (uint32_t v = 0; v < f.n; v++)
		fill(&r, &f, &f.vms[v], 50000, 100000);
	compute(&f, &old);
	counted(&f);
	swap = f.vms[1].digests[77];
	memmove(&f.vms[1].digests[77], &f.vms[1].digests[78],
		(f.vms[1].n - 78) * sizeof(*f.vms[1].digests));
	f.vms[1].n--;
	compute(&f, &anew);
	assert_ok(recount(&f, &old, f.n, inter, &now, &err), &err);
	assert_same(&now, &anew);
	assert_int_equal(f.vms[1].n_changed, 1);
	assert_int_equal(f.vms[1].changed[0], swap);
	mb_groups_deinit(&now);
	mb_groups_deinit(&anew);
	mb_groups_deinit(&old);
	for (uint32_t v = 0; v < f.n; v++)
		free_vm(&f.vms[v]);
}

static void test_foreign_groups(void **state)
{
	struct mb_group group = { .weight_pages = 1, .first_vm = 0, .n_vms = 2 };
	uint32_t ids[] = { 0, 1 }, renamed[] = { 0, 1 };
	struct mb_groups old = { .groups = &group, .n_groups = 1, .vms = ids, .n_vms = 2 }, now;
	uint64_t left[] = { 5, 9 };
	struct mb_recount_vm vms[2] = { { .changed = { left, 2 } }, { .changed = { left, 2 } } };
	struct mb_err err = { 0 };

	(void)state;
	/* Two pages leave a group that has one. */
	assert_fails(mb_groups_recount(&now, &old, renamed, vms, 2, NULL, &err), EINVAL, &err,
		     "not those of these VMs");
	assert_null(now.groups);
	assert_null(now.vms);
	/* No VM is left. */
	renamed[0] = renamed[1] = MB_RECOUNT_GONE;
	assert_ok(mb_groups_recount(&now, &old, renamed, NULL, 0, NULL, &err), &err);
	assert_int_equal(now.n_groups, 0);
	mb_groups_deinit(&now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_counted_anew),
		cmocka_unit_test(test_many_slices),
		cmocka_unit_test(test_a_needle),
		cmocka_unit_test(test_foreign_groups),
	};

	return cmocka_run_group_tests_name("recount", tests, NULL, NULL);
}
