// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ingest.h"

#include <poll.h>
#include <sqlite3.h>

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "server/store_key.h"
#include "tests/unit/util_server.h"
#include "tests/unit/util_wire.h"

enum { VMS = 5, RAW_MAX = 1 << 20 };

/* A server without its network: VMs "a".. with agents connected, each at its boot 1. */
struct scene {
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_ingest *ingest;
	struct mb_hello hello[VMS];
	struct mb_fingerprint fp[VMS]; /* what the agents hold */
	uint64_t epoch[VMS];
	char path[128];
};

static void scene_open(struct scene *s)
{
	static const char *const names[VMS] = { "a", "b", "c", "d", "e" };
	static int n;
	struct mb_welcome w = { 0 };
	struct mb_err err = { 0 };
	char name[32];
	uint32_t vm;

	*s = (struct scene){ 0 };
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, s->path);
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(s->path, &s->store, &err), &err);
	assert_ok(mb_ingest_create(s->fleet, s->store, RAW_MAX, &s->ingest, &err), &err);
	for (uint32_t i = 0; i < VMS; i++) {
		make_hello(names[i], 1, &s->hello[i]);
		assert_ok(mb_fleet_greet(s->fleet, &s->hello[i], i + 1, &w, &vm, &err), &err);
		assert_int_equal(vm, i);
	}
}

static void scene_close(struct scene *s)
{
	mb_ingest_destroy(s->ingest);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	for (int i = 0; i < VMS; i++)
		mb_fingerprint_deinit(&s->fp[i]);
}

static struct mb_ingest_job *make_job(const struct scene *s, uint32_t vm)
{
	struct mb_ingest_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->vm = vm;
	job->boot = s->hello[vm].boot;
	job->identity = s->hello[vm].identity;
	return job;
}

/* The agent's next epoch; takes the fingerprint over. */
static struct mb_ingest_job *next_of(struct scene *s, uint32_t vm, struct mb_fingerprint fp)
{
	struct mb_ingest_job *job = make_job(s, vm);

	make_frame(s->epoch[vm] ? &s->fp[vm] : NULL, s->epoch[vm], &fp, s->epoch[vm] + 1, 64,
		   &job->frame);
	mb_fingerprint_deinit(&s->fp[vm]);
	s->fp[vm] = fp;
	s->epoch[vm]++;
	return job;
}

/* Of digests first, first + step ... */
static struct mb_ingest_job *next_epoch(struct scene *s, uint32_t vm, uint64_t first, uint64_t step,
					size_t n)
{
	struct mb_fingerprint fp;

	make_fingerprint_of(first, step, n, &fp);
	return next_of(s, vm, fp);
}

/* Waits for `n` results; the caller frees them. */
static void take(struct scene *s, struct mb_ingest_job **ret, int n)
{
	struct pollfd p = { .fd = mb_ingest_fd(s->ingest), .events = POLLIN };

	for (int got = 0; got < n;) {
		struct mb_ingest_job *next;

		assert_int_equal(poll(&p, 1, 20000), 1);
		for (struct mb_ingest_job *j = mb_ingest_take(s->ingest); j; j = next) {
			next = j->next;
			assert_true(got < n);
			ret[got++] = j;
		}
	}
	assert_null(mb_ingest_take(s->ingest));
}

static struct mb_ingest_job *run(struct scene *s, struct mb_ingest_job *job)
{
	job->session = s;
	mb_ingest_submit(s->ingest, job);
	take(s, &job, 1);
	assert_ptr_equal(job->session, s);
	/* Its bytes are not kept until somebody comes for the result. */
	assert_null(job->frame.data);
	return job;
}

static void must(struct scene *s, struct mb_ingest_job *job, enum mb_ingest_verdict verdict,
		 const char *word)
{
	job = run(s, job);
	if (job->verdict != verdict || !strstr(job->reason.text, word))
		fail_msg("verdict %d: %s", job->verdict, job->reason.text);
	mb_ingest_job_free(job);
}

static void assert_published(struct scene *s, uint32_t index, uint64_t epoch)
{
	struct mb_vm vm;

	mb_fleet_get(s->fleet, index, &vm);
	assert_int_equal(vm.epoch, epoch);
	if (epoch == s->epoch[index])
		assert_fingerprint_equal(mb_fpref_fingerprint(vm.fp), &s->fp[index]);
	mb_vm_deinit(&vm);
}

