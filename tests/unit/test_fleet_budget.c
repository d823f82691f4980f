// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A server without its network and with a memory budget: what is paged out comes back as it was,
 * estimates are as good as they say, exact answers are exact, and an ack waits for no question.
 */
#include <poll.h>
#include <pthread.h>
#include <sqlite3.h>

#include "proto/multiset_hash.h"
#include "server/blend.h"
#include "server/estimate.h"
#include "server/ingest.h"
#include "server/sharing.h"
#include "tests/unit/util_server.h"

enum { VMS = 6, PAGES = 4000, RAW_MAX = 1 << 20 };

struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store, *reader;
	struct mb_ingest *ingest;
	struct mb_sharing *sharing;
	struct mb_hello hello[VMS];
	struct mb_fingerprint fp[VMS]; /* what the agents hold */
	uint64_t epoch[VMS];
	struct mb_page_source source;
	char path[128];
};

static int freeze(void *ctx, struct mb_err *err)
{
	return mb_store_freeze(((struct scene *)ctx)->reader, err);
}

static int load(void *ctx, const struct mb_vm *vm, struct mb_fingerprint *ret, struct mb_err *err)
{
	return mb_store_load_fingerprint(((struct scene *)ctx)->reader, vm, ret, err);
}

static void thaw(void *ctx)
{
	mb_store_thaw(((struct scene *)ctx)->reader);
}

static struct mb_ingest_job *take(struct scene *s)
{
	struct pollfd p = { .fd = mb_ingest_fd(s->ingest), .events = POLLIN };
	struct mb_ingest_job *job;

	assert_int_equal(poll(&p, 1, 20000), 1);
	job = mb_ingest_take(s->ingest);
	assert_non_null(job);
	assert_null(job->next);
	return job;
}

static void submit(struct scene *s, uint32_t vm, const struct mb_fingerprint *base,
		   uint64_t base_epoch)
{
	struct mb_ingest_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->vm = vm;
	job->boot = s->hello[vm].boot;
	job->identity = s->hello[vm].identity;
	make_frame(base, base_epoch, &s->fp[vm], s->epoch[vm], 64, &job->frame);
	mb_ingest_submit(s->ingest, job);
}

static void assert_verdict(struct scene *s, enum mb_ingest_verdict verdict)
{
	struct mb_ingest_job *job = take(s);

	if (job->verdict != verdict)
		fail_msg("verdict %d: %s", job->verdict, job->reason.text);
	mb_ingest_job_free(job);
}

/*
 * A third of the contents is the same in all VMs, two pages are zero; the salt is new contents of
 * the VM's own.
 */
static void make_memory(uint32_t vm, uint32_t n, uint64_t salt, struct mb_fingerprint *ret)
{
	uint64_t *digests = malloc(n * sizeof(*digests));
	struct mb_identity identity;
	struct mb_err err = { 0 };

	assert_non_null(digests);
	make_identity("d", 1, &identity);
	for (uint32_t i = 0; i < n; i++)
		digests[i] = i == 2 || i == 5 ? identity.zero_digest :
			     i % 3 == 0	      ? mb_mix64(i + 1) :
			     i % 10 == 1      ? mb_mix64(salt * 1000003 + vm * 7919 + i + 999) :
						mb_mix64(vm * 1000003 + i + 777);
	assert_ok(mb_fingerprint_from_digests(ret, digests, n, &err), &err);
	free(digests);
}

/* The agent's next epoch is acked. */
static void next_epoch(struct scene *s, uint32_t vm, uint64_t salt)
{
	struct mb_fingerprint base = s->fp[vm];

	make_memory(vm, PAGES + 1000 * vm, salt, &s->fp[vm]);
	s->epoch[vm]++;
	submit(s, vm, s->epoch[vm] > 1 ? &base : NULL, s->epoch[vm] - 1);
	mb_fingerprint_deinit(&base);
	assert_verdict(s, MB_INGEST_DURABLE);
}

