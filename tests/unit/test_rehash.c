// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/rehash.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

enum { FOLLOWS = 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE };

static uint8_t state_of(uint8_t cls, uint8_t flags, uint8_t old)
{
	struct mb_page page = { .cls = cls, .flags = flags };

	return mb_rehash_state(&page, old);
}

/* How often in 64 epochs a page is looked at that never changes, once it is as old as can be. */
static int looks(const struct mb_rehash *r, uint8_t cls, uint64_t frame)
{
	uint8_t state = state_of(cls, 0, 0);
	int n = 0;

	for (int i = 0; i < 10; i++)
		state = state_of(cls, 0, state);
	for (uint64_t epoch = 1000; epoch < 1064; epoch++)
		n += mb_rehash_is_due(r, frame, state, epoch);
	return n;
}

static void test_followed_pages_are_left_alone(void **state)
{
	struct mb_rehash r = { 0 };

	(void)state;
	mb_rehash_init(&r, FOLLOWS, 16);
	for (uint64_t frame = 0; frame < 100; frame++) {
		assert_int_equal(looks(&r, MB_CLASS_ANON, frame), 0);
		assert_int_equal(looks(&r, MB_CLASS_FILE, frame), 0);
	}
}

static void test_a_programs_pages_are_always_read(void **state)
{
	static const uint8_t classes[] = { MB_CLASS_HUGETLB, MB_CLASS_BUFFER, MB_CLASS_UNKNOWN };
	struct mb_audit none = { .audits = 1 };
	uint64_t pages[MB_CLASS_END];
	struct mb_rehash r = { 0 };

	(void)state;
	mb_rehash_init(&r, FOLLOWS, 16);
	for (int i = 0; i < MB_CLASS_END; i++)
		pages[i] = 1000;
	for (int audit = 0; audit < 10; audit++) {
		for (size_t i = 0; i < MB_ARRAY_LEN(classes); i++)
			assert_int_equal(looks(&r, classes[i], 5), 64);
		mb_rehash_judge(&r, &none, pages);
	}
}

static void test_unstable_and_pinned_pages_are_read_again(void **state)
{
	static const uint8_t flags[] = { MB_PAGE_UNSTABLE, MB_PAGE_PINNED };
	struct mb_rehash r = { 0 };

	(void)state;
	mb_rehash_init(&r, FOLLOWS, 16);
	for (size_t i = 0; i < MB_ARRAY_LEN(flags); i++) {
		uint8_t is = state_of(MB_CLASS_FILE, flags[i], 0);

		for (uint64_t epoch = 0; epoch < 20; epoch++)
			assert_true(mb_rehash_is_due(&r, 3, is, epoch));
		/* Once. */
		is = state_of(MB_CLASS_FILE, 0, is);
		assert_false(mb_rehash_is_due(&r, 3, is, 5));
		assert_int_equal(mb_rehash_class(is), MB_CLASS_FILE);
	}
}

static void test_quiet_pages_are_read_less_and_less(void **state)
{
	struct mb_audit good = { .audits = 1 }, bad = { .audits = 1 };
	uint64_t pages[MB_CLASS_END] = { [MB_CLASS_SLAB] = 1000, [MB_CLASS_KERNEL] = 1000 };
	struct mb_rehash r = { 0 };
	int turns[8] = { 0 };

	(void)state;
	mb_rehash_init(&r, FOLLOWS, 16);
	assert_int_equal(looks(&r, MB_CLASS_SLAB, 7), 16);
	for (int i = 0; i < 5; i++)
		mb_rehash_judge(&r, &good, pages);
	assert_int_equal(looks(&r, MB_CLASS_SLAB, 7), 4);
	/* One class is bad; the other one does not pay for it. */
	bad.stale[MB_CLASS_SLAB] = 6;
	for (int i = 0; i < 2; i++)
		mb_rehash_judge(&r, &bad, pages);
	assert_int_equal(looks(&r, MB_CLASS_SLAB, 7), 16);
	assert_int_equal(looks(&r, MB_CLASS_KERNEL, 7), 4);
	/* Neither good nor bad: as it is. */
	bad.stale[MB_CLASS_SLAB] = 3;
	mb_rehash_judge(&r, &bad, pages);
	assert_int_equal(looks(&r, MB_CLASS_SLAB, 7), 16);
	bad.stale[MB_CLASS_SLAB] = 1000;
	for (int i = 0; i < 5; i++)
		mb_rehash_judge(&r, &bad, pages);
	assert_int_equal(looks(&r, MB_CLASS_SLAB, 7), 64);

	/* A page that changes is looked at the next time, and has its turns from there. */
	assert_true(mb_rehash_is_due(&r, 7, state_of(MB_CLASS_KERNEL, 0, 0), 1));
	/* Neighbours have theirs in different epochs. */
	for (uint64_t frame = 0; frame < 8000; frame++) {
		uint8_t old = state_of(MB_CLASS_KERNEL, 0, 0);

		for (int i = 0; i < 3; i++)
			old = state_of(MB_CLASS_KERNEL, 0, old);
		for (uint64_t epoch = 0; epoch < 8; epoch++)
			turns[epoch] += mb_rehash_is_due(&r, frame, old, epoch);
	}
	for (int i = 0; i < 8; i++)
		assert_in_range(turns[i], 850, 1150);
}

