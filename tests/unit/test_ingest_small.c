// SPDX-License-Identifier: GPL-2.0-or-later
/* Of samples, and of digests that are cut. */
#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "tests/unit/util_ingest.h"

/* The agent of VM 0 has n contents from `first` on, all over the space, and sends less. */
static struct mb_ingest_job *next_small(struct scene *s, uint64_t first, size_t n,
					const struct mb_sample_of *how)
{
	struct mb_ingest_job *job = ingest_make_job(s, 0);
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
	ingest_scene_open(&s);
	ingest_must(&s, next_sample(&s, 1, 2000), MB_INGEST_DURABLE, "");
	assert_published(&s, 0, 1);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.sample.shift, 2);
	assert_int_equal(vm.sharing.pages, 2000);
	assert_int_equal(vm.sharing.distinct, 2000);
	assert_int_equal(mb_fpref_fingerprint(vm.fp)->n_pages, 501);
	mb_vm_deinit(&vm);
	assert_int_equal(ingest_count(&s, "SELECT sample FROM vm"), 4);
	assert_int_equal(ingest_count(&s, "SELECT pages FROM history WHERE epoch = 1"), 2000);
	assert_int_equal(ingest_count(&s, "SELECT added FROM history WHERE epoch = 1"), 2000);
	/* From sample to sample; the first 200 are gone. */
	ingest_must(&s, next_sample(&s, 1 + 200 * (UINT64_MAX / 2000), 1700), MB_INGEST_DURABLE,
		    "");
	assert_published(&s, 0, 2);
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM fingerprint"), 2);
	assert_int_equal(ingest_count(&s, "SELECT pages FROM history WHERE epoch = 2"), 1700);
	assert_int_equal(ingest_count(&s, "SELECT removed FROM history WHERE epoch = 2"), 800);
	assert_durable(&s, 1);
	ingest_scene_close(&s);
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
	ingest_scene_open(&s);
	job = next_sample(&s, 1, 2000);
	job->agreed.shift = 0;
	ingest_must(&s, job, MB_INGEST_BAD, "epoch 1 is a sample of 1 in 4; all was agreed");
	assert_published(&s, 0, 0);
	s.epoch[0] = 0;
	job = ingest_next(&s, 0, 1, 1, 50);
	job->agreed.shift = 2;
	ingest_must(&s, job, MB_INGEST_BAD, "epoch 1 is all; a sample of 1 in 4 was agreed");
	/* All that there is, called a sample. */
	s.epoch[0] = 0;
	job = ingest_next(&s, 0, 1, UINT64_MAX / 2000, 2000);
	job->agreed.shift = 2;
	amend_sample(job, (struct mb_sample_of){ 2, 2000, 2000, 0, 0 });
	ingest_must(&s, job, MB_INGEST_BAD, "epoch 1: digest 40");
	assert_published(&s, 0, 0);
	ingest_scene_close(&s);
}

static void test_cut_digests(void **state)
{
	const struct mb_sample_of how = { .cut_bits = 16 };
	struct scene s;
	struct mb_vm vm;

	(void)state;
	ingest_scene_open(&s);
	ingest_must(&s, next_small(&s, 1, 2000, &how), MB_INGEST_DURABLE, "");
	assert_published(&s, 0, 1);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.sample.cut_bits, 16);
	assert_int_equal(vm.sharing.pages, 2000);
	assert_true(mb_fpref_fingerprint(vm.fp)->digests[1999] < 1 << 16);
	mb_vm_deinit(&vm);
	assert_int_equal(ingest_count(&s, "SELECT cut_bits FROM vm"), 16);
	ingest_must(&s, next_small(&s, 1 + 200 * (UINT64_MAX / 2000), 1700, &how),
		    MB_INGEST_DURABLE, "");
	assert_int_equal(ingest_count(&s, "SELECT count(*) FROM fingerprint"), 2);
	assert_in_range(ingest_count(&s, "SELECT removed FROM history WHERE epoch = 2"), 250, 350);
	assert_durable(&s, 1);
	for (uint64_t i = 0; ingest_count(&s, "SELECT count(*) FROM fingerprint") > 1; i++) {
		assert_true(i < 100);
		ingest_must(&s, next_small(&s, 1 + i, 1000, &how), MB_INGEST_DURABLE, "");
	}
	assert_durable(&s, 1);
	ingest_scene_close(&s);
}

/* Other rates are no base, as other identities are none. */
static void test_rate_changes(void **state)
{
	struct mb_ingest_job *job;
	struct scene s;
	struct mb_vm vm;

	(void)state;
	ingest_scene_open(&s);
	ingest_must(&s, next_sample(&s, 1, 2000), MB_INGEST_DURABLE, "");
	ingest_must(&s, ingest_next(&s, 0, 1, 1, 50), MB_INGEST_RESYNC, "another source's");
	s.epoch[0] = 0;
	job = ingest_next(&s, 0, 1, 1, 50);
	mb_buf_clear(&job->frame);
	make_frame(NULL, 0, &s.fp[0], 2, 64, &job->frame);
	s.epoch[0] = 2;
	ingest_must(&s, job, MB_INGEST_DURABLE, "");
	assert_int_equal(ingest_count(&s, "SELECT sample FROM vm"), 1);
	assert_int_equal(ingest_count(&s, "SELECT added FROM history WHERE epoch = 2"), 50);
	assert_int_equal(ingest_count(&s, "SELECT removed FROM history WHERE epoch = 2"), 2000);
	assert_durable(&s, 1);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.sample.shift, 0);
	assert_int_equal(vm.sharing.pages, 50);
	mb_vm_deinit(&vm);
	ingest_scene_close(&s);
}

static void test_sample_compaction(void **state)
{
	struct scene s;

	(void)state;
	ingest_scene_open(&s);
	for (uint64_t i = 0, frames = 0; i == 0 || frames > 1; i++) {
		assert_true(i < 100);
		ingest_must(&s, next_sample(&s, 1 + i, 1000), MB_INGEST_DURABLE, "");
		frames = i ? ingest_count(&s, "SELECT count(*) FROM fingerprint") : 2;
	}
	/* The snapshot in the place of all frames says what it is of, too. */
	assert_durable(&s, 1);
	ingest_scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_sample_is_what_was_agreed),
		cmocka_unit_test(test_cut_digests),
		cmocka_unit_test(test_rate_changes),
		cmocka_unit_test(test_sample_compaction),
	};

	return cmocka_run_group_tests_name("ingest_small", tests, NULL, NULL);
}
