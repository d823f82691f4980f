// SPDX-License-Identifier: GPL-2.0-or-later
/* What the tracker said is held against a full walk; and who it says has written. */
#include "tests/unit/util_pass.h"

static void test_audit(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	s.pass.audit_every = 3;
	for (uint64_t f = 1; f < 20; f++)
		vm_writes(&s, f, f);
	run_pass_info(&s);
	i = run_pass_info(&s);
	assert_int_equal(i.audit.audits, 0);
	assert_false(i.full);
	vm_writes(&s, 3, 300); /* flagged and changed */
	vm_writes(&s, 4, 4);   /* flagged only */
	vm_writes(&s, 60, 60); /* new */
	s.source.raw[5] = 500; /* missed */
	s.source.write_at = 2; /* after the flags were taken, before it is read */
	s.source.write_frame = 6;
	i = run_pass_info(&s);
	assert_true(i.full);
	assert_int_equal(i.audit.audits, 1);
	assert_int_equal(i.audit.follows, 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE);
	assert_int_equal(i.audit.changed[MB_CLASS_ANON], 3);
	assert_int_equal(i.audit.stale[MB_CLASS_ANON], 1);
	assert_int_equal(i.audit.flagged, 3);
	assert_int_equal(i.audit.flagged_changed, 2);
	/* What was flagged while it was audited is read then. */
	i = run_pass_info(&s);
	assert_false(i.full);
	assert_int_equal(i.pages_read, 1);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

/* Rule 5: all is read, and it is told how right the doubts were. */
static void test_doubt(void **state)
{
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	vm_writes(&s, 1, 1);
	vm_writes(&s, 2, 2);
	s.tracker.doubt = "nothing was protected";
	i = run_pass_info(&s);
	assert_true(i.full);
	/* There is nothing that it could be held against. */
	assert_int_equal(i.audit.audits, 0);
	assert_int_equal(s.tracker.asked, 1);
	s.tracker.doubt = NULL;
	run_pass_info(&s);

	s.source.raw[2] = 3;
	s.tracker.doubt = "5 events";
	run_pass(&s, &e);
	assert_string_equal(e.doubt, "5 events");
	assert_true(e.info.full);
	assert_int_equal(e.info.audit.stale[MB_CLASS_ANON], 1);
	assert_int_equal(e.info.audit.doubted, 1);
	mb_fingerprint_deinit(&e.fingerprint);
	/* It had doubts when it was asked the second time, too. */
	s.tracker.doubt = NULL;
	s.source.raw[2] = 4;
	run_pass(&s, &e);
	assert_true(e.info.full);
	assert_null(e.doubt);
	mb_fingerprint_deinit(&e.fingerprint);
	i = run_pass_info(&s);
	assert_false(i.full);
	mb_pass_deinit(&s.pass);
}

/* What came up while it was audited is a doubt, too. */
static void test_doubt_after_the_audit(void **state)
{
	struct mb_pass_info i;
	struct mb_epoch e;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	s.pass.audit_every = 2;
	vm_writes(&s, 1, 1);
	vm_writes(&s, 2, 2);
	run_pass_info(&s);
	s.source.raw[2] = 3;
	s.tracker.asked = 0;
	s.tracker.doubt_later = "2 events";
	run_pass(&s, &e);
	assert_int_equal(e.info.audit.audits, 1);
	assert_int_equal(e.info.audit.doubted, 1);
	assert_string_equal(e.doubt, "2 events");
	mb_fingerprint_deinit(&e.fingerprint);
	s.tracker.doubt_later = NULL;
	i = run_pass_info(&s);
	assert_true(i.full);
	mb_pass_deinit(&s.pass);
}

/* Memory was plugged just when an audit was due: it is another memory. */
static void test_frames_moved_before_an_audit(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	s.pass.audit_every = 2;
	for (uint64_t f = 10; f < 30; f++)
		vm_writes(&s, f, f);
	run_pass_info(&s);
	for (uint64_t f = 10; f < 30; f++)
		s.source.raw[f] += 100;
	s.source.moved = true;
	i = run_pass_info(&s);
	assert_true(i.full);
	assert_int_equal(i.audit.audits, 0);
	/* It is still due. */
	i = run_pass_info(&s);
	assert_int_equal(i.audit.audits, 1);
	assert_int_equal(i.audit.stale[MB_CLASS_ANON], 0);
	mb_pass_deinit(&s.pass);
}

/* What an audit's second question has is of the same epoch; of a pass that fails, of the next. */
static void test_who(void **state)
{
	struct mb_err err = { 0 };
	struct mb_epoch e;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	vm_writes(&s, 3, 7);
	run_pass(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_true(e.who.counted);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 1);
	s.pass.audit_every = 1;
	run_pass(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_int_equal(e.info.audit.audits, 1);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 2);
	s.pass.audit_every = 0;
	vm_writes(&s, 3, 8);
	s.source.fail_at = 3;
	assert_fails(mb_pass_run(&s.pass, &e, &err), EIO, &err, "frame 3 is gone");
	s.source.fail_at = 0;
	run_pass(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_int_equal(e.who.n, 1);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 2);
	run_pass(&s, &e);
	mb_fingerprint_deinit(&e.fingerprint);
	assert_int_equal(e.who.rows[0].frames[MB_WHO_COW], 1);
	mb_pass_deinit(&s.pass);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_doubt),
		cmocka_unit_test(test_doubt_after_the_audit),
		cmocka_unit_test(test_frames_moved_before_an_audit),
		cmocka_unit_test(test_who),
	};

	return cmocka_run_group_tests_name("pass_audit", tests, NULL, NULL);
}
