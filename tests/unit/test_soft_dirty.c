// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/soft_dirty.h"

#include <dirent.h>
#include <stdlib.h>

#include "agent/pagemap.h"
#include "tests/unit/util_proc.h"

#define PRIVATE "00400000-00410000 rw-p 00000000 00:00 0\n"

enum { FRAMES = 1000, FIRST = 0x400 /* page of PRIVATE */ };

static const uint64_t there = MB_ENTRY_PRESENT, written = MB_ENTRY_PRESENT | MB_ENTRY_SOFT_DIRTY;
static struct mb_soft_dirty *s;
static const struct mb_frame_set *dirty;
static struct mb_soft_dirty_report report;
static bool known;

static void put_page(int id, uint64_t page, uint64_t entry)
{
	char name[64];

	snprintf(name, sizeof(name), "%d/pagemap", id);
	proc_put_word(name, FIRST + page, entry);
}

static void put_count(uint64_t frame, uint64_t n)
{
	proc_put_word("kpagecount", frame, n);
}

static void look(void)
{
	struct mb_err err = { 0 };

	assert_ok(mb_soft_dirty_look(s, &dirty, &known, &report, &err), &err);
	assert_true(known);
}

static bool is_clean(uint64_t frame)
{
	return !mb_frame_set_has(dirty, frame);
}

/* In a real /proc it is the lower number. */
static int first_listed(void)
{
	DIR *all = opendir(proc_root);
	const struct dirent *one;
	int id = 0;

	assert_non_null(all);
	while (!id && (one = readdir(all)))
		id = atoi(one->d_name);
	closedir(all);
	return id;
}

/* Processes 10 and 11; page i of both in frame 100 + i and 200 + i, clean, looked at once. */
static int make(void **state)
{
	struct mb_err err = { 0 };

	proc_make(state);
	for (int id = 10; id < 12; id++) {
		proc_process(id, 'S', (uint64_t)id, PRIVATE);
		put_page(id, 15, 0);
	}
	put_count(FRAMES - 1, 0);
	for (uint64_t i = 0; i < 8; i++) {
		put_page(10, i, there | (100 + i));
		put_page(11, i, there | (200 + i));
		put_count(100 + i, 1);
		put_count(200 + i, 1);
	}
	assert_ok(mb_soft_dirty_open(proc_root, FRAMES, &s, &err), &err);
	assert_ok(mb_soft_dirty_look(s, &dirty, &known, &report, &err), &err);
	assert_false(known);
	assert_int_equal(report.moved, 16);
	assert_int_equal(report.clean, 0);
	return 0;
}

static int clean(void **state)
{
	mb_soft_dirty_close(s);
	return proc_clean(state);
}

static void test_written(void **state)
{
	(void)state;
	put_page(10, 3, written | 103);
	look();
	proc_assert_holds("10/clear_refs", "4");
	assert_int_equal(report.processes, 2);
	assert_int_equal(report.mappings, 16);
	assert_int_equal(report.written, 1);
	assert_int_equal(report.dirty, 1);
	assert_int_equal(report.clean, 15);
	for (uint64_t frame = 0; frame < FRAMES + 100; frame++) {
		bool want = (frame >= 100 && frame < 108 && frame != 103) ||
			    (frame >= 200 && frame < 208);

		assert_int_equal(is_clean(frame), want);
	}
	/* As it was cleared. */
	put_page(10, 3, there | 103);
	look();
	assert_true(is_clean(103));
}

/* Somebody maps it whom we do not see; or less than what we saw, by now. */
static void test_counts(void **state)
{
	(void)state;
	put_count(100, 2);
	put_count(101, 0);
	put_count(102, 257);
	look();
	assert_false(is_clean(100) || is_clean(101) || is_clean(102));
	assert_true(is_clean(103));
	assert_int_equal(report.unseen, 3);
	/* Beyond the end of the file nobody counts. */
	proc_put("kpagecount", "");
	put_count(103, 1);
	look();
	assert_true(is_clean(103));
	assert_false(is_clean(104));
}

/* Children come and go; what matters is that the first stays. */
static void test_shared(void **state)
{
	const int parent = first_listed(), child = parent == 10 ? 11 : 10;
	const uint64_t frame = parent == 10 ? 100 : 200;

	(void)state;
	put_page(child, 8, there | frame);
	put_count(frame, 2);
	look();
	assert_true(is_clean(frame));
	/* One of both writes. */
	put_page(child, 8, written | frame);
	look();
	assert_false(is_clean(frame));
	put_page(child, 8, there | frame);
	look();
	assert_true(is_clean(frame));
	put_page(child, 8, 0);
	look();
	assert_false(is_clean(frame)); /* it has gone to where we do not see it */
	put_count(frame, 1);
	look();
	assert_true(is_clean(frame));
	/* Not that one, though: nobody knows what it has done. */
	put_page(child, 8, there | frame);
	put_page(parent, 0, 0);
	look();
	assert_false(is_clean(frame));
	look();
	assert_true(is_clean(frame));
}