static void sql(struct scene *s, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static uint64_t count(struct scene *s, const char *query)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	uint64_t n;

	assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

struct check {
	struct scene *s;
	uint32_t n;
};

static int check_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err)
{
	struct check *c = ctx;
	int i = vm->name[0] - 'a';
	struct mb_vm now;

	(void)err;
	assert_null(damage);
	assert_int_equal(vm->epoch, c->s->epoch[i]);
	assert_fingerprint_equal(mb_fpref_fingerprint(vm->fp), &c->s->fp[i]);
	/* Of a sample, what is known of all: as it was acked. */
	mb_fleet_get(c->s->fleet, (uint32_t)i, &now);
	assert_int_equal(vm->sample.shift, now.sample.shift);
	assert_memory_equal(&vm->sharing, &now.sharing, sizeof(now.sharing));
	mb_vm_deinit(&now);
	mb_vm_deinit(vm);
	c->n++;
	return 0;
}

/* What a server that starts now would find is what the agents hold. */
static void assert_durable(struct scene *s, uint32_t n_vms)
{
	struct check c = { .s = s };
	struct mb_store *store;
	struct mb_err err = { 0 };

	assert_ok(mb_store_open(s->path, &store, &err), &err);
	assert_ok(mb_store_load(store, check_vm, &c, &err), &err);
	assert_int_equal(c.n, n_vms);
	mb_store_close(store);
}

static void test_durable(void **state)
{
	struct mb_fingerprint_id id;
	struct mb_ingest_job *job;
	struct scene s;
	struct mb_vm vm;
	size_t bytes;

	(void)state;
	scene_open(&s);
	job = next_epoch(&s, 0, 100, 1, 50);
	bytes = job->frame.len;
	job = run(&s, job);
	assert_int_equal(job->verdict, MB_INGEST_DURABLE);
	assert_int_equal(job->epoch, 1);
	id = mb_fingerprint_id(&s.fp[0]);
	assert_true(mb_fingerprint_id_equal(&job->fingerprint, &id));
	mb_ingest_job_free(job);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.wire_bytes, bytes);
	assert_int_equal(vm.sharing.pages, 50);
	assert_int_equal(vm.pass.pages_unread, 3);
	assert_string_equal(vm.tracker, "none");
	assert_null(vm.pass.tracker);
	assert_true(vm.id > 0 && vm.acked_unix_ns > 0);
	assert_int_equal(vm.session, 1);
	mb_vm_deinit(&vm);
	assert_durable(&s, 1);
	must(&s, next_epoch(&s, 0, 110, 1, 50), MB_INGEST_DURABLE, "");
	must(&s, next_epoch(&s, 0, 0, 0, 0), MB_INGEST_DURABLE, "");
	must(&s, next_epoch(&s, 0, 5, 0, 9), MB_INGEST_DURABLE, "");
	must(&s, next_epoch(&s, 3, 1, 1, 1), MB_INGEST_DURABLE, "");
	assert_published(&s, 0, 4);
	assert_published(&s, 3, 1);
	assert_durable(&s, 2);
	assert_int_equal(count(&s, "SELECT added FROM history WHERE epoch = 2"), 10);
	assert_int_equal(count(&s, "SELECT removed FROM history WHERE epoch = 3"), 50);
	scene_close(&s);
}

/* Puts an audit, or who dirtied memory, into the Delta of `job`. */
static void amend(struct mb_ingest_job *job, const struct mb_audit *a, struct mb_slice who)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_slice frame = mb_buf_slice(&job->frame);
	struct mb_err err = { 0 };

	assert_ok(mb_frame_take(&frame, RAW_MAX, &raw, &err), &err);
	assert_ok(mb_msg_unpack(mb_buf_slice(&raw), &msg, &err), &err);
	if (a)
		msg.delta.pass.audit = *a;
	msg.delta.pass.who = who;
	mb_buf_clear(&job->frame);
	assert_ok(mb_msg_to_frame(&msg, &job->frame, &err), &err);
}

static void audit(struct mb_ingest_job *job, const struct mb_audit *a)
{
	amend(job, a, (struct mb_slice){ 0 });
}

/* It is of its epoch: the next one does not have it. */
static void test_audit(void **state)
{
	static const struct mb_audit a = {
		.audits = 1, .follows = 2, .changed = { 0, 10 }, .stale = { 0, 1 }
	};
	static const struct mb_audit lie = { .audits = 1, .stale = { 1 } };
	struct mb_ingest_job *job;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	job = next_epoch(&s, 0, 100, 1, 50);
	audit(job, &a);
	must(&s, job, MB_INGEST_DURABLE, "");
	mb_fleet_get(s.fleet, 0, &vm);
	assert_audit_equal(&vm.pass.audit, &a);
	mb_vm_deinit(&vm);
	must(&s, next_epoch(&s, 0, 110, 1, 50), MB_INGEST_DURABLE, "");
	assert_int_equal(count(&s, "SELECT sum(audits) FROM history"), 1);
	assert_int_equal(count(&s, "SELECT recall * 10 FROM history WHERE epoch = 1"), 9);
	assert_int_equal(count(&s, "SELECT read FROM history WHERE epoch = 2"), 50);
	assert_int_equal(count(&s, "SELECT stale FROM audit WHERE class = 'anon'"), 1);
	job = next_epoch(&s, 1, 100, 1, 50);
	audit(job, &lie);
	must(&s, job, MB_INGEST_BAD, "pass.audit.stale");
	assert_int_equal(count(&s, "SELECT count(*) FROM audit"), 1);
	assert_durable(&s, 1);
	scene_close(&s);
}