static void scene_open(struct scene *s)
{
	static const char *const names[VMS] = { "a", "b", "c", "d", "e", "f" };
	static int n;
	struct mb_welcome w = { 0 };
	struct mb_err err = { 0 };
	char name[32];
	uint32_t vm;

	*s = (struct scene){ 0 };
	s->source = (struct mb_page_source){ freeze, load, thaw, s };
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, s->path);
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(s->path, &s->store, &err), &err);
	assert_ok(mb_store_open(s->path, &s->reader, &err), &err);
	assert_ok(mb_ingest_create(s->fleet, s->store, RAW_MAX, &s->ingest, &err), &err);
	assert_ok(mb_sharing_create(s->fleet, &s->sharing, &err), &err);
	for (uint32_t i = 0; i < VMS; i++) {
		make_hello(names[i], 1, &s->hello[i]);
		assert_ok(mb_fleet_greet(s->fleet, &s->hello[i], i + 1, &w, &vm, &err), &err);
		assert_int_equal(vm, i);
		next_epoch(s, i, 0);
	}
}

static void scene_close(struct scene *s)
{
	mb_ingest_destroy(s->ingest);
	mb_sharing_destroy(s->sharing);
	mb_store_close(s->store);
	mb_store_close(s->reader);
	mb_fleet_destroy(s->fleet);
	for (int i = 0; i < VMS; i++)
		mb_fingerprint_deinit(&s->fp[i]);
}

static bool is_out(struct scene *s, uint32_t vm)
{
	struct mb_vm copy;
	bool ret;

	mb_fleet_get(s->fleet, vm, &copy);
	ret = mb_fpref_is_paged_out(copy.fp);
	mb_vm_deinit(&copy);
	return ret;
}

/* Which VMs are paged out, as "abc". */
static void assert_out(struct scene *s, const char *names)
{
	struct mb_fleet_memory m;
	char found[VMS + 1] = "";

	for (uint32_t i = 0; i < VMS; i++)
		if (is_out(s, i))
			strcat(found, (const char[]){ (char)('a' + i), 0 });
	assert_string_equal(found, names);
	mb_fleet_memory(s->fleet, &m);
	assert_int_equal(m.n_paged_out, strlen(names));
}

static void set_budget(struct scene *s, uint64_t bytes)
{
	struct mb_fleet_memory m;

	mb_fleet_set_budget(s->fleet, bytes);
	mb_fleet_trim(s->fleet);
	mb_fleet_memory(s->fleet, &m);
	assert_int_equal(m.budget_bytes, bytes);
	assert_true(!bytes || m.held_bytes <= bytes);
}

static void test_who_is_paged_out(void **state)
{
	struct mb_fleet_memory m;
	struct scene s;

	(void)state;
	scene_open(&s);
	mb_fleet_memory(s.fleet, &m);
	/* 4000, 5000 .. 9000 digests, in rooms of few sizes. */
	assert_in_range(m.held_bytes, 39000 * 8, 39000 * 8 * 17 / 16 + 4000);
	set_budget(&s, 0);
	assert_out(&s, "");
	/* The largest go first, as far as need be. */
	set_budget(&s, 300000);
	assert_out(&s, "f");
	/* Those without an agent before all others, however small; last acked first. */
	mb_fleet_leave(s.fleet, 1, 2);
	mb_fleet_leave(s.fleet, 0, 1);
	next_epoch(&s, 0, 1);
	set_budget(&s, 230000);
	assert_out(&s, "bf");
	set_budget(&s, 200000);
	assert_out(&s, "abf");
	/* A budget for samples only; they shrink until they fit. */
	set_budget(&s, 40000);
	assert_out(&s, "abcdef");
	mb_fleet_memory(s.fleet, &m);
	assert_int_equal(m.sample_shift, 6);
	scene_close(&s);
}