/* So many that they are not counted. */
static void test_many(void **state)
{
	(void)state;
	proc_put("11/maps", "00400000-00800000 rw-p 00000000 00:00 0\n");
	put_page(11, 0x3ff, 0);
	for (uint64_t i = 0; i < 254; i++)
		put_page(11, 16 + i, there | 300);
	put_count(300, 254);
	look();
	look();
	assert_true(is_clean(300));
	for (uint64_t i = 254; i < 300; i++)
		put_page(11, 16 + i, there | 300);
	for (uint64_t n = 250; n < 300; n++) {
		put_count(300, n);
		look();
		assert_false(is_clean(300));
	}
}

/* What a frame gets from swap or from another frame is not dirty, but new there. */
static void test_moved(void **state)
{
	(void)state;
	put_page(10, 0, there | 101);
	put_page(10, 1, there | 100);
	put_page(10, 2, there | 300);
	put_count(102, 0);
	put_count(300, 1);
	look();
	assert_false(is_clean(100) || is_clean(101) || is_clean(102) || is_clean(300));
	assert_int_equal(report.moved, 3);
	look();
	assert_true(is_clean(100) && is_clean(101) && is_clean(300));
	/* Another process with the same number, at the same places. */
	proc_put("10/stat", "10 (a) S 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 77 23");
	look();
	assert_false(is_clean(100) || is_clean(103));
	assert_true(is_clean(200));
}

static void test_broken(void **state)
{
	(void)state;
	mb_soft_dirty_break(s, MB_BREAK_PLACE | MB_BREAK_CLEAR);
	proc_put("10/clear_refs", "");
	put_page(10, 0, there | 101);
	put_page(10, 1, there | 100);
	look();
	assert_true(is_clean(100) && is_clean(101));
	proc_assert_holds("10/clear_refs", "");
}

static void test_not_ours(void **state)
{
	(void)state;
	put_page(10, 0, MB_ENTRY_SWAPPED | 100);
	put_page(10, 1, there | MB_ENTRY_FILE | 101);
	put_page(10, 2, there | 5000); /* beyond what there is */
	/* A huge page, whole. */
	for (uint64_t i = 8; i < 16; i++) {
		put_page(10, i, there | (500 + i));
		put_count(500 + i, 1);
	}
	look();
	look();
	assert_false(is_clean(100) || is_clean(101) || is_clean(102));
	assert_true(is_clean(103) && is_clean(508) && is_clean(515));
}

/* Shared memory, places that nobody may touch, vsyscall: not looked at, so not clean. */
static void test_maps(void **state)
{
	(void)state;
	proc_put("10/maps",
		 "00400000-00402000 rw-s 00000000 00:00 0\n"
		 "00402000-00403000 ---p 00000000 00:00 0\n"
		 "00403000-00406000 r--p 00000000 00:00 0 /bin/true\n"
		 "100000000-600000000000 rw-p 00000000 00:00 0\n" /* more than all memory */
		 "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]\n");
	look();
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(is_clean(100 + i), i >= 3 && i < 6);
	assert_true(is_clean(200));
}

/* One that ends meanwhile is not asked, and others are. */
static void test_gone(void **state)
{
	(void)state;
	proc_put("10/pagemap", "");
	proc_put("10/clear_refs", "");
	proc_folder("12");
	proc_process(13, 'S', 13, "");
	look();
	proc_assert_holds("10/clear_refs", "");
	proc_assert_holds("13/clear_refs", "");
	assert_false(is_clean(100));
	assert_true(is_clean(200));
	proc_remove("10/stat");
	look();
	assert_true(is_clean(200));
}

static void test_hidden(void **state)
{
	struct mb_err err = { 0 };

	(void)state;
	put_page(10, 0, there);
	assert_fails(mb_soft_dirty_look(s, &dirty, &known, &report, &err), EPERM, &err,
		     "CAP_SYS_ADMIN");
	/* What was cleared meanwhile is lost. */
	put_page(10, 0, there | 100);
	assert_ok(mb_soft_dirty_look(s, &dirty, &known, &report, &err), &err);
	assert_false(known);
	look();
}

static void test_refused(void **state)
{
	struct mb_soft_dirty *other;
	struct mb_err err = { 0 };

	(void)state;
	proc_remove("10/clear_refs");
	proc_folder("10/clear_refs");
	assert_fails(mb_soft_dirty_look(s, &dirty, &known, &report, &err), EISDIR, &err,
		     "10: clear_refs");
	assert_fails(mb_soft_dirty_open(proc_root, 0, &other, &err), E2BIG, &err, "0 frames");
	proc_remove("kpagecount");
	assert_fails(mb_soft_dirty_open(proc_root, 1, &other, &err), ENOENT, &err,
		     "PROC_PAGE_MONITOR");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make, clean)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_written), TEST(test_counts), TEST(test_shared),  TEST(test_moved),
		TEST(test_many),    TEST(test_broken), TEST(test_maps),	   TEST(test_not_ours),
		TEST(test_gone),    TEST(test_hidden), TEST(test_refused),
	};

	return cmocka_run_group_tests_name("soft_dirty", tests, NULL, NULL);
}
