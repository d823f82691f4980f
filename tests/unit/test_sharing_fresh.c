// SPDX-License-Identifier: GPL-2.0-or-later
/* server/sharing.h in the long run: what is kept up to date is what counting anew gives. */
#include "server/sharing.h"

#include <pthread.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_server.h"

#ifdef __SANITIZE_ADDRESS__
enum { ROUNDS = 6, STEPS = 25 };
#else
enum { ROUNDS = 20, STEPS = 40 };
#endif
enum { VMS_MAX = 10 };

struct world {
	struct mb_fleet *fleet;
	struct mb_sharing *sharing;
	uint32_t n;
};

static void world_open(struct world *w)
{
	struct mb_err err = { 0 };

	*w = (struct world){ 0 };
	assert_ok(mb_fleet_create(&w->fleet, &err), &err);
	assert_ok(mb_sharing_create(w->fleet, &w->sharing, &err), &err);
}

static void world_close(struct world *w)
{
	mb_sharing_destroy(w->sharing);
	mb_fleet_destroy(w->fleet);
}

static void add_vm(struct rng *r, struct world *w)
{
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_vm vm;
	char name[16];

	/* In no order of names; some have sent nothing yet. */
	snprintf(name, sizeof(name), "v%02u", (w->n * 7 + 3) % 97);
	random_fingerprint(r, rng_below(r, 150), 300, &fp);
	make_vm(name, 1, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	if (rng_below(r, 4) == 0) {
		mb_vm_deinit(&vm);
		snprintf(vm.name, sizeof(vm.name), "%s", name);
		make_identity("d", 1, &vm.identity);
	}
	assert_ok(mb_fleet_add(w->fleet, &vm, &err), &err);
	w->n++;
}

/* Some contents go, others come; now and then all of them, or another trust domain. */
static void next_epoch(struct rng *r, struct world *w, uint32_t index)
{
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	size_t n = 0;
	uint64_t digests[1000];
	struct mb_vm vm;

	mb_fleet_get(w->fleet, index, &vm);
	for (uint32_t i = 0; i < mb_fpref_fingerprint(vm.fp)->n_distinct; i++)
		if (rng_below(r, 20))
			digests[n++] = mb_fpref_fingerprint(vm.fp)->digests[i];
	if (rng_below(r, 8) == 0)
		n = 0;
	for (uint64_t more = rng_below(r, n ? 20 : 150); more; more--)
		digests[n++] = rng_below(r, 300);
	if (rng_below(r, 12) == 0)
		make_identity(rng_below(r, 2) ? "d" : "e", 1, &vm.identity);
	assert_ok(mb_fingerprint_from_digests(&fp, digests, n, &err), &err);
	mb_fpref_put(vm.fp);
	vm.fp = mb_fpref_new(&fp);
	vm.epoch++;
	mb_fleet_publish(w->fleet, index, &vm);
}

/* `b` counts VMs by position in the set, `a` as the view does. */
static void assert_groups(const struct mb_groups *a, const struct mb_groups *b,
			  const struct mb_comparable *set)
{
	assert_int_equal(a->n_groups, b->n_groups);
	assert_int_equal(a->n_vms, b->n_vms);
	for (size_t g = 0; g < a->n_groups; g++) {
		const struct mb_group *x = &a->groups[g], *y = &b->groups[g];

		assert_int_equal(x->weight_pages, y->weight_pages);
		assert_int_equal(x->n_vms, y->n_vms);
		for (uint32_t i = 0; i < x->n_vms; i++)
			assert_int_equal(a->vms[x->first_vm + i],
					 set->vms[b->vms[y->first_vm + i]]);
	}
}

static void compute(const struct mb_fleet_snapshot *fleet, const struct mb_comparable *set,
		    bool lasting, struct mb_groups *ret)
{
	struct mb_digest_list lists[VMS_MAX];
	const uint64_t *keep[VMS_MAX];
	struct mb_err err = { 0 };

	for (uint32_t i = 0; i < set->n; i++) {
		struct mb_kept_list l =
			mb_fpref_list(fleet->vms[set->vms[i]].fp, UINT64_MAX, lasting);

		lists[i] = l.list;
		keep[i] = l.keep;
	}
	assert_ok(mb_groups_compute_kept(ret, lists, keep, set->n, 0, UINT64_MAX, &err), &err);
}

static void check_set(const struct mb_fleet_snapshot *fleet, const struct mb_sharing_view *v,
		      const struct mb_comparable *set)
{
	struct mb_groups plain, lasting, held = mb_comparable_groups(v, set, false);
	struct mb_groups held_lasting = mb_comparable_groups(v, set, true);
	uint64_t inter[VMS_MAX * VMS_MAX], any[VMS_MAX];

	compute(fleet, set, false, &plain);
	compute(fleet, set, true, &lasting);
	assert_groups(&held, &plain, set);
	assert_groups(&held_lasting, &lasting, set);
	mb_groups_matrix(&plain, set->n, inter);
	mb_groups_any(&plain, set->n, any);
	assert_memory_equal(set->inter, inter, (size_t)set->n * set->n * sizeof(*inter));
	assert_memory_equal(set->any, any, set->n * sizeof(*any));
	mb_groups_deinit(&plain);
	mb_groups_deinit(&lasting);
}

static void check(struct world *w)
{
	const struct mb_sharing_view *v;
	struct mb_fleet_snapshot fleet;
	struct mb_err err = { 0 };
	size_t n_groups = 0;

	assert_ok(mb_fleet_snapshot(w->fleet, &fleet, &err), &err);
	assert_ok(mb_sharing_lock(w->sharing, &v, &err), &err);
	assert_int_equal(v->fleet.generation, fleet.generation);
	assert_int_equal(v->sample_shift, 0);
	for (uint32_t k = 0; k < v->n_sets; k++) {
		check_set(&fleet, v, &v->sets[k]);
		n_groups += v->sets[k].groups.n;
	}
	assert_int_equal(v->groups.n_groups, n_groups);
	mb_sharing_unlock(w->sharing);
	mb_fleet_snapshot_deinit(&fleet);
}

static void test_as_counted_anew(void **state)
{
	struct mb_sharing_stats all = { 0 };
	struct rng r = { 11 };

	(void)state;
	for (int round = 0; round < ROUNDS; round++) {
		struct mb_sharing_stats stats;
		struct world w;

		world_open(&w);
		for (int step = 0; step < STEPS; step++) {
			/* In ns: everything lasts, some does, nothing is asked for. */
			static const uint64_t times[] = { 3600000000000, 1, 1, 0 };

			mb_fleet_set_durable(w.fleet, times[rng_below(&r, 4)]);
			if (w.n < VMS_MAX && rng_below(&r, 3) == 0)
				add_vm(&r, &w);
			for (uint64_t n = w.n ? rng_below(&r, 6) : 0; n; n--)
				next_epoch(&r, &w, (uint32_t)rng_below(&r, w.n));
			if (rng_below(&r, 3))
				check(&w);
		}
		mb_sharing_stats(w.sharing, &stats);
		all.anew += stats.anew;
		all.recounted += stats.recounted;
		world_close(&w);
	}
	/* Both ways were gone. */
	assert_true(all.recounted > all.anew);
	assert_true(all.anew > 0);
}

/* --- nobody who acks waits -------------------------------------------------------------------- */

struct gate {
	struct world *world;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool computing, published;
};

/* The computation goes on only when an epoch was published meanwhile. */
static void hold(void *ctx)
{
	struct gate *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->computing = true;
	pthread_cond_broadcast(&g->wake);
	while (!g->published)
		pthread_cond_wait(&g->wake, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void *ask(void *arg)
{
	struct gate *g = arg;
	const struct mb_sharing_view *v;
	struct mb_err err = { 0 };
	int r = mb_sharing_lock(g->world->sharing, &v, &err);

	if (r == 0)
		mb_sharing_unlock(g->world->sharing);
	return r == 0 ? g : NULL;
}

static void test_publishing_does_not_wait(void **state)
{
	struct rng r = { 12 };
	struct world w;
	struct gate g = { .world = &w,
			  .lock = PTHREAD_MUTEX_INITIALIZER,
			  .wake = PTHREAD_COND_INITIALIZER };
	struct mb_sharing_stats stats;
	struct mb_hello hello;
	struct mb_welcome welcome = { 0 };
	struct mb_err err = { 0 };
	uint32_t index;
	pthread_t first, second;
	void *good;

	(void)state;
	world_open(&w);
	for (int i = 0; i < 6; i++)
		add_vm(&r, &w);
	next_epoch(&r, &w, 0);
	mb_sharing_on_compute(w.sharing, hold, &g);
	assert_int_equal(pthread_create(&first, NULL, ask, &g), 0);
	pthread_mutex_lock(&g.lock);
	while (!g.computing)
		pthread_cond_wait(&g.wake, &g.lock);
	pthread_mutex_unlock(&g.lock);
	/* All that the way in does, while the question is being answered. */
	make_hello("another", 1, &hello);
	assert_ok(mb_fleet_greet(w.fleet, &hello, 77, &welcome, &index, &err), &err);
	for (int i = 0; i < 50; i++)
		next_epoch(&r, &w, (uint32_t)i % w.n);
	mb_fleet_settle(w.fleet);
	mb_fleet_leave(w.fleet, index, 77);
	assert_int_equal(pthread_create(&second, NULL, ask, &g), 0);
	pthread_mutex_lock(&g.lock);
	g.published = true;
	pthread_cond_broadcast(&g.wake);
	pthread_mutex_unlock(&g.lock);
	pthread_join(first, &good);
	assert_non_null(good);
	pthread_join(second, &good);
	assert_non_null(good);
	mb_sharing_on_compute(w.sharing, NULL, NULL);
	mb_sharing_stats(w.sharing, &stats);
	/* The first answer, and the one of what came meanwhile; no more than these. */
	check(&w);
	check(&w);
	assert_true(stats.anew + stats.recounted <= 4);
	world_close(&w);
}

/* Two who ask for the same find it computed once. */
static void test_computed_once(void **state)
{
	struct mb_sharing_stats before, after;
	struct rng r = { 13 };
	struct world w;
	struct gate g = { .world = &w };
	pthread_t threads[4];

	(void)state;
	world_open(&w);
	for (int i = 0; i < 6; i++)
		add_vm(&r, &w);
	mb_sharing_stats(w.sharing, &before);
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &g), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	mb_sharing_stats(w.sharing, &after);
	assert_int_equal(after.anew, before.anew + 1);
	assert_int_equal(after.recounted, 0);
	world_close(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_as_counted_anew),
		cmocka_unit_test(test_publishing_does_not_wait),
		cmocka_unit_test(test_computed_once),
	};

	return cmocka_run_group_tests_name("sharing_fresh", tests, NULL, NULL);
}