static void test_what_is_left(void **state)
{
	struct mb_kept_list sample;
	struct scene s;
	struct mb_vm vm;
	struct mb_fingerprint_id id, left;
	uint64_t max = mb_sample_last(64, 4);
	uint32_t n = 0;

	(void)state;
	scene_open(&s);
	set_budget(&s, 300000);
	mb_fleet_get(s.fleet, 5, &vm);
	assert_null(mb_fpref_fingerprint(vm.fp));
	id = mb_fingerprint_id(&s.fp[5]);
	left = mb_fpref_id(vm.fp);
	assert_true(mb_fingerprint_id_equal(&id, &left));
	sample = mb_fpref_list(vm.fp, max, false);
	while (s.fp[5].digests[n] <= max)
		n++;
	assert_int_equal(sample.list.n, n);
	assert_memory_equal(sample.list.digests, s.fp[5].digests, n * sizeof(uint64_t));
	assert_true(mb_fpref_bytes(vm.fp) < 9000);
	mb_vm_deinit(&vm);
	scene_close(&s);
}

/* Deltas to what is paged out; what lasts is not forgotten. */
static void test_deltas_page_in(void **state)
{
	struct mb_welcome w = { 0 };
	const struct mb_durable *d;
	struct mb_fleet_memory m;
	struct mb_fingerprint old;
	struct mb_err err = { 0 };
	struct scene s;
	struct mb_vm vm;
	uint32_t index, lasting = 0;

	(void)state;
	scene_open(&s);
	mb_fleet_set_durable(s.fleet, 1);
	next_epoch(&s, 5, 1);
	next_epoch(&s, 5, 2);
	next_epoch(&s, 5, 2);
	set_budget(&s, 200000);
	assert_true(is_out(&s, 5));
	make_memory(5, PAGES + 5000, 2, &old);
	next_epoch(&s, 5, 3);
	next_epoch(&s, 0, 3);
	mb_fleet_memory(s.fleet, &m);
	assert_true(m.page_ins >= 1);
	assert_int_equal(m.page_outs, m.n_paged_out + m.page_ins);
	/* The agent is told what is held, in memory or not. */
	mb_fleet_leave(s.fleet, 5, 6);
	assert_ok(mb_fleet_greet(s.fleet, &s.hello[5], 60, &w, &index, &err), &err);
	assert_int_equal(w.epoch, s.epoch[5]);
	assert_int_equal(w.fingerprint.distinct, s.fp[5].n_distinct);
	mb_fleet_get(s.fleet, 5, &vm);
	assert_true(mb_fpref_is_paged_out(vm.fp));
	/* What was there before it was paged out lasts. */
	d = mb_fpref_durable(vm.fp);
	assert_non_null(d);
	assert_false(d->whole);
	for (uint32_t i = 0; i < s.fp[5].n_distinct; i++) {
		bool was = mb_fingerprint_find(&old, s.fp[5].digests[i]);

		lasting += mb_durable_has(d, i);
		assert_true(!mb_durable_has(d, i) || was);
	}
	assert_true(lasting > 7000);
	mb_vm_deinit(&vm);
	/* An epoch that changes nothing. */
	set_budget(&s, 0);
	next_epoch(&s, 5, 3);
	mb_fleet_get(s.fleet, 5, &vm);
	assert_fingerprint_equal(mb_fpref_fingerprint(vm.fp), &s.fp[5]);
	mb_vm_deinit(&vm);
	mb_fingerprint_deinit(&old);
	scene_close(&s);
}

