// SPDX-License-Identifier: GPL-2.0-or-later
/* Passes that end early, and what the next one makes of it. */
#include "tests/unit/util_pass.h"

static void test_failed_walk(void **state)
{
	struct mb_err err = { 0 };
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	for (int stable = 0; stable < 2; stable++) {
		pass_scene_init(&s, stable, true);
		s.source.per_read = 3;
		for (uint64_t f = 1; f < 40; f++)
			vm_writes(&s, f, f);
		run_pass_info(&s);
		vm_writes(&s, 5, 1000);
		vm_writes(&s, 30, 1001);
		s.source.fail_at = 20;
		assert_fails(mb_pass_run(&s.pass, &e, &err), EIO, &err, "frame 20 is gone");
		assert_null(e.fingerprint.digests);
		assert_int_equal(s.pass.epochs, 1);
		/*
		 * The tracker does not flag 5 and 30 again; they must not be taken for what they
		 * were, and count once.
		 */
		s.source.fail_at = 0;
		vm_writes(&s, 6, 1002);
		i = run_pass_info(&s);
		assert_int_equal(i.pages_changed, 3);
		assert_true(i.full);
		/* After that it is trusted again. */
		vm_writes(&s, 7, 1003);
		i = run_pass_info(&s);
		assert_int_equal(i.pages_changed, 1);
		assert_int_equal(i.pages_read, stable ? 1 : 39);
		mb_pass_deinit(&s.pass);
	}
}

static void test_source_breaks_the_order(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	vm_writes(&s, 1, 1);
	vm_writes(&s, 2, 2);
	vm_writes(&s, 3, 3);
	run_pass_info(&s);
	vm_writes(&s, 2, 7);
	vm_writes(&s, 3, 8);
	s.source.swap_at = 3;
	assert_fails(mb_pass_run(&s.pass, &e, &err), EBADMSG, &err, "frame 0 after frame 2");
	s.source.swap_at = 0;
	run_pass_info(&s);
	mb_pass_deinit(&s.pass);
}

static int failing_tap(void *ctx, const struct mb_page *page, struct mb_err *err)
{
	int *left = ctx;

	(void)page;
	return --*left < 0 ? mb_fail(err, ENOSPC, "disk full") : 0;
}

static void test_failing_tap_and_tracker(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;
	int left = 1;

	(void)state;
	pass_scene_init(&s, true, true);
	vm_writes(&s, 1, 1);
	vm_writes(&s, 2, 2);
	s.pass.tap = failing_tap;
	s.pass.ctx = &left;
	assert_fails(mb_pass_run(&s.pass, &e, &err), ENOSPC, &err, "disk full");
	left = 100;
	run_pass_info(&s);
	assert_int_equal(left, 98);
	/* A tracker that fails knows nothing: all is read, and it is said why. */
	s.tracker.fails = true;
	vm_writes(&s, 2, 3);
	run_pass(&s, &e);
	assert_true(e.info.full);
	assert_string_equal(e.doubt, "ring lost");
	mb_fingerprint_deinit(&e.fingerprint);
	/* It may not have armed, so that writes from then on are not flagged. */
	s.tracker.fails = false;
	s.source.raw[2] = 4;
	assert_true(run_pass_info(&s).full);
	vm_writes(&s, 2, 5);
	assert_false(run_pass_info(&s).full);
	mb_pass_deinit(&s.pass);
}

static void test_end_of_epochs(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	vm_writes(&s, 1, 1);
	run_pass_info(&s);
	s.source.ended = true;
	vm_writes(&s, 2, 2);
	for (int i = 0; i < 2; i++)
		assert_fails(mb_pass_run(&s.pass, &e, &err), ENODATA, &err, "no more epochs");
	/* And if there is one after all, it is right. */
	s.source.ended = false;
	run_pass_info(&s);
	mb_pass_deinit(&s.pass);
}

struct seen {
	double last;
	int calls;
	bool stop;
};

static int on_progress(void *ctx, double done, struct mb_err *err)
{
	struct seen *seen = ctx;

	assert_true(done >= seen->last && done <= 1);
	seen->last = done;
	seen->calls++;
	return seen->stop ? mb_fail(err, EINTR, "enough") : 0;
}

static void test_progress(void **state)
{
	struct seen seen = { 0 };
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, false);
	for (uint64_t f = 0; f < FRAMES; f++)
		vm_writes(&s, f, 1);
	s.source.per_read = 50;
	s.pass.progress = on_progress;
	s.pass.ctx = &seen;
	run_pass_info(&s);
	assert_int_equal(seen.calls, 6);
	assert_true(seen.last == 1);
	mb_pass_deinit(&s.pass);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed_walk),
		cmocka_unit_test(test_source_breaks_the_order),
		cmocka_unit_test(test_failing_tap_and_tracker),
		cmocka_unit_test(test_end_of_epochs),
		cmocka_unit_test(test_progress),
	};

	return cmocka_run_group_tests_name("pass_faults", tests, NULL, NULL);
}
