// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_ingest.h"

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "tests/unit/util_wire.h"

static void test_durable(void **state)
{
	struct mb_fingerprint_id id;
	struct mb_ingest_job *job;
	struct scene s;
	struct mb_vm vm;
	size_t bytes;

	(void)state;
	ingest_scene_open(&s);
	job = ingest_next(&s, 0, 100, 1, 50);
	bytes = job->frame.len;
	job = ingest_run(&s, job);
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
	ingest_must(&s, ingest_next(&s, 0, 110, 1, 50), MB_INGEST_DURABLE, "");
	ingest_must(&s, ingest_next(&s, 0, 0, 0, 0), MB_INGEST_DURABLE, "");
	ingest_must(&s, ingest_next(&s, 0, 5, 0, 9), MB_INGEST_DURABLE, "");
	ingest_must(&s, ingest_next(&s, 3, 1, 1, 1), MB_INGEST_DURABLE, "");
	assert_published(&s, 0, 4);
	assert_published(&s, 3, 1);
	assert_durable(&s, 2);
	assert_int_equal(ingest_count(&s, "SELECT added FROM history WHERE epoch = 2"), 10);
	assert_int_equal(ingest_count(&s, "SELECT removed FROM history WHERE epoch = 3"), 50);
	ingest_scene_close(&s);
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
	ingest_scene_open(&s);
	job = ingest_next(&s, 0, 100, 1, 50);
	audit(job, &a);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	mb_fleet_get(s.fleet, 0, &vm);
	assert_audit_equal(&vm.pass.audit, &a);
	mb_vm_deinit(&vm);
	ingest_must(&s, ingest_next(&s, 0, 110, 1, 50), MB_INGEST_DURABLE, "");
	assert_int_equal(ingest_count(&s, "SELECT sum(audits) FROM history"), 1);
	assert_int_equal(ingest_count(&s, "SELECT recall * 10 FROM history WHERE epoch = 1"), 9);
	assert_int_equal(ingest_count(&s, "SELECT read FROM history WHERE epoch = 2"), 50);
	assert_int_equal(ingest_count(&s, "SELECT stale FROM audit WHERE class = 'anon'"), 1);
	job = ingest_next(&s, 1, 100, 1, 50);
	audit(job, &lie);
	ingest_must(&s, job, MB_INGEST_BAD, "pass.audit.stale");
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM audit"), 1);
	assert_durable(&s, 1);
	ingest_scene_close(&s);
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
	ingest_scene_open(&s);
	job = ingest_next(&s, 0, 100, 1, 50);
	amend(job, NULL, who);
	again = ingest_make_job(&s, 0);
	mb_buf_put(&again->frame, job->frame.data, job->frame.len);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	ingest_must(&s, again, MB_INGEST_DURABLE, "");
	assert_int_equal(ingest_count(&s, "SELECT sum(frames) FROM who"), 10);
	assert_int_equal(ingest_count(&s, "SELECT frames FROM who WHERE process = 'sh'"), 3);
	/* It lived in the message. */
	mb_fleet_get(s.fleet, 0, &vm);
	assert_null(vm.pass.who.data);
	mb_vm_deinit(&vm);
	ingest_must(&s, ingest_next(&s, 0, 110, 1, 50), MB_INGEST_DURABLE, "");
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM who"), 2);
	job = ingest_next(&s, 1, 100, 1, 50);
	amend(job, NULL, (struct mb_slice){ list, sizeof(list) - 2 });
	ingest_must(&s, job, MB_INGEST_BAD, "pass.who: row 1");
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM who"), 2);
	ingest_scene_close(&s);
}