/* Counted once, however often it comes. */
static void test_who(void **state)
{
	static const uint8_t list[] = "\0\0\1\7\2sh\1/\2\1\2";
	const struct mb_slice who = { list, sizeof(list) - 1 };
	struct mb_ingest_job *job, *again;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	job = next_epoch(&s, 0, 100, 1, 50);
	amend(job, NULL, who);
	again = make_job(&s, 0);
	mb_buf_put(&again->frame, job->frame.data, job->frame.len);
	must(&s, job, MB_INGEST_DURABLE, "");
	must(&s, again, MB_INGEST_DURABLE, "");
	assert_int_equal(count(&s, "SELECT sum(frames) FROM who"), 10);
	assert_int_equal(count(&s, "SELECT frames FROM who WHERE process = 'sh'"), 3);
	/* It lived in the message. */
	mb_fleet_get(s.fleet, 0, &vm);
	assert_null(vm.pass.who.data);
	mb_vm_deinit(&vm);
	must(&s, next_epoch(&s, 0, 110, 1, 50), MB_INGEST_DURABLE, "");
	assert_int_equal(count(&s, "SELECT count(*) FROM who"), 2);
	job = next_epoch(&s, 1, 100, 1, 50);
	amend(job, NULL, (struct mb_slice){ list, sizeof(list) - 2 });
	must(&s, job, MB_INGEST_BAD, "pass.who: row 1");
	assert_int_equal(count(&s, "SELECT count(*) FROM who"), 2);
	scene_close(&s);
}

static void test_again(void **state)
{
	struct mb_ingest_job *job, *again;
	uint64_t generation;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	must(&s, next_epoch(&s, 0, 100, 1, 50), MB_INGEST_DURABLE, "");
	job = next_epoch(&s, 0, 110, 1, 50);
	again = make_job(&s, 0);
	mb_buf_put(&again->frame, job->frame.data, job->frame.len);
	must(&s, job, MB_INGEST_DURABLE, "");
	generation = mb_fleet_generation(s.fleet);
	job = run(&s, again);
	assert_int_equal(job->verdict, MB_INGEST_DURABLE);
	assert_int_equal(job->epoch, 2);
	mb_ingest_job_free(job);
	assert_int_equal(mb_fleet_generation(s.fleet), generation);
	assert_int_equal(count(&s, "SELECT count(*) FROM history"), 2);
	/* The same epoch as a snapshot: held, too. */
	job = make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], 2, 64, &job->frame);
	must(&s, job, MB_INGEST_DURABLE, "");
	assert_int_equal(mb_fleet_generation(s.fleet), generation);
	assert_durable(&s, 1);
	/* Of another boot it is not: what is held is that boot's from then on. */
	s.hello[0].boot.id[0]++;
	job = make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], 2, 64, &job->frame);
	must(&s, job, MB_INGEST_DURABLE, "");
	mb_fleet_get(s.fleet, 0, &vm);
	assert_memory_equal(&vm.boot, &s.hello[0].boot, sizeof(vm.boot));
	mb_vm_deinit(&vm);
	assert_durable(&s, 1);
	scene_close(&s);
}

static void test_resync(void **state)
{
	struct mb_ingest_job *job;
	struct mb_fingerprint fp;
	struct scene s;

	(void)state;
	scene_open(&s);
	make_fingerprint_of(500, 1, 20, &fp);
	/* Nothing is held. */
	job = make_job(&s, 0);
	make_frame(&fp, 1, &fp, 2, 64, &job->frame);
	must(&s, job, MB_INGEST_RESYNC, "starts from epoch 1");
	must(&s, next_epoch(&s, 0, 100, 1, 50), MB_INGEST_DURABLE, "");
	/* Another epoch, another fingerprint. */
	job = make_job(&s, 0);
	make_frame(&s.fp[0], 2, &fp, 3, 64, &job->frame);
	must(&s, job, MB_INGEST_RESYNC, "its epoch 1 is held");
	job = make_job(&s, 0);
	make_frame(&fp, 1, &s.fp[0], 2, 64, &job->frame);
	must(&s, job, MB_INGEST_RESYNC, "another fingerprint");
	/* Another boot; it looks the same otherwise. */
	job = make_job(&s, 0);
	job->boot.id[0]++;
	make_frame(&s.fp[0], 1, &fp, 2, 64, &job->frame);
	must(&s, job, MB_INGEST_RESYNC, "another source's");
	assert_published(&s, 0, 1);
	assert_int_equal(count(&s, "SELECT count(*) FROM history"), 1);
	/* A snapshot always does, also of an older epoch. */
	job = make_job(&s, 0);
	job->boot.id[0]++;
	make_frame(NULL, 0, &fp, 1, 64, &job->frame);
	must(&s, job, MB_INGEST_DURABLE, "");
	mb_fingerprint_deinit(&s.fp[0]);
	s.fp[0] = fp;
	assert_published(&s, 0, 1);
	assert_durable(&s, 1);
	scene_close(&s);
}