static void run_sql(struct scene *s, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

/* A store that lost what was paged out is found out by the hash; a snapshot mends it. */
static void test_damage_is_found(void **state)
{
	const struct mb_sharing_view *v;
	struct mb_fingerprint base;
	struct mb_err err = { 0 };
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	next_epoch(&s, 5, 1);
	set_budget(&s, 200000);
	assert_true(is_out(&s, 5));
	run_sql(&s, "DELETE FROM fingerprint WHERE seq > 0");
	assert_fails(mb_sharing_lock_exact(s.sharing, &s.source, &v, &err), ESTALE, &err, "VM f");
	/* Not what the agent's delta starts from. */
	base = s.fp[5];
	make_memory(5, PAGES, 9, &s.fp[5]);
	s.epoch[5]++;
	submit(&s, 5, &base, s.epoch[5] - 1);
	assert_verdict(&s, MB_INGEST_RESYNC);
	submit(&s, 5, NULL, 0);
	assert_verdict(&s, MB_INGEST_DURABLE);
	set_budget(&s, 0);
	mb_fleet_get(s.fleet, 5, &vm);
	assert_fingerprint_equal(mb_fpref_fingerprint(vm.fp), &s.fp[5]);
	mb_vm_deinit(&vm);
	mb_fingerprint_deinit(&base);
	assert_ok(mb_sharing_lock_exact(s.sharing, &s.source, &v, &err), &err);
	mb_sharing_unlock(s.sharing);
	scene_close(&s);
}

static uint64_t inter(const struct scene *s, uint32_t a, uint32_t b)
{
	struct mb_pair_sharing p;

	mb_fingerprint_pair_sharing(&s->fp[a], &s->fp[b], &p);
	return p.inter;
}

static void test_estimates_and_exact_answers(void **state)
{
	const struct mb_sharing_view *v;
	struct mb_sharing_stats stats;
	struct mb_err err = { 0 };
	struct scene s;
	unsigned int wrong = 0;

	(void)state;
	scene_open(&s);
	set_budget(&s, 150000);
	assert_ok(mb_sharing_lock(s.sharing, &v, &err), &err);
	assert_int_equal(v->sample_shift, 4);
	assert_int_equal(v->n_sets, 1);
	for (uint32_t a = 0; a < VMS; a++)
		for (uint32_t b = a + 1; b < VMS; b++) {
			uint64_t truth = inter(&s, a, b), got = v->sets[0].inter[a * VMS + b];
			uint64_t error = mb_estimate_error((double)got, 1, 4);

			/* The zero page is no estimate. */
			assert_int_equal((got - 1) % 16, 0);
			assert_true(got != truth);
			assert_true(error < truth);
			wrong += got > truth + error || truth > got + error;
		}
	mb_sharing_unlock(s.sharing);
	/* 95 %: of the 15, which hang together, few. */
	assert_true(wrong <= 1);
	assert_ok(mb_sharing_lock_exact(s.sharing, &s.source, &v, &err), &err);
	assert_int_equal(v->sample_shift, 0);
	for (uint32_t a = 0; a < VMS; a++)
		for (uint32_t b = 0; b < VMS; b++)
			assert_int_equal(v->sets[0].inter[a * VMS + b],
					 a == b ? 0 : inter(&s, a, b));
	mb_sharing_unlock(s.sharing);
	mb_sharing_stats(s.sharing, &stats);
	assert_int_equal(stats.estimated, 1);
	/* It is good until something changes, for who did not insist, too. */
	assert_ok(mb_sharing_lock(s.sharing, &v, &err), &err);
	assert_int_equal(v->sample_shift, 0);
	mb_sharing_unlock(s.sharing);
	next_epoch(&s, 0, 5);
	assert_ok(mb_sharing_lock(s.sharing, &v, &err), &err);
	assert_int_equal(v->sample_shift, 4);
	mb_sharing_unlock(s.sharing);
	scene_close(&s);
}

/* In many passes, with what lasts: as if nothing were paged out. */
static void test_exact_in_slices(void **state)
{
	struct mb_groups plain = { 0 }, lasting = { 0 };
	const struct mb_sharing_view *v;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s);
	mb_fleet_set_durable(s.fleet, 1);
	for (int i = 1; i < 4; i++) {
		next_epoch(&s, 4, (uint64_t)i / 2);
		next_epoch(&s, 5, (uint64_t)i / 2);
	}
	assert_ok(mb_sharing_lock(s.sharing, &v, &err), &err);
	assert_true(v->has_durable);
	assert_ok(mb_groups_blend(&plain, &v->groups, 100, &(struct mb_groups){ 0 }, 0, &err),
		  &err);
	assert_ok(mb_groups_blend(&lasting, &v->durable_groups, 100, &(struct mb_groups){ 0 }, 0,
				  &err),
		  &err);
	mb_sharing_unlock(s.sharing);
	next_epoch(&s, 0, 0);
	set_budget(&s, 30000);
	assert_ok(mb_sharing_lock_exact(s.sharing, &s.source, &v, &err), &err);
	assert_int_equal(v->groups.n_groups, plain.n_groups);
	assert_memory_equal(v->groups.groups, plain.groups, plain.n_groups * sizeof(*plain.groups));
	assert_memory_equal(v->groups.vms, plain.vms, plain.n_vms * sizeof(*plain.vms));
	assert_int_equal(v->durable_groups.n_groups, lasting.n_groups);
	assert_memory_equal(v->durable_groups.groups, lasting.groups,
			    lasting.n_groups * sizeof(*lasting.groups));
	mb_sharing_unlock(s.sharing);
	mb_groups_deinit(&plain);
	mb_groups_deinit(&lasting);
	scene_close(&s);
}