static void test_again(void **state)
{
	struct mb_ingest_job *job, *again;
	uint64_t generation;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	ingest_scene_open(&s);
	ingest_must(&s, ingest_next(&s, 0, 100, 1, 50), MB_INGEST_DURABLE, "");
	job = ingest_next(&s, 0, 110, 1, 50);
	again = ingest_make_job(&s, 0);
	mb_buf_put(&again->frame, job->frame.data, job->frame.len);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	generation = mb_fleet_generation(s.fleet);
	job = ingest_run(&s, again);
	assert_int_equal(job->verdict, MB_INGEST_DURABLE);
	assert_int_equal(job->epoch, 2);
	mb_ingest_job_free(job);
	assert_int_equal(mb_fleet_generation(s.fleet), generation);
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM history"), 2);
	/* The same epoch as a snapshot: held, too. */
	job = ingest_make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], 2, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	assert_int_equal(mb_fleet_generation(s.fleet), generation);
	assert_durable(&s, 1);
	/* Of another boot it is not: what is held is that boot's from then on. */
	s.hello[0].boot.id[0]++;
	job = ingest_make_job(&s, 0);
	make_frame(NULL, 0, &s.fp[0], 2, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	mb_fleet_get(s.fleet, 0, &vm);
	assert_memory_equal(&vm.boot, &s.hello[0].boot, sizeof(vm.boot));
	mb_vm_deinit(&vm);
	assert_durable(&s, 1);
	ingest_scene_close(&s);
}

static void test_resync(void **state)
{
	struct mb_ingest_job *job;
	struct mb_fingerprint fp;
	struct scene s;

	(void)state;
	ingest_scene_open(&s);
	make_fingerprint_of(500, 1, 20, &fp);
	/* Nothing is held. */
	job = ingest_make_job(&s, 0);
	make_frame(&fp, 1, &fp, 2, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_RESYNC, "starts from epoch 1");
	ingest_must(&s, ingest_next(&s, 0, 100, 1, 50), MB_INGEST_DURABLE, "");
	/* Another epoch, another fingerprint. */
	job = ingest_make_job(&s, 0);
	make_frame(&s.fp[0], 2, &fp, 3, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_RESYNC, "its epoch 1 is held");
	job = ingest_make_job(&s, 0);
	make_frame(&fp, 1, &s.fp[0], 2, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_RESYNC, "another fingerprint");
	/* Another boot; it looks the same otherwise. */
	job = ingest_make_job(&s, 0);
	job->boot.id[0]++;
	make_frame(&s.fp[0], 1, &fp, 2, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_RESYNC, "another source's");
	assert_published(&s, 0, 1);
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM history"), 1);
	/* A snapshot always does, also of an older epoch. */
	job = ingest_make_job(&s, 0);
	job->boot.id[0]++;
	make_frame(NULL, 0, &fp, 1, 64, &job->frame);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	mb_fingerprint_deinit(&s.fp[0]);
	s.fp[0] = fp;
	assert_published(&s, 0, 1);
	assert_durable(&s, 1);
	ingest_scene_close(&s);
}

