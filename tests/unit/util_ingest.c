// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_ingest.h"

#include <poll.h>
#include <sqlite3.h>

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "tests/unit/util_wire.h"

void ingest_scene_open(struct scene *s)
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

void ingest_scene_close(struct scene *s)
{
	mb_ingest_destroy(s->ingest);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	for (int i = 0; i < VMS; i++)
		mb_fingerprint_deinit(&s->fp[i]);
}

struct mb_ingest_job *ingest_make_job(const struct scene *s, uint32_t vm)
{
	struct mb_ingest_job *job = calloc(1, sizeof(*job));

	assert_non_null(job);
	job->vm = vm;
	job->boot = s->hello[vm].boot;
	job->identity = s->hello[vm].identity;
	return job;
}

struct mb_ingest_job *ingest_next_of(struct scene *s, uint32_t vm, struct mb_fingerprint fp)
{
	struct mb_ingest_job *job = ingest_make_job(s, vm);

	make_frame(s->epoch[vm] ? &s->fp[vm] : NULL, s->epoch[vm], &fp, s->epoch[vm] + 1, 64,
		   &job->frame);
	mb_fingerprint_deinit(&s->fp[vm]);
	s->fp[vm] = fp;
	s->epoch[vm]++;
	return job;
}

struct mb_ingest_job *ingest_next(struct scene *s, uint32_t vm, uint64_t first, uint64_t step,
				  size_t n)
{
	struct mb_fingerprint fp;

	make_fingerprint_of(first, step, n, &fp);
	return ingest_next_of(s, vm, fp);
}

void ingest_take(struct scene *s, struct mb_ingest_job **ret, int n)
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

struct mb_ingest_job *ingest_run(struct scene *s, struct mb_ingest_job *job)
{
	job->session = s;
	mb_ingest_submit(s->ingest, job);
	ingest_take(s, &job, 1);
	assert_ptr_equal(job->session, s);
	/* Its bytes are not kept until somebody comes for the result. */
	assert_null(job->frame.data);
	return job;
}

void ingest_must(struct scene *s, struct mb_ingest_job *job, enum mb_ingest_verdict verdict,
		 const char *word)
{
	job = ingest_run(s, job);
	if (job->verdict != verdict || !strstr(job->reason.text, word))
		fail_msg("verdict %d: %s", job->verdict, job->reason.text);
	mb_ingest_job_free(job);
}

void assert_published(struct scene *s, uint32_t index, uint64_t epoch)
{
	struct mb_vm vm;

	mb_fleet_get(s->fleet, index, &vm);
	assert_int_equal(vm.epoch, epoch);
	if (epoch == s->epoch[index])
		assert_fingerprint_equal(mb_fpref_fingerprint(vm.fp), &s->fp[index]);
	mb_vm_deinit(&vm);
}

void ingest_sql(struct scene *s, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

uint64_t ingest_count(struct scene *s, const char *query)
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

void assert_durable(struct scene *s, uint32_t n_vms)
{
	struct check c = { .s = s };
	struct mb_store *store;
	struct mb_err err = { 0 };

	assert_ok(mb_store_open(s->path, &store, &err), &err);
	assert_ok(mb_store_load(store, check_vm, &c, &err), &err);
	assert_int_equal(c.n, n_vms);
	mb_store_close(store);
}