/* The agent of that boot now hashes otherwise: the Welcome said that nothing is held. */
static void test_other_identity_is_no_base(void **state)
{
	struct mb_ingest_job *job;
	struct mb_fingerprint fp;
	struct scene s;

	(void)state;
	scene_open(&s);
	must(&s, next_epoch(&s, 0, UINT64_MAX - 50, 1, 50), MB_INGEST_DURABLE, "");
	job = make_job(&s, 0);
	job->identity.bits = 48;
	job->identity.zero_digest >>= 16;
	make_frame(&s.fp[0], 1, &s.fp[0], 2, 48, &job->frame);
	must(&s, job, MB_INGEST_RESYNC, "another source's");
	make_fingerprint_of(1, 1, 3, &fp);
	job = make_job(&s, 0);
	job->identity.bits = 48;
	job->identity.zero_digest >>= 16;
	make_frame(NULL, 0, &fp, 2, 48, &job->frame);
	must(&s, job, MB_INGEST_DURABLE, "");
	mb_fingerprint_deinit(&s.fp[0]);
	s.fp[0] = fp;
	s.epoch[0] = 2;
	assert_published(&s, 0, 2);
	assert_durable(&s, 1);
	scene_close(&s);
}

static void test_bad(void **state)
{
	struct mb_buf raw = { 0 };
	struct mb_ingest_job *job;
	struct mb_fingerprint fp;
	struct scene s;
	struct rng r = { 9 };
	uint64_t at;

	(void)state;
	scene_open(&s);
	must(&s, make_job(&s, 0), MB_INGEST_BAD, "");
	job = make_job(&s, 0);
	mb_buf_put(&job->frame, "HTTP/1.1 200 OK\r\n\r\n", 19);
	must(&s, job, MB_INGEST_BAD, "");
	/* Another message. */
	for (int i = 0; i < WIRE_TYPES; i++) {
		if (wire_types[i] == MB_MSG_DELTA)
			continue;
		mb_buf_clear(&raw);
		sample_raw(wire_types[i], &raw);
		job = make_job(&s, 0);
		assert_ok(mb_frame_encode(mb_buf_slice(&raw), &job->frame, &job->reason),
			  &job->reason);
		must(&s, job, MB_INGEST_BAD, "where a Delta belongs");
	}
	/* Above the cap. */
	mb_buf_clear(&raw);
	memset(mb_buf_reserve(&raw, RAW_MAX + 1), 0, RAW_MAX + 1);
	raw.len = RAW_MAX + 1;
	job = make_job(&s, 0);
	assert_ok(mb_frame_encode(mb_buf_slice(&raw), &job->frame, &job->reason), &job->reason);
	must(&s, job, MB_INGEST_BAD, "");
	mb_buf_deinit(&raw);
	/* Any byte of it changed, but for those that a reader need not understand. */
	make_fingerprint_of(1, 3, 40, &fp);
	for (int i = 0; i < 200; i++) {
		job = make_job(&s, 0);
		make_frame(NULL, 0, &fp, 1, 64, &job->frame);
		do {
			at = rng_below(&r, job->frame.len);
		} while (at == 6 || at == 7);
		job->frame.data[at] ^= (uint8_t)(1 + rng_below(&r, 255));
		job = run(&s, job);
		assert_int_equal(job->verdict, MB_INGEST_BAD);
		mb_ingest_job_free(job);
	}
	mb_fingerprint_deinit(&fp);
	assert_published(&s, 0, 0);
	assert_int_equal(count(&s, "SELECT count(*) FROM vm"), 0);
	/* And it still works. */
	must(&s, next_epoch(&s, 0, 1, 1, 1), MB_INGEST_DURABLE, "");
	scene_close(&s);
}