/* The agent of that boot now hashes otherwise: the Welcome said that nothing is held. */
static void test_other_identity_is_no_base(void **state)
{
	struct mb_ingest_job *job;
	struct mb_fingerprint fp;
	struct scene s;

	(void)state;
	ingest_scene_open(&s);
	ingest_must(&s, ingest_next(&s, 0, UINT64_MAX - 50, 1, 50), MB_INGEST_DURABLE, "");
	job = ingest_make_job(&s, 0);
	job->identity.bits = 48;
	job->identity.zero_digest >>= 16;
	make_frame(&s.fp[0], 1, &s.fp[0], 2, 48, &job->frame);
	ingest_must(&s, job, MB_INGEST_RESYNC, "another source's");
	make_fingerprint_of(1, 1, 3, &fp);
	job = ingest_make_job(&s, 0);
	job->identity.bits = 48;
	job->identity.zero_digest >>= 16;
	make_frame(NULL, 0, &fp, 2, 48, &job->frame);
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	mb_fingerprint_deinit(&s.fp[0]);
	s.fp[0] = fp;
	s.epoch[0] = 2;
	assert_published(&s, 0, 2);
	assert_durable(&s, 1);
	ingest_scene_close(&s);
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
	ingest_scene_open(&s);
	ingest_must(&s, ingest_make_job(&s, 0), MB_INGEST_BAD, "");
	job = ingest_make_job(&s, 0);
	mb_buf_put(&job->frame, "HTTP/1.1 200 OK\r\n\r\n", 19);
	ingest_must(&s, job, MB_INGEST_BAD, "");
	/* Another message. */
	for (int i = 0; i < WIRE_TYPES; i++) {
		if (wire_types[i] == MB_MSG_DELTA)
			continue;
		mb_buf_clear(&raw);
		sample_raw(wire_types[i], &raw);
		job = ingest_make_job(&s, 0);
		assert_ok(mb_frame_encode(mb_buf_slice(&raw), &job->frame, &job->reason),
			  &job->reason);
		ingest_must(&s, job, MB_INGEST_BAD, "where a Delta belongs");
	}
	/* Above the cap. */
	mb_buf_clear(&raw);
	memset(mb_buf_reserve(&raw, RAW_MAX + 1), 0, RAW_MAX + 1);
	raw.len = RAW_MAX + 1;
	job = ingest_make_job(&s, 0);
	assert_ok(mb_frame_encode(mb_buf_slice(&raw), &job->frame, &job->reason), &job->reason);
	ingest_must(&s, job, MB_INGEST_BAD, "");
	mb_buf_deinit(&raw);
	/* Any byte of it changed, but for those that a reader need not understand. */
	make_fingerprint_of(1, 3, 40, &fp);
	for (int i = 0; i < 200; i++) {
		job = ingest_make_job(&s, 0);
		make_frame(NULL, 0, &fp, 1, 64, &job->frame);
		do {
			at = rng_below(&r, job->frame.len);
		} while (at == 6 || at == 7);
		job->frame.data[at] ^= (uint8_t)(1 + rng_below(&r, 255));
		job = ingest_run(&s, job);
		assert_int_equal(job->verdict, MB_INGEST_BAD);
		mb_ingest_job_free(job);
	}
	mb_fingerprint_deinit(&fp);
	assert_published(&s, 0, 0);
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM vm"), 0);
	/* And it still works. */
	ingest_must(&s, ingest_next(&s, 0, 1, 1, 1), MB_INGEST_DURABLE, "");
	ingest_scene_close(&s);
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
	ingest_scene_open(&s);
	make_fingerprint_of(1, 3, 40, &fp);
	assert_ok(mb_delta_make(&empty, &fp, &delta, &err), &err);
	delta.result.hash.lo++;
	msg.delta.epoch = 1;
	msg.delta.pass.tracker = "none";
	msg.delta.pass.epochs = 1;
	assert_ok(mb_delta_encode(&delta, 64, &fields, &msg.delta.fields, &err), &err);
	job = ingest_make_job(&s, 0);
	assert_ok(mb_msg_to_frame(&msg, &job->frame, &err), &err);
	ingest_must(&s, job, MB_INGEST_RESYNC, "but names");
	assert_published(&s, 0, 0);
	mb_delta_deinit(&delta);
	mb_buf_deinit(&fields);
	mb_fingerprint_deinit(&fp);
	ingest_scene_close(&s);
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
	ingest_scene_open(&s);
	ingest_must(&s, ingest_next(&s, 0, 1, 1, 10), MB_INGEST_DURABLE, "");
	for (epoch = 2; epoch <= 40; epoch++) {
		before = frames;
		random_fingerprint(&r, 1500, 0, &fp);
		ingest_must(&s, ingest_next_of(&s, 0, fp), MB_INGEST_DURABLE, "");
		frames = ingest_count(&s, "SELECT count(*) FROM fingerprint");
		mb_fleet_get(s.fleet, 0, &vm);
		assert_true(vm.log_bytes <= MB_MAX(vm.snapshot_bytes, 65536u));
		assert_int_equal(vm.log_bytes + vm.snapshot_bytes,
				 ingest_count(&s, "SELECT sum(length(frame)) FROM fingerprint"));
		assert_int_equal(vm.log_seq, ingest_count(&s, "SELECT max(seq) FROM fingerprint"));
		mb_vm_deinit(&vm);
		if (frames < before) {
			assert_int_equal(frames, 1);
			compacted = true;
			assert_durable(&s, 1);
		}
	}
	assert_true(compacted);
	/* History is not compacted. */
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM history"), 40);
	assert_published(&s, 0, 40);
	assert_durable(&s, 1);
	ingest_scene_close(&s);
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
		cmocka_unit_test(test_compaction),
	};

	return cmocka_run_group_tests_name("ingest", tests, NULL, NULL);
}
