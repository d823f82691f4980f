// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_pass.h"

#include "proto/base/cleanup.h"

static void test_full_walks(void **state)
{
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, false);
	s.source.unread = 10;
	for (uint64_t f = 0; f < 20; f++)
		vm_writes(&s, 2 * f, 1 + f % 5);
	run_pass(&s, &e);
	assert_int_equal(e.fingerprint.n_pages, 20);
	assert_int_equal(e.fingerprint.n_distinct, 5);
	assert_true(e.info.full);
	assert_int_equal(e.info.epochs, 1);
	assert_int_equal(e.info.pages_read, 20);
	assert_int_equal(e.info.pages_changed, 20);
	assert_int_equal(e.info.pages_unread, 10 + 11 + 12 + 13 + 14 + 15);
	assert_int_equal(e.unread[MB_UNREAD_NO_DATA], 11);
	assert_string_equal(e.info.tracker, "fake");
	assert_true(e.info.taken_unix_ns > 0);
	mb_fingerprint_deinit(&e.fingerprint);

	i = run_pass_info(&s);
	assert_int_equal(i.pages_changed, 0);
	assert_int_equal(i.pages_read, 20);
	vm_writes(&s, 0, 99);  /* changes */
	vm_writes(&s, 2, 0);   /* vanishes */
	vm_writes(&s, 255, 5); /* appears, a content that others have */
	i = run_pass_info(&s);
	assert_int_equal(i.pages_changed, 3);
	assert_int_equal(i.pages_read, 20);
	mb_pass_deinit(&s.pass);
}

/* Everything is read again, also what the tracker has not flagged. */
static void test_rekey(void **state)
{
	static const uint8_t key[MB_KEY_BYTES] = { 1 }, other[MB_KEY_BYTES] = { 2 };
	struct mb_identity before;
	struct mb_pass_info i;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	for (int stable = 0; stable < 2; stable++) {
		pass_scene_init(&s, stable, true);
		assert_fails(mb_pass_rekey(&s.pass, key, &err), EXDEV, &err, "another key");
		mb_pass_deinit(&s.pass);
		assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d", key,
				       &err),
			  &err);
		for (uint64_t f = 0; f < 20; f++)
			vm_writes(&s, 2 * f, 1 + f % 5);
		run_pass_info(&s);
		before = s.pass.digester.identity;
		assert_ok(mb_pass_rekey(&s.pass, other, &err), &err);
		assert_int_equal(mb_identity_compare(&before, &s.pass.digester.identity, NULL),
				 -EXDEV);
		vm_writes(&s, 4, 77);
		i = run_pass_info(&s);
		assert_true(i.full);
		assert_int_equal(i.pages_read, 20);
		assert_int_equal(i.pages_changed, 20);
		vm_writes(&s, 4, 78);
		i = run_pass_info(&s);
		assert_int_equal(i.full, !stable);
		assert_int_equal(i.pages_changed, 1);
		mb_pass_deinit(&s.pass);
	}
}

static void test_no_page_at_all(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	for (int stable = 0; stable < 2; stable++) {
		pass_scene_init(&s, stable, true);
		i = run_pass_info(&s);
		assert_int_equal(i.pages_read, 0);
		assert_int_equal(i.pages_changed, 0);
		vm_writes(&s, 3, 1);
		i = run_pass_info(&s);
		assert_int_equal(i.pages_changed, 1);
		vm_writes(&s, 3, 0);
		run_pass_info(&s);
		mb_pass_deinit(&s.pass);
	}
}