/* Says it gives another fingerprint than it does. */
static void test_lying_result(void **state)
{
	const struct mb_fingerprint empty = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };
	struct mb_buf fields = { 0 };
	struct mb_fingerprint fp;
	struct mb_ingest_job *job;
	struct mb_delta delta;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s);
	make_fingerprint_of(1, 3, 40, &fp);
	assert_ok(mb_delta_make(&empty, &fp, &delta, &err), &err);
	delta.result.hash.lo++;
	msg.delta.epoch = 1;
	msg.delta.pass.tracker = "none";
	msg.delta.pass.epochs = 1;
	assert_ok(mb_delta_encode(&delta, 64, &fields, &msg.delta.fields, &err), &err);
	job = make_job(&s, 0);
	assert_ok(mb_msg_to_frame(&msg, &job->frame, &err), &err);
	must(&s, job, MB_INGEST_RESYNC, "but names");
	assert_published(&s, 0, 0);
	mb_delta_deinit(&delta);
	mb_buf_deinit(&fields);
	mb_fingerprint_deinit(&fp);
	scene_close(&s);
}

/* Holds the database, so that jobs pile up. */
static sqlite3 *hold(struct scene *s)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	return db;
}

static void let_go(sqlite3 *db)
{
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void test_many_at_once(void **state)
{
	enum { ROUNDS = 20, JOBS = ROUNDS * (VMS + 1) };
	struct mb_ingest_job *jobs[JOBS];
	uint64_t last[VMS] = { 0 };
	struct scene s;
	sqlite3 *db;
	int n = 0;

	(void)state;
	scene_open(&s);
	db = hold(&s);
	/* Every VM again and again, "b" twice in a row; garbage in between hurts nobody. */
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (uint32_t vm = 0; vm < VMS; vm++) {
			struct mb_ingest_job *job;

			if (vm == 4) {
				job = make_job(&s, vm);
				mb_buf_put(&job->frame, "nonsense", 8);
			} else {
				job = next_epoch(&s, vm, round * 10, 7, 30);
			}
			mb_ingest_submit(s.ingest, job);
			n++;
			if (vm == 1) {
				mb_ingest_submit(s.ingest, next_epoch(&s, vm, round, 3, 30));
				n++;
			}
		}
	}
	assert_int_equal(n, JOBS);
	let_go(db);
	take(&s, jobs, JOBS);
	for (int i = 0; i < JOBS; i++) {
		uint32_t vm = jobs[i]->vm;

		assert_int_equal(jobs[i]->verdict, vm == 4 ? MB_INGEST_BAD : MB_INGEST_DURABLE);
		if (vm != 4)
			assert_int_equal(jobs[i]->epoch, ++last[vm]);
		mb_ingest_job_free(jobs[i]);
	}
	for (uint32_t vm = 0; vm < VMS; vm++)
		assert_published(&s, vm, s.epoch[vm]);
	assert_int_equal(s.epoch[1], 2 * ROUNDS);
	assert_durable(&s, VMS - 1);
	scene_close(&s);
}

static void test_store_fails(void **state)
{
	struct mb_ingest_job *jobs[VMS], *job;
	struct scene s;
	sqlite3 *db;

	(void)state;
	scene_open(&s);
	for (uint32_t vm = 0; vm < 3; vm++)
		must(&s, next_epoch(&s, vm, 100, 1, 50), MB_INGEST_DURABLE, "");
	sql(&s, "CREATE TRIGGER no BEFORE INSERT ON history WHEN NEW.epoch = 3 BEGIN"
		" SELECT RAISE(ABORT, 'no more room'); END");
	must(&s, next_epoch(&s, 0, 101, 1, 50), MB_INGEST_DURABLE, "");
	/* "a" cannot be stored; those committed with it are. */
	db = hold(&s);
	mb_ingest_submit(s.ingest, next_epoch(&s, 3, 1, 1, 1));
	mb_ingest_submit(s.ingest, next_epoch(&s, 1, 102, 1, 50));
	mb_ingest_submit(s.ingest, next_epoch(&s, 0, 102, 1, 50));
	mb_ingest_submit(s.ingest, next_epoch(&s, 2, 102, 1, 50));
	let_go(db);
	take(&s, jobs, 4);
	for (int i = 0; i < 4; i++) {
		uint32_t vm = jobs[i]->vm;

		assert_int_equal(jobs[i]->verdict, vm == 0 ? MB_INGEST_FAILED : MB_INGEST_DURABLE);
		if (vm == 0)
			assert_non_null(strstr(jobs[i]->reason.text, "no more room"));
		assert_published(&s, vm, vm == 0 ? s.epoch[vm] - 1 : s.epoch[vm]);
		mb_ingest_job_free(jobs[i]);
	}
	sql(&s, "DROP TRIGGER no");
	/* The agent still has it, and comes again. */
	job = make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], s.epoch[0], 64, &job->frame);
	must(&s, job, MB_INGEST_DURABLE, "");
	assert_published(&s, 0, s.epoch[0]);
	assert_durable(&s, 4);
	scene_close(&s);
}