/*
 * Audits of a class whose pages are stale at caps above `fine`, and not below. Returns how many of
 * the last `n` / 2 found them so.
 */
static int audits(struct mb_rehash *r, uint8_t fine, int n)
{
	uint64_t pages[MB_CLASS_END] = { [MB_CLASS_SLAB] = 1000 };
	int stale = 0;

	for (int i = 0; i < n; i++) {
		struct mb_audit a = { .audits = 1 };

		a.stale[MB_CLASS_SLAB] = r->cap[MB_CLASS_SLAB] > fine ? 10 : 0;
		stale += a.stale[MB_CLASS_SLAB] && i >= n / 2;
		mb_rehash_judge(r, &a, pages);
	}
	return stale;
}

/* What is looked at every time is never stale: that tells nothing of the next cap. */
static void test_a_cap_settles(void **state)
{
	(void)state;
	for (uint8_t fine = 0; fine < 4; fine++) {
		struct mb_rehash r = { 0 };

		mb_rehash_init(&r, FOLLOWS, 16);
		/* It is tried again now and then, or it would never rise. */
		assert_in_range(audits(&r, fine, 200), 3, 8);
		assert_in_range(r.cap[MB_CLASS_SLAB], fine, fine + 1);
		/* Once they are quiet, it is as high as can be, ... */
		assert_int_equal(audits(&r, 4, 24), 0);
		assert_int_equal(r.cap[MB_CLASS_SLAB], 4);
		/* ... and what was is forgotten by and by; never is it slow to come down. */
		audits(&r, 0, 4);
		assert_int_equal(r.cap[MB_CLASS_SLAB], 0);
	}
}

static void test_period_1_is_always(void **state)
{
	struct mb_audit good = { .audits = 1 };
	uint64_t pages[MB_CLASS_END] = { 0 };
	struct mb_rehash r = { 0 };

	(void)state;
	mb_rehash_init(&r, FOLLOWS, 1);
	pages[MB_CLASS_SLAB] = 1000;
	mb_rehash_judge(&r, &good, pages);
	for (int cls = 0; cls < MB_CLASS_END; cls++)
		assert_int_equal(looks(&r, (uint8_t)cls, 9), FOLLOWS >> cls & 1 ? 0 : 64);
	mb_rehash_init(&r, FOLLOWS, MB_REHASH_PERIOD_MAX);
	assert_int_equal(1 << r.cap_max, MB_REHASH_PERIOD_MAX);
	mb_rehash_init(&r, 0, 2);
	assert_int_equal(looks(&r, MB_CLASS_ANON, 9), 64);
	assert_int_equal(looks(&r, MB_CLASS_SLAB, 9), 32);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_followed_pages_are_left_alone),
		cmocka_unit_test(test_a_programs_pages_are_always_read),
		cmocka_unit_test(test_unstable_and_pinned_pages_are_read_again),
		cmocka_unit_test(test_quiet_pages_are_read_less_and_less),
		cmocka_unit_test(test_a_cap_settles),
		cmocka_unit_test(test_period_1_is_always),
	};

	return cmocka_run_group_tests_name("rehash", tests, NULL, NULL);
}
