// SPDX-License-Identifier: GPL-2.0-or-later
/* Many jobs in one commit, and commits that fail. */
#include <poll.h>
#include <sqlite3.h>

#include "proto/base/cleanup.h"
#include "server/store_key.h"
#include "tests/unit/util_ingest.h"

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
	ingest_scene_open(&s);
	db = hold(&s);
	/* Every VM again and again, "b" twice in a row; garbage in between hurts nobody. */
	for (uint64_t round = 0; round < ROUNDS; round++) {
		for (uint32_t vm = 0; vm < VMS; vm++) {
			struct mb_ingest_job *job;

			if (vm == 4) {
				job = ingest_make_job(&s, vm);
				mb_buf_put(&job->frame, "nonsense", 8);
			} else {
				job = ingest_next(&s, vm, round * 10, 7, 30);
			}
			mb_ingest_submit(s.ingest, job);
			n++;
			if (vm == 1) {
				mb_ingest_submit(s.ingest, ingest_next(&s, vm, round, 3, 30));
				n++;
			}
		}
	}
	assert_int_equal(n, JOBS);
	let_go(db);
	ingest_take(&s, jobs, JOBS);
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
	ingest_scene_close(&s);
}

static void test_store_fails(void **state)
{
	struct mb_ingest_job *jobs[VMS], *job;
	struct scene s;
	sqlite3 *db;

	(void)state;
	ingest_scene_open(&s);
	for (uint32_t vm = 0; vm < 3; vm++)
		ingest_must(&s, ingest_next(&s, vm, 100, 1, 50), MB_INGEST_DURABLE, "");
	ingest_sql(&s, "CREATE TRIGGER no BEFORE INSERT ON history WHEN NEW.epoch = 3 BEGIN"
		       " SELECT RAISE(ABORT, 'no more room'); END");
	ingest_must(&s, ingest_next(&s, 0, 101, 1, 50), MB_INGEST_DURABLE, "");
	/* "a" cannot be stored; those committed with it are. */
	db = hold(&s);
	mb_ingest_submit(s.ingest, ingest_next(&s, 3, 1, 1, 1));
	mb_ingest_submit(s.ingest, ingest_next(&s, 1, 102, 1, 50));
	mb_ingest_submit(s.ingest, ingest_next(&s, 0, 102, 1, 50));
	mb_ingest_submit(s.ingest, ingest_next(&s, 2, 102, 1, 50));
	let_go(db);
	ingest_take(&s, jobs, 4);
	for (int i = 0; i < 4; i++) {
		uint32_t vm = jobs[i]->vm;

		assert_int_equal(jobs[i]->verdict, vm == 0 ? MB_INGEST_FAILED : MB_INGEST_DURABLE);
		if (vm == 0)
			assert_non_null(strstr(jobs[i]->reason.text, "no more room"));
		assert_published(&s, vm, vm == 0 ? s.epoch[vm] - 1 : s.epoch[vm]);
		mb_ingest_job_free(jobs[i]);
	}
	ingest_sql(&s, "DROP TRIGGER no");
	/* The agent still has it, and comes again. */
	job = ingest_make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], s.epoch[0], 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	assert_published(&s, 0, s.epoch[0]);
	assert_durable(&s, 4);
	ingest_scene_close(&s);
}