/* Agents with different keys that were greeted before any was acked: the first one's key counts. */
static void test_two_keys_at_once(void **state)
{
	struct mb_ingest_job *jobs[2], *job;
	struct scene s;
	sqlite3 *db;

	(void)state;
	scene_open(&s);
	db = hold(&s);
	mb_ingest_submit(s.ingest, next_epoch(&s, 0, 1, 1, 5));
	job = next_epoch(&s, 1, 1, 1, 5);
	job->identity.zero_digest++;
	mb_ingest_submit(s.ingest, job);
	let_go(db);
	take(&s, jobs, 2);
	assert_int_equal(jobs[0]->verdict, MB_INGEST_DURABLE);
	assert_int_equal(jobs[1]->verdict, MB_INGEST_FOREIGN);
	assert_non_null(strstr(jobs[1]->reason.text, "another key"));
	assert_published(&s, 1, 0);
	mb_ingest_job_free(jobs[0]);
	mb_ingest_job_free(jobs[1]);
	/* Later too. */
	s.epoch[1]--;
	job = next_epoch(&s, 1, 1, 1, 5);
	job->identity.zero_digest++;
	must(&s, job, MB_INGEST_FOREIGN, "another key");
	scene_close(&s);
}

/* A Delta of either key in one commit; when the last VM has the new one, that is told once. */
static void test_a_key_is_changed(void **state)
{
	struct mb_key_rotation r;
	struct mb_ingest_job *jobs[3];
	struct mb_identity new;
	struct mb_err err = { 0 };
	struct scene s;
	sqlite3 *db;
	int told = 0;

	(void)state;
	scene_open(&s);
	make_identity("d", 2, &new);
	must(&s, next_epoch(&s, 0, 1, 1, 5), MB_INGEST_DURABLE, "");
	must(&s, next_epoch(&s, 1, 1, 1, 5), MB_INGEST_DURABLE, "");
	assert_ok(mb_fleet_plan_rotation(s.fleet, "d", mb_identity_key_id(&new), &r, &err), &err);
	assert_ok(mb_store_put_key_rotation(s.store, &r, &err), &err);
	assert_ok(mb_fleet_begin_rotation(s.fleet, &r, &err), &err);
	db = hold(&s);
	/* While this one waits for the database the others gather. */
	mb_ingest_submit(s.ingest, next_epoch(&s, 0, 1, 2, 5));
	poll(NULL, 0, 100);
	mb_ingest_submit(s.ingest, next_epoch(&s, 2, 1, 1, 5));
	jobs[0] = next_epoch(&s, 3, 1, 1, 5);
	jobs[0]->identity = new;
	mb_ingest_submit(s.ingest, jobs[0]);
	let_go(db);
	take(&s, jobs, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(jobs[i]->verdict, MB_INGEST_DURABLE);
		assert_string_equal(jobs[i]->news, "");
		mb_ingest_job_free(jobs[i]);
	}
	for (uint32_t vm = 0; vm < 3; vm++) {
		/* As of a source that began anew. */
		s.epoch[vm] = 0;
		jobs[0] = next_epoch(&s, vm, 1, 1, 5);
		jobs[0]->identity = new;
		jobs[0]->boot.id[0] = 9;
		jobs[0] = run(&s, jobs[0]);
		assert_int_equal(jobs[0]->verdict, MB_INGEST_DURABLE);
		told += strstr(jobs[0]->news, "4 VMs all have key") != NULL;
		assert_int_equal(told, vm == 2);
		mb_ingest_job_free(jobs[0]);
	}
	assert_int_equal(count(&s, "SELECT count(*) FROM key_rotation"), 0);
	must(&s, next_epoch(&s, 4, 1, 1, 5), MB_INGEST_FOREIGN, "another key");
	scene_close(&s);
}

/* A new VM whose first epoch could not be stored is as new the next time. */
static void test_store_fails_for_a_new_vm(void **state)
{
	struct mb_ingest_job *job;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	sql(&s, "CREATE TRIGGER no BEFORE INSERT ON fingerprint BEGIN"
		" SELECT RAISE(ABORT, 'no'); END");
	must(&s, next_epoch(&s, 0, 1, 1, 5), MB_INGEST_FAILED, "no");
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.id, 0);
	assert_int_equal(vm.epoch, 0);
	assert_null(vm.fp);
	mb_vm_deinit(&vm);
	assert_int_equal(count(&s, "SELECT count(*) FROM vm"), 0);
	sql(&s, "DROP TRIGGER no");
	job = make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], 1, 64, &job->frame);
	must(&s, job, MB_INGEST_DURABLE, "");
	assert_durable(&s, 1);
	scene_close(&s);
}

