// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/tell.h"

#include "tests/unit/util_test.h"

static void test_epoch(void **state)
{
	struct mb_epoch e = {
		.fingerprint = { .n_pages = 300, .n_distinct = 200 },
		.info = { .pages_changed = 12,
			  .pages_read = 40,
			  .pages_unread = 3,
			  .duration_ns = 7000000,
			  .tracker = "bpf" },
	};
	char text[MB_TELL_MAX];

	(void)state;
	mb_tell_epoch(&e, 5, text);
	assert_string_equal(
		text, "epoch 5: 300 pages, 200 distinct, 12 changed, 3 unread; 40 read, 7 ms");
	e.info.full = true;
	mb_tell_epoch(&e, 5, text);
	assert_string_equal(text, "epoch 5: 300 pages, 200 distinct, 12 changed, 3 unread, 7 ms");
	e.doubt = "9 events";
	mb_tell_epoch(&e, 5, text);
	assert_non_null(strstr(text, "unread; all read, bpf doubts itself: 9 events, 7 ms"));
	/* The first one is always a full walk. */
	mb_tell_epoch(&e, 1, text);
	assert_null(strstr(text, "doubts"));
}

static void test_audit(void **state)
{
	struct mb_epoch e = { .info = { .tracker = "bpf" } };
	struct mb_audit *a = &e.info.audit;
	char text[MB_TELL_MAX];

	(void)state;
	a->audits = 1;
	a->follows = 1 << MB_CLASS_ANON;
	a->changed[MB_CLASS_ANON] = 1000;
	a->changed[MB_CLASS_SLAB] = 1000;
	a->stale[MB_CLASS_SLAB] = 10;
	a->flagged = 4;
	a->flagged_changed = 3;
	mb_tell_audit(&e, text);
	assert_string_equal(text, "audit: recall 100 % of 1000 changed pages that bpf follows, "
				  "99.5 % of all 2000; precision 75 %; stale: 10 slab");
	/* One of a million is not none. */
	a->changed[MB_CLASS_ANON] = 1000000;
	a->stale[MB_CLASS_ANON] = 1;
	mb_tell_audit(&e, text);
	assert_non_null(strstr(text, "recall 99.99 % of 1000000"));
	assert_non_null(strstr(text, "stale: 1 anon, 10 slab"));
	/* As long as can be. */
	for (int i = 0; i < MB_CLASS_END; i++)
		a->stale[i] = a->changed[i] = UINT64_MAX / 16;
	mb_tell_audit(&e, text);
	assert_true(strlen(text) < MB_TELL_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_epoch),
		cmocka_unit_test(test_audit),
	};

	return cmocka_run_group_tests_name("tell", tests, NULL, NULL);
}