static void test_partial(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	for (uint64_t f = 10; f < 30; f++)
		vm_writes(&s, f, f);
	i = run_pass_info(&s);
	/* Whatever the tracker says, the first one reads all. */
	assert_true(i.full && s.source.was_full);
	vm_writes(&s, 5, 1);	/* appears before all */
	vm_writes(&s, 10, 0);	/* the first vanishes */
	vm_writes(&s, 15, 100); /* changes */
	vm_writes(&s, 16, 16);	/* flagged, but the same */
	vm_writes(&s, 29, 0);	/* the last vanishes */
	vm_writes(&s, 40, 0);	/* flagged, never there */
	vm_writes(&s, 200, 1);	/* appears after all */
	i = run_pass_info(&s);
	assert_false(i.full || s.source.was_full);
	assert_int_equal(i.pages_read, 4);
	assert_int_equal(i.pages_changed, 5);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 0);
	assert_int_equal(i.pages_changed, 0);
	/* The tracker cannot tell: all is read. */
	s.tracker.can_tell = false;
	vm_writes(&s, 12, 77);
	i = run_pass_info(&s);
	assert_true(i.full);
	assert_int_equal(i.pages_changed, 1);
	mb_pass_deinit(&s.pass);
}

static void test_frames_outside_the_set_are_read(void **state)
{
	uint64_t words[1] = { 0 };
	struct mb_pass_info i;
	struct mb_frame_set set = { words, 64, 64, NULL };
	struct scene s;

	(void)state;
	/* A bitmap over [64, 128) only: nobody vouches for the others. */
	assert_true(mb_frame_set_has(&set, 63) && mb_frame_set_has(&set, 128));
	assert_false(mb_frame_set_has(&set, 64) || mb_frame_set_has(&set, 127));
	assert_true(mb_frame_set_has(&set, UINT64_MAX));
	words[0] = 1ull << 63;
	assert_true(mb_frame_set_has(&set, 127));

	pass_scene_init(&s, true, true);
	vm_writes(&s, 1, 1);
	vm_writes(&s, 100, 2);
	run_pass_info(&s);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

/* Memory was unplugged and plugged: what the tracker calls clean may be gone, or other memory. */
static void test_frames_moved(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	for (uint64_t f = 10; f < 30; f++)
		vm_writes(&s, f, f);
	run_pass_info(&s);
	s.source.raw[20] = 0; /* behind the tracker's back */
	s.source.raw[25] = 99;
	s.source.moved = true;
	i = run_pass_info(&s);
	assert_true(i.full && s.source.was_full);
	assert_int_equal(i.pages_changed, 2);
	i = run_pass_info(&s);
	assert_false(i.full);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

static void test_random_partial_passes(void **state)
{
	struct rng r = { 11 };
	struct scene s;

	(void)state;
	for (int round = 0; round < 20; round++) {
		pass_scene_init(&s, true, true);
		s.source.per_read = 1 + rng_below(&r, 9);
		for (int pass = 0; pass < 20; pass++) {
			uint64_t writes = rng_below(&r, 40);

			for (uint64_t w = 0; w < writes; w++)
				vm_writes(&s, rng_below(&r, FRAMES),
					  rng_below(&r, 3) ? rng_below(&r, 20) : 0);
			s.tracker.can_tell = rng_below(&r, 5) != 0;
			run_pass_info(&s);
		}
		mb_pass_deinit(&s.pass);
	}
}

static void test_churn_of_unstable_frames(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, false, false);
	for (uint64_t f = 0; f < 10; f++)
		vm_writes(&s, f, 1 + f);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_changed, 10);
	/* All move, nothing changes. */
	for (uint64_t f = 0; f < 10; f++)
		vm_writes(&s, f, 0);
	for (uint64_t f = 0; f < 10; f++)
		vm_writes(&s, 100 + f, 10 - f);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_changed, 0);
	/* Two more copies of one content, one of a new one; another is gone. */
	vm_writes(&s, 0, 4);
	vm_writes(&s, 1, 4);
	vm_writes(&s, 2, 50);
	vm_writes(&s, 100, 0);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_changed, 3);
	mb_pass_deinit(&s.pass);
}

/* A frame number that names another place next time cannot be carried over. */
static void test_unstable_frames_are_always_read(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, false, true);
	vm_writes(&s, 1, 1);
	vm_writes(&s, 2, 2);
	run_pass_info(&s);
	/* Behind the tracker's back: it knows other frames. */
	s.source.raw[3] = 3;
	s.source.raw[1] = 0;
	i = run_pass_info(&s);
	assert_true(i.full);
	mb_pass_deinit(&s.pass);
}