static void test_compaction(void **state)
{
	uint64_t frames = 0, before, epoch;
	struct mb_fingerprint fp;
	struct rng r = { 4 };
	bool compacted = false;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	must(&s, next_epoch(&s, 0, 1, 1, 10), MB_INGEST_DURABLE, "");
	for (epoch = 2; epoch <= 40; epoch++) {
		before = frames;
		random_fingerprint(&r, 1500, 0, &fp);
		must(&s, next_of(&s, 0, fp), MB_INGEST_DURABLE, "");
		frames = count(&s, "SELECT count(*) FROM fingerprint");
		mb_fleet_get(s.fleet, 0, &vm);
		assert_true(vm.log_bytes <= MB_MAX(vm.snapshot_bytes, 65536u));
		assert_int_equal(vm.log_bytes + vm.snapshot_bytes,
				 count(&s, "SELECT sum(length(frame)) FROM fingerprint"));
		assert_int_equal(vm.log_seq, count(&s, "SELECT max(seq) FROM fingerprint"));
		mb_vm_deinit(&vm);
		if (frames < before) {
			assert_int_equal(frames, 1);
			compacted = true;
			assert_durable(&s, 1);
		}
	}
	assert_true(compacted);
	/* History is not compacted. */
	assert_int_equal(count(&s, "SELECT count(*) FROM history"), 40);
	assert_published(&s, 0, 40);
	assert_durable(&s, 1);
	scene_close(&s);
}

/* --- samples ---------------------------------------------------------------------------------- */

/* The agent of VM 0 has n contents from `first` on, all over the space, and sends less. */
static struct mb_ingest_job *next_small(struct scene *s, uint64_t first, size_t n,
					const struct mb_sample_of *how)
{
	struct mb_ingest_job *job = make_job(s, 0);
	struct mb_fingerprint whole, sample;

	make_fingerprint_of(first, UINT64_MAX / 2000, n, &whole);
	job->agreed = *how;
	make_small_frame(s->epoch[0] ? &s->fp[0] : NULL, s->epoch[0], &whole, s->epoch[0] + 1, how,
			 &job->identity, &sample, &job->frame);
	mb_fingerprint_deinit(&whole);
	mb_fingerprint_deinit(&s->fp[0]);
	s->fp[0] = sample;
	s->epoch[0]++;
	return job;
}

/* Of a sample: 1 in 4. */
static struct mb_ingest_job *next_sample(struct scene *s, uint64_t first, size_t n)
{
	return next_small(s, first, n, &(struct mb_sample_of){ .shift = 2 });
}

static void test_sample(void **state)
{
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	must(&s, next_sample(&s, 1, 2000), MB_INGEST_DURABLE, "");
	assert_published(&s, 0, 1);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.sample.shift, 2);
	assert_int_equal(vm.sharing.pages, 2000);
	assert_int_equal(vm.sharing.distinct, 2000);
	assert_int_equal(mb_fpref_fingerprint(vm.fp)->n_pages, 501);
	mb_vm_deinit(&vm);
	assert_int_equal(count(&s, "SELECT sample FROM vm"), 4);
	assert_int_equal(count(&s, "SELECT pages FROM history WHERE epoch = 1"), 2000);
	assert_int_equal(count(&s, "SELECT added FROM history WHERE epoch = 1"), 2000);
	/* From sample to sample; the first 200 are gone. */
	must(&s, next_sample(&s, 1 + 200 * (UINT64_MAX / 2000), 1700), MB_INGEST_DURABLE, "");
	assert_published(&s, 0, 2);
	assert_int_equal(count(&s, "SELECT count(*) FROM fingerprint"), 2);
	assert_int_equal(count(&s, "SELECT pages FROM history WHERE epoch = 2"), 1700);
	assert_int_equal(count(&s, "SELECT removed FROM history WHERE epoch = 2"), 800);
	assert_durable(&s, 1);
	scene_close(&s);
}

static void amend_sample(struct mb_ingest_job *job, struct mb_sample_of sample)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_slice frame = mb_buf_slice(&job->frame);
	struct mb_err err = { 0 };

	assert_ok(mb_frame_take(&frame, RAW_MAX, &raw, &err), &err);
	assert_ok(mb_msg_unpack(mb_buf_slice(&raw), &msg, &err), &err);
	msg.delta.sample = sample;
	mb_buf_clear(&job->frame);
	assert_ok(mb_msg_to_frame(&msg, &job->frame, &err), &err);
}

static void test_sample_is_what_was_agreed(void **state)
{
	struct mb_ingest_job *job;
	struct scene s;

	(void)state;
	scene_open(&s);
	job = next_sample(&s, 1, 2000);
	job->agreed.shift = 0;
	must(&s, job, MB_INGEST_BAD, "epoch 1 is a sample of 1 in 4; all was agreed");
	assert_published(&s, 0, 0);
	s.epoch[0] = 0;
	job = next_epoch(&s, 0, 1, 1, 50);
	job->agreed.shift = 2;
	must(&s, job, MB_INGEST_BAD, "epoch 1 is all; a sample of 1 in 4 was agreed");
	/* All that there is, called a sample. */
	s.epoch[0] = 0;
	job = next_epoch(&s, 0, 1, UINT64_MAX / 2000, 2000);
	job->agreed.shift = 2;
	amend_sample(job, (struct mb_sample_of){ 2, 2000, 2000, 0, 0 });
	must(&s, job, MB_INGEST_BAD, "epoch 1: digest 40");
	assert_published(&s, 0, 0);
	scene_close(&s);
}