/* Agents with different keys that were greeted before any was acked: the first one's key counts. */
static void test_two_keys_at_once(void **state)
{
	struct mb_ingest_job *jobs[2], *job;
	struct scene s;
	sqlite3 *db;

	(void)state;
	ingest_scene_open(&s);
	db = hold(&s);
	mb_ingest_submit(s.ingest, ingest_next(&s, 0, 1, 1, 5));
	job = ingest_next(&s, 1, 1, 1, 5);
	job->identity.zero_digest++;
	mb_ingest_submit(s.ingest, job);
	let_go(db);
	ingest_take(&s, jobs, 2);
	assert_int_equal(jobs[0]->verdict, MB_INGEST_DURABLE);
	assert_int_equal(jobs[1]->verdict, MB_INGEST_FOREIGN);
	assert_non_null(strstr(jobs[1]->reason.text, "another key"));
	assert_published(&s, 1, 0);
	mb_ingest_job_free(jobs[0]);
	mb_ingest_job_free(jobs[1]);
	/* Later too. */
	s.epoch[1]--;
	job = ingest_next(&s, 1, 1, 1, 5);
	job->identity.zero_digest++;
	ingest_must(&s, job, MB_INGEST_FOREIGN, "another key");
	ingest_scene_close(&s);
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
	ingest_scene_open(&s);
	make_identity("d", 2, &new);
	ingest_must(&s, ingest_next(&s, 0, 1, 1, 5), MB_INGEST_DURABLE, "");
	ingest_must(&s, ingest_next(&s, 1, 1, 1, 5), MB_INGEST_DURABLE, "");
	assert_ok(mb_fleet_plan_rotation(s.fleet, "d", mb_identity_key_id(&new), &r, &err), &err);
	assert_ok(mb_store_put_key_rotation(s.store, &r, &err), &err);
	assert_ok(mb_fleet_begin_rotation(s.fleet, &r, &err), &err);
	db = hold(&s);
	/* While this one waits for the database the others gather. */
	mb_ingest_submit(s.ingest, ingest_next(&s, 0, 1, 2, 5));
	poll(NULL, 0, 100);
	mb_ingest_submit(s.ingest, ingest_next(&s, 2, 1, 1, 5));
	jobs[0] = ingest_next(&s, 3, 1, 1, 5);
	jobs[0]->identity = new;
	mb_ingest_submit(s.ingest, jobs[0]);
	let_go(db);
	ingest_take(&s, jobs, 3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(jobs[i]->verdict, MB_INGEST_DURABLE);
		assert_string_equal(jobs[i]->news, "");
		mb_ingest_job_free(jobs[i]);
	}
	for (uint32_t vm = 0; vm < 3; vm++) {
		/* As of a source that began anew. */
		s.epoch[vm] = 0;
		jobs[0] = ingest_next(&s, vm, 1, 1, 5);
		jobs[0]->identity = new;
		jobs[0]->boot.id[0] = 9;
		jobs[0] = ingest_run(&s, jobs[0]);
		assert_int_equal(jobs[0]->verdict, MB_INGEST_DURABLE);
		told += strstr(jobs[0]->news, "4 VMs all have key") != NULL;
		assert_int_equal(told, vm == 2);
		mb_ingest_job_free(jobs[0]);
	}
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM key_rotation"), 0);
	ingest_must(&s, ingest_next(&s, 4, 1, 1, 5), MB_INGEST_FOREIGN, "another key");
	ingest_scene_close(&s);
}

/* A new VM whose first epoch could not be stored is as new the next time. */
static void test_store_fails_for_a_new_vm(void **state)
{
	struct mb_ingest_job *job;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	ingest_scene_open(&s);
	ingest_sql(&s, "CREATE TRIGGER no BEFORE INSERT ON fingerprint BEGIN"
		       " SELECT RAISE(ABORT, 'no'); END");
	ingest_must(&s, ingest_next(&s, 0, 1, 1, 5), MB_INGEST_FAILED, "no");
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.id, 0);
	assert_int_equal(vm.epoch, 0);
	assert_null(vm.fp);
	mb_vm_deinit(&vm);
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM vm"), 0);
	ingest_sql(&s, "DROP TRIGGER no");
	job = ingest_make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], 1, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	assert_durable(&s, 1);
	ingest_scene_close(&s);
}

static void test_stop_finishes_the_queue(void **state)
{
	struct scene s;
	struct mb_err err = { 0 };

	(void)state;
	ingest_scene_open(&s);
	for (int round = 0; round < 10; round++)
		for (uint32_t vm = 0; vm < VMS; vm++)
			mb_ingest_submit(s.ingest, ingest_next(&s, vm, (uint64_t)round, 1, 20));
	mb_ingest_destroy(s.ingest);
	assert_durable(&s, VMS);
	/* And nothing at all to do. */
	assert_ok(mb_ingest_create(s.fleet, s.store, RAW_MAX, &s.ingest, &err), &err);
	assert_null(mb_ingest_take(s.ingest));
	mb_ingest_destroy(NULL);
	mb_ingest_job_free(NULL);
	ingest_scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_store_fails),
		cmocka_unit_test(test_two_keys_at_once),
		cmocka_unit_test(test_a_key_is_changed),
		cmocka_unit_test(test_store_fails_for_a_new_vm),
		cmocka_unit_test(test_stop_finishes_the_queue),
	};

	return cmocka_run_group_tests_name("ingest_batch", tests, NULL, NULL);
}
