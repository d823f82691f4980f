// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/auditor.h"

#include "tests/unit/util_test.h"

enum { FOLLOWS = 1 << MB_CLASS_ANON };

static uint64_t flagged_words[2], wanted_words[2], meanwhile_words[2];
static struct mb_frame_set flagged = { flagged_words, 0, 128, NULL },
			   wanted = { wanted_words, 0, 128, NULL },
			   meanwhile = { meanwhile_words, 0, 128, NULL };

static void page(struct mb_auditor *a, uint64_t frame, uint8_t was, uint8_t is, bool changed)
{
	struct mb_table_page old = { frame, 1, was };
	struct mb_page now = { .frame = frame, .digest = changed ? 2 : 1, .cls = is };
	struct mb_err err = { 0 };

	assert_ok(mb_auditor_page(a, was ? &old : NULL, &now, &err), &err);
}

static void test_verdict(void **state)
{
	struct mb_auditor a = { 0 };

	(void)state;
	for (uint64_t f = 0; f < 8; f++)
		mb_frame_set_add(&flagged, f), mb_frame_set_add(&wanted, f);
	mb_frame_set_add(&wanted, 20);
	mb_frame_set_add(&meanwhile, 31);
	mb_auditor_begin(&a, &flagged, &wanted, FOLLOWS, false);
	page(&a, 0, MB_CLASS_ANON, MB_CLASS_ANON, true);
	page(&a, 1, MB_CLASS_ANON, MB_CLASS_ANON, false);
	page(&a, 2, 0, MB_CLASS_ANON, true);
	page(&a, 3, MB_CLASS_FILE, MB_CLASS_ANON, false);
	/* Not a class it follows: its flag says nothing of its precision. */
	page(&a, 4, MB_CLASS_SLAB, MB_CLASS_SLAB, false);
	page(&a, 20, MB_CLASS_SLAB, MB_CLASS_SLAB, true);
	page(&a, 30, MB_CLASS_ANON, MB_CLASS_ANON, true);
	page(&a, 31, MB_CLASS_ANON, MB_CLASS_ANON, true);
	page(&a, 32, MB_CLASS_SLAB, MB_CLASS_SLAB, true);
	page(&a, 33, MB_CLASS_SLAB, MB_CLASS_SLAB, false);
	/* Came, or became something else: always read. */
	page(&a, 34, 0, MB_CLASS_ANON, true);
	page(&a, 35, MB_CLASS_FILE, MB_CLASS_ANON, true);
	/* Beyond what the tracker knows: read. */
	page(&a, 1000, MB_CLASS_ANON, MB_CLASS_ANON, true);
	mb_auditor_end(&a, &meanwhile);
	assert_int_equal(a.audit.audits, 1);
	assert_int_equal(a.audit.changed[MB_CLASS_ANON], 4);
	assert_int_equal(a.audit.stale[MB_CLASS_ANON], 1);
	assert_int_equal(a.audit.changed[MB_CLASS_SLAB], 2);
	assert_int_equal(a.audit.stale[MB_CLASS_SLAB], 1);
	/* Frames 0 to 3; of 1000 nobody knows. */
	assert_int_equal(a.audit.flagged, 4);
	assert_int_equal(a.audit.flagged_changed, 3);
	assert_int_equal(a.pages[MB_CLASS_SLAB], 4);
	assert_true(mb_audit_recall(&a.audit, FOLLOWS) == .75);
	assert_true(mb_audit_recall(&a.audit, UINT32_MAX) == 1 - 2. / 6);
	assert_true(mb_audit_precision(&a.audit) == .75);

	/* The next one starts from nothing; more suspects than there was room for. */
	mb_auditor_begin(&a, &flagged, &wanted, FOLLOWS, false);
	for (int i = 0; i < 1000; i++)
		page(&a, 64, MB_CLASS_ANON, MB_CLASS_ANON, true);
	mb_auditor_end(&a, NULL);
	assert_int_equal(a.audit.stale[MB_CLASS_ANON], 1000);
	assert_int_equal(a.audit.flagged, 0);
	mb_auditor_deinit(&a);
}

/* A page that is pinned just now comes by itself: nobody has to want it. */
static void test_pinned_pages_come(void **state)
{
	struct mb_table_page old = { 40, 1, MB_CLASS_ANON };
	struct mb_page now = { .frame = 40, .digest = 2, .cls = MB_CLASS_ANON };
	struct mb_auditor a = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	for (int pinned = 0; pinned < 2; pinned++) {
		now.flags = pinned ? MB_PAGE_PINNED : 0;
		mb_auditor_begin(&a, &flagged, &wanted, FOLLOWS, false);
		assert_ok(mb_auditor_page(&a, &old, &now, &err), &err);
		mb_auditor_end(&a, NULL);
		assert_int_equal(a.audit.changed[MB_CLASS_ANON], 1);
		assert_int_equal(a.audit.stale[MB_CLASS_ANON], !pinned);
	}
	mb_auditor_deinit(&a);
}

static void test_sums(void **state)
{
	struct mb_audit sum = { 0 }, none = { 0 };
	struct mb_audit one = { .audits = 1, .follows = FOLLOWS, .flagged = 10 };

	(void)state;
	one.changed[MB_CLASS_ANON] = 8;
	one.stale[MB_CLASS_ANON] = 2;
	assert_true(mb_audit_recall(&none, UINT32_MAX) == 1 && mb_audit_precision(&none) == 1);
	mb_audit_add(&sum, &one);
	mb_audit_add(&sum, &none);
	one.follows = 0;
	one.doubted = 1;
	mb_audit_add(&sum, &one);
	assert_int_equal(sum.audits, 2);
	assert_int_equal(sum.doubted, 1);
	assert_int_equal(sum.follows, 0);
	assert_int_equal(sum.changed[MB_CLASS_ANON], 16);
	assert_int_equal(sum.stale[MB_CLASS_ANON], 4);
	assert_int_equal(sum.flagged, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdict),
		cmocka_unit_test(test_pinned_pages_come),
		cmocka_unit_test(test_sums),
	};

	return cmocka_run_group_tests_name("auditor", tests, NULL, NULL);
}