static void test_cut_digests(void **state)
{
	const struct mb_sample_of how = { .cut_bits = 16 };
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	must(&s, next_small(&s, 1, 2000, &how), MB_INGEST_DURABLE, "");
	assert_published(&s, 0, 1);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.sample.cut_bits, 16);
	assert_int_equal(vm.sharing.pages, 2000);
	assert_true(mb_fpref_fingerprint(vm.fp)->digests[1999] < 1 << 16);
	mb_vm_deinit(&vm);
	assert_int_equal(count(&s, "SELECT cut_bits FROM vm"), 16);
	must(&s, next_small(&s, 1 + 200 * (UINT64_MAX / 2000), 1700, &how), MB_INGEST_DURABLE, "");
	assert_int_equal(count(&s, "SELECT count(*) FROM fingerprint"), 2);
	assert_in_range(count(&s, "SELECT removed FROM history WHERE epoch = 2"), 250, 350);
	assert_durable(&s, 1);
	for (uint64_t i = 0; count(&s, "SELECT count(*) FROM fingerprint") > 1; i++) {
		assert_true(i < 100);
		must(&s, next_small(&s, 1 + i, 1000, &how), MB_INGEST_DURABLE, "");
	}
	assert_durable(&s, 1);
	scene_close(&s);
}

/* Other rates are no base, as other identities are none. */
static void test_rate_changes(void **state)
{
	struct mb_ingest_job *job;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	scene_open(&s);
	must(&s, next_sample(&s, 1, 2000), MB_INGEST_DURABLE, "");
	must(&s, next_epoch(&s, 0, 1, 1, 50), MB_INGEST_RESYNC, "another source's");
	s.epoch[0] = 0;
	job = next_epoch(&s, 0, 1, 1, 50);
	mb_buf_clear(&job->frame);
	make_frame(NULL, 0, &s.fp[0], 2, 64, &job->frame);
	s.epoch[0] = 2;
	must(&s, job, MB_INGEST_DURABLE, "");
	assert_int_equal(count(&s, "SELECT sample FROM vm"), 1);
	assert_int_equal(count(&s, "SELECT added FROM history WHERE epoch = 2"), 50);
	assert_int_equal(count(&s, "SELECT removed FROM history WHERE epoch = 2"), 2000);
	assert_durable(&s, 1);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.sample.shift, 0);
	assert_int_equal(vm.sharing.pages, 50);
	mb_vm_deinit(&vm);
	scene_close(&s);
}

static void test_sample_compaction(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s);
	for (uint64_t i = 0, frames = 0; i == 0 || frames > 1; i++) {
		assert_true(i < 100);
		must(&s, next_sample(&s, 1 + i, 1000), MB_INGEST_DURABLE, "");
		frames = i ? count(&s, "SELECT count(*) FROM fingerprint") : 2;
	}
	/* The snapshot in the place of all frames says what it is of, too. */
	assert_durable(&s, 1);
	scene_close(&s);
}

static void test_stop_finishes_the_queue(void **state)
{
	struct scene s;
	struct mb_err err = { 0 };

	(void)state;
	scene_open(&s);
	for (int round = 0; round < 10; round++)
		for (uint32_t vm = 0; vm < VMS; vm++)
			mb_ingest_submit(s.ingest, next_epoch(&s, vm, (uint64_t)round, 1, 20));
	mb_ingest_destroy(s.ingest);
	assert_durable(&s, VMS);
	/* And nothing at all to do. */
	assert_ok(mb_ingest_create(s.fleet, s.store, RAW_MAX, &s.ingest, &err), &err);
	assert_null(mb_ingest_take(s.ingest));
	mb_ingest_destroy(NULL);
	mb_ingest_job_free(NULL);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_durable),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_who),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_other_identity_is_no_base),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_lying_result),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_two_keys_at_once),
		cmocka_unit_test(test_a_key_is_changed),
		cmocka_unit_test(test_store_fails_for_a_new_vm),
		cmocka_unit_test(test_compaction),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_sample_is_what_was_agreed),
		cmocka_unit_test(test_cut_digests),
		cmocka_unit_test(test_rate_changes),
		cmocka_unit_test(test_sample_compaction),
		cmocka_unit_test(test_stop_finishes_the_queue),
	};

	return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