static void test_keys_and_bits(void **state)
{
	static const uint8_t key[MB_KEY_BYTES] = { 7 }, other[MB_KEY_BYTES] = { 8 };
	struct mb_err err = { 0 };
	struct mb_digester d;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	/* Raw digests are keyed, and cut. */
	pass_scene_init(&s, true, false);
	vm_writes(&s, 1, 12345);
	assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "d", key, &err),
		  &err);
	run_pass(&s, &e);
	assert_true(e.fingerprint.digests[0] != 12345);
	assert_int_equal(e.fingerprint.digests[0] >> 48, 0);
	assert_true(s.pass.digester.identity.keyed);
	assert_int_equal(s.pass.digester.identity.bits, 48);
	mb_fingerprint_deinit(&e.fingerprint);
	mb_pass_deinit(&s.pass);

	/* A keyed source: digests go out as they are, with the same key or none. */
	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "d", key, &err), &err);
	for (int with_key = 0; with_key < 2; with_key++) {
		pass_scene_init(&s, true, false);
		s.source.info.identity = d.identity;
		vm_writes(&s, 1, 12345);
		assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d",
				       with_key ? key : NULL, &err),
			  &err);
		assert_int_equal(mb_identity_compare(&s.pass.digester.identity, &d.identity, &err),
				 0);
		assert_ok(mb_pass_run(&s.pass, &e, &err), &err);
		assert_int_equal(e.fingerprint.digests[0], 12345);
		mb_fingerprint_deinit(&e.fingerprint);
		mb_pass_deinit(&s.pass);
	}
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d", other, &err),
		EXDEV, &err, "keyed already");
	mb_pass_deinit(&s.pass);
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "e", key, &err),
		EXDEV, &err, "trust domain");
	mb_pass_deinit(&s.pass);
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "d", key, &err),
		EXDEV, &err, "but 48 there");
	mb_pass_deinit(&s.pass);
	/* Raw ones that were cut cannot be keyed. */
	raw_identity(&s.source.info.identity);
	s.source.info.identity.bits = 48;
	s.source.info.identity.zero_digest >>= 16;
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "d", key, &err),
		EXDEV, &err, "cut to 48 bits");
	mb_pass_deinit(&s.pass);
	/* Nonsense. */
	assert_fails(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 48, "", key, &err),
		     EINVAL, &err, "trust domain");
	mb_pass_deinit(&s.pass);
	assert_fails(
		mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 63, "d", key, &err),
		EINVAL, &err, "63-bit");
	mb_pass_deinit(&s.pass);
}

static void test_superfasthash_has_its_own_bits(void **state)
{
	struct mb_err err = { 0 };
	struct mb_digester d;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, false);
	assert_ok(mb_digester_init(&d, MB_SUPERFASTHASH32, MB_PAGE_BYTES, 32, "", NULL, &err),
		  &err);
	s.source.info.identity = d.identity;
	vm_writes(&s, 1, 3051824092);
	assert_ok(mb_pass_init(&s.pass, &s.source.source, &s.tracker.tracker, 64, "d", NULL, &err),
		  &err);
	assert_int_equal(s.pass.digester.identity.bits, 32);
	run_pass_info(&s);
	mb_pass_deinit(&s.pass);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_walks),
		cmocka_unit_test(test_rekey),
		cmocka_unit_test(test_no_page_at_all),
		cmocka_unit_test(test_partial),
		cmocka_unit_test(test_frames_outside_the_set_are_read),
		cmocka_unit_test(test_frames_moved),
		cmocka_unit_test(test_random_partial_passes),
		cmocka_unit_test(test_churn_of_unstable_frames),
		cmocka_unit_test(test_unstable_frames_are_always_read),
		cmocka_unit_test(test_keys_and_bits),
		cmocka_unit_test(test_superfasthash_has_its_own_bits),
	};

	return cmocka_run_group_tests_name("pass", tests, NULL, NULL);
}