/* --- a question is being answered ------------------------------------------------------------- */

struct gate {
	struct scene *scene;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool computing, acked, exact;
};

/* Goes on only when an ack was given meanwhile. */
static void hold(void *ctx)
{
	struct gate *g = ctx;

	pthread_mutex_lock(&g->lock);
	g->computing = true;
	pthread_cond_broadcast(&g->wake);
	while (!g->acked)
		pthread_cond_wait(&g->wake, &g->lock);
	pthread_mutex_unlock(&g->lock);
}

static void *ask(void *arg)
{
	struct gate *g = arg;
	const struct mb_sharing_view *v;
	struct mb_err err = { 0 };
	int r = g->exact ? mb_sharing_lock_exact(g->scene->sharing, &g->scene->source, &v, &err) :
			   mb_sharing_lock(g->scene->sharing, &v, &err);

	if (r < 0)
		return NULL;
	mb_sharing_unlock(g->scene->sharing);
	return g;
}

static void test_acks_do_not_wait(void **state)
{
	(void)state;
	/* All in memory; estimated; exact from the store. */
	for (int how = 0; how < 3; how++) {
		struct gate g = { .lock = PTHREAD_MUTEX_INITIALIZER,
				  .wake = PTHREAD_COND_INITIALIZER,
				  .exact = how == 2 };
		struct scene s;
		pthread_t thread;
		void *good;

		scene_open(&s);
		g.scene = &s;
		set_budget(&s, how ? 150000 : 0);
		mb_sharing_on_compute(s.sharing, hold, &g);
		assert_int_equal(pthread_create(&thread, NULL, ask, &g), 0);
		pthread_mutex_lock(&g.lock);
		while (!g.computing)
			pthread_cond_wait(&g.wake, &g.lock);
		pthread_mutex_unlock(&g.lock);
		for (uint32_t i = 0; i < VMS; i++) {
			next_epoch(&s, i, 1);
			next_epoch(&s, i, 2);
		}
		pthread_mutex_lock(&g.lock);
		g.acked = true;
		pthread_cond_broadcast(&g.wake);
		pthread_mutex_unlock(&g.lock);
		pthread_join(thread, &good);
		assert_non_null(good);
		scene_close(&s);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_is_paged_out),
		cmocka_unit_test(test_what_is_left),
		cmocka_unit_test(test_deltas_page_in),
		cmocka_unit_test(test_damage_is_found),
		cmocka_unit_test(test_estimates_and_exact_answers),
		cmocka_unit_test(test_exact_in_slices),
		cmocka_unit_test(test_acks_do_not_wait),
	};

	return cmocka_run_group_tests_name("fleet_budget", tests, NULL, NULL);
}
