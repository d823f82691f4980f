// SPDX-License-Identifier: GPL-2.0-or-later
/* What an incremental pass reads besides what is flagged, and what goes wrong when it does not. */
#include "proto/base/cleanup.h"
#include "tests/unit/util_pass.h"

/* Behind the tracker's back, of a class that it does not follow. */
static void test_rule_2(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	for (uint64_t f = 1; f < 20; f++)
		vm_writes(&s, f, f);
	s.source.cls[5] = MB_CLASS_SLAB;
	s.source.cls[6] = MB_CLASS_HUGETLB;
	s.source.flags[7] = MB_PAGE_PINNED;
	s.source.cls[8] = MB_CLASS_FILE;
	run_pass_info(&s);
	for (uint64_t f = 5; f < 8; f++)
		s.source.raw[f] += 100;
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 3);
	assert_int_equal(i.pages_changed, 3);

	/* Pinned just now; of another class; come; gone: nobody flags any of them. */
	s.source.flags[9] = MB_PAGE_PINNED;
	s.source.raw[9] = 200;
	s.source.cls[10] = MB_CLASS_FILE;
	s.source.raw[10] = 201;
	s.source.raw[30] = 202;
	s.source.raw[11] = 0;
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 6);
	assert_int_equal(i.pages_changed, 4);
	/* Not pinned any more: what was written up to then is read once. */
	s.source.flags[9] = 0;
	s.source.raw[9] = 203;
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 4);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 3);
	mb_pass_deinit(&s.pass);
}

/* Read while it was being written to: read again, flagged or not. */
static void test_rule_3(void **state)
{
	struct mb_pass_info i;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	vm_writes(&s, 1, 1);
	vm_writes(&s, 2, 2);
	s.source.flags[2] = MB_PAGE_UNSTABLE;
	run_pass_info(&s);
	s.source.raw[2] = 3;
	s.source.flags[2] = 0;
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 1);
	i = run_pass_info(&s);
	assert_int_equal(i.pages_read, 0);
	mb_pass_deinit(&s.pass);
}

static void wrong_after(struct scene *s)
{
	struct mb_epoch e;
	struct mb_err err = { 0 };
	struct mb_fingerprint_id is, should;
	uint64_t digests[FRAMES];
	struct mb_fingerprint fp;
	size_t n = 0;

	assert_ok(mb_pass_run(&s->pass, &e, &err), &err);
	for (size_t i = 0; i < FRAMES; i++)
		if (s->source.raw[i])
			digests[n++] = s->source.raw[i];
	mb_blind(&s->pass.digester, digests, n);
	assert_ok(mb_fingerprint_from_digests(&fp, digests, n, &err), &err);
	should = mb_fingerprint_id(&fp);
	is = mb_fingerprint_id(&e.fingerprint);
	assert_false(mb_fingerprint_id_equal(&is, &should));
	mb_fingerprint_deinit(&fp);
	mb_fingerprint_deinit(&e.fingerprint);
}

/* The switches that tests of the whole use: without a rule it does go wrong. */
static void test_broken_rules(void **state)
{
	static const struct {
		unsigned int broken;
		uint8_t cls, flags;
	} cases[] = {
		{ MB_BREAK_RULE_2, MB_CLASS_SLAB, 0 },
		{ MB_BREAK_RULE_3, MB_CLASS_ANON, MB_PAGE_UNSTABLE },
	};

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		struct scene s;

		pass_scene_init(&s, true, true);
		s.pass.rehash.broken = cases[i].broken;
		vm_writes(&s, 2, 2);
		s.source.cls[2] = cases[i].cls;
		s.source.flags[2] = cases[i].flags;
		run_pass_info(&s);
		s.source.raw[2] = 3;
		wrong_after(&s);
		mb_pass_deinit(&s.pass);
	}
	/* Nor does what comes behind the tracker's back. */
	for (int with = 0; with < 2; with++) {
		struct scene s;

		pass_scene_init(&s, true, true);
		s.pass.rehash.broken = with ? 0 : MB_BREAK_RULE_2;
		vm_writes(&s, 2, 2);
		run_pass_info(&s);
		s.source.raw[9] = 9;
		if (with)
			run_pass_info(&s);
		else
			wrong_after(&s);
		mb_pass_deinit(&s.pass);
	}
}

/* Seldom looked at, what has not changed for long; found all the same. */
static void test_quiet_pages(void **state)
{
	struct mb_pass_info i;
	uint64_t read = 0;
	struct scene s;

	(void)state;
	pass_scene_init(&s, true, true);
	mb_rehash_init(&s.pass.rehash, fake_tracker_ops.follows, 8);
	s.pass.audit_every = 10;
	for (uint64_t f = 1; f < 200; f++) {
		vm_writes(&s, f, f);
		s.source.cls[f] = MB_CLASS_RESERVED;
	}
	for (int pass = 0; pass < 60; pass++) {
		i = run_pass_info(&s);
		if (!i.full && pass > 40)
			read += i.pages_read;
	}
	/* Every eighth, of 199, 17 times or so. */
	assert_in_range(read, 17 * 199 / 8 / 2, 17 * 199 / 8 * 2);
	mb_pass_deinit(&s.pass);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rule_2),
		cmocka_unit_test(test_rule_3),
		cmocka_unit_test(test_broken_rules),
		cmocka_unit_test(test_quiet_pages),
	};

	return cmocka_run_group_tests_name("pass_rules", tests, NULL, NULL);
}
