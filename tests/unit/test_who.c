// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/who.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

#define BYTES(s) ((struct mb_slice){ (const uint8_t *)(s), sizeof(s) - 1 })

static void put(struct mb_who *w, const char *process, const char *cgroup, enum mb_who_kind kind,
		uint64_t frames)
{
	struct mb_who_row row = { 0 };

	row.frames[kind] = frames;
	strcpy(row.process, process);
	strcpy(row.cgroup, cgroup);
	mb_who_put(w, &row);
}

static uint64_t all_frames(const struct mb_who *w)
{
	uint64_t sum = mb_who_frames(w->others);

	for (uint32_t i = 0; i < w->n; i++)
		sum += mb_who_frames(w->rows[i].frames);
	return sum;
}

static void test_kinds(void **state)
{
	(void)state;
	assert_string_equal(mb_who_kind_name(MB_WHO_UNKNOWN), "unknown");
	assert_string_equal(mb_who_kind_name(MB_WHO_EXEC), "exec");
	assert_null(mb_who_kind_name(MB_WHO_KINDS));
}

/* One row a process and cgroup, what has no name with the others. */
static void test_put(void **state)
{
	struct mb_who w = { 0 };

	(void)state;
	put(&w, "cc1", "/a", MB_WHO_TOUCH, 5);
	put(&w, "cc1", "/b", MB_WHO_TOUCH, 6);
	put(&w, "cc1", "/a", MB_WHO_EXEC, 2);
	put(&w, "", "", MB_WHO_FREE, 9);
	assert_true(w.counted);
	assert_int_equal(w.n, 2);
	assert_int_equal(w.rows[0].frames[MB_WHO_TOUCH], 5);
	assert_int_equal(w.rows[0].frames[MB_WHO_EXEC], 2);
	assert_int_equal(mb_who_frames(w.rows[1].frames), 6);
	assert_int_equal(w.others[MB_WHO_FREE], 9);
}

/* However many there are: no frame is lost, and who has most keeps his name. */
static void test_bounded(void **state)
{
	struct mb_who w = { 0 };
	char name[16];

	(void)state;
	for (uint64_t i = 1; i <= 3 * MB_WHO_ROWS_MAX; i++) {
		snprintf(name, sizeof(name), "p%d", (int)i);
		put(&w, name, "/", MB_WHO_REWRITE, i);
	}
	put(&w, "small", "/", MB_WHO_COW, 1);
	assert_int_equal(w.n, MB_WHO_ROWS_MAX);
	assert_int_equal(all_frames(&w), 192 * 193 / 2 + 1);
	for (uint32_t i = 0; i < w.n; i++)
		assert_true(mb_who_frames(w.rows[i].frames) > 2 * MB_WHO_ROWS_MAX);
	assert_int_equal(w.others[MB_WHO_COW], 1);
}

static void test_add(void **state)
{
	struct mb_who a = { 0 }, b = { 0 }, none = { 0 };

	(void)state;
	mb_who_add(&a, &none);
	assert_false(a.counted);
	put(&b, "sh", "/", MB_WHO_COW, 1);
	put(&b, "", "", MB_WHO_COW, 4);
	mb_who_add(&a, &b);
	put(&b, "cat", "/", MB_WHO_COW, 2);
	mb_who_add(&a, &b);
	mb_who_add(&a, &none);
	assert_int_equal(a.n, 2);
	assert_int_equal(a.rows[0].frames[MB_WHO_COW], 2);
	assert_int_equal(a.rows[1].frames[MB_WHO_COW], 2);
	assert_int_equal(a.others[MB_WHO_COW], 8);
	/* Counted, and nobody did anything: that is known, too. */
	none.counted = true;
	a = (struct mb_who){ 0 };
	mb_who_add(&a, &none);
	assert_true(a.counted);
}

static void assert_row(struct mb_slice *list, const char *process, const char *cgroup,
		       enum mb_who_kind kind, uint64_t frames)
{
	struct mb_err err = { 0 };
	struct mb_who_row row;

	assert_int_equal(mb_who_next(list, &row, &err), 1);
	assert_string_equal(row.process, process);
	assert_string_equal(row.cgroup, cgroup);
	assert_int_equal(row.frames[kind], frames);
	assert_int_equal(mb_who_frames(row.frames), frames);
}

static void test_round_trip(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_who w = { 0 };
	struct mb_slice list;
	struct mb_who_row row;
	struct mb_err err = { 0 };

	(void)state;
	mb_who_encode(&w, 16, &b);
	assert_int_equal(b.len, 0);
	w.counted = true;
	mb_who_encode(&w, 16, &b);
	assert_int_equal(b.len, 3);
	assert_ok(mb_who_check(mb_buf_slice(&b), &err), &err);
	mb_buf_clear(&b);
	put(&w, "least", "/", MB_WHO_REWRITE, 1);
	put(&w, "most", "/system.slice", MB_WHO_EXEC, 700);
	put(&w, "as much", "?77", MB_WHO_COW, 30);
	put(&w, "as much", "/", MB_WHO_ALLOC, 30);
	put(&w, "", "", MB_WHO_REWRITE, 5);
	mb_who_encode(&w, 3, &b);
	list = mb_buf_slice(&b);
	assert_ok(mb_who_check(list, &err), &err);
	assert_row(&list, "", "", MB_WHO_REWRITE, 6);
	assert_row(&list, "most", "/system.slice", MB_WHO_EXEC, 700);
	assert_row(&list, "as much", "?77", MB_WHO_COW, 30);
	assert_row(&list, "as much", "/", MB_WHO_ALLOC, 30);
	assert_int_equal(mb_who_next(&list, &row, &err), 0);
	mb_buf_clear(&b);
	mb_who_encode(&w, 0, &b);
	list = mb_buf_slice(&b);
	assert_int_equal(mb_who_next(&list, &row, &err), 1);
	assert_int_equal(mb_who_frames(row.frames), 766);
	assert_int_equal(list.len, 0);
}

/* A kind that we do not know counts as such; longest names; varints longer than they need be. */
static void test_of_later(void **state)
{
	static const char list[] = "\0\0\0"
				   "\37"
				   "0123456789012345678901234567890"
				   "\x81\0c"
				   "\x0e\1\0\0\0\0\0\0\0\0\0\0\0\2\4";
	struct mb_slice s = BYTES(list);
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_who_check(s, &err), &err);
	assert_row(&s, "", "", MB_WHO_UNKNOWN, 0);
	assert_row(&s, "0123456789012345678901234567890", "c", MB_WHO_UNKNOWN, 7);
}

static void test_bad(void **state)
{
	static const struct {
		struct mb_slice list;
		const char *word;
	} bads[] = {
		{ BYTES("\2sh\0\0"), "row 0: a name, where the others belong" },
		{ BYTES("\0\1c\0"), "row 0: a name, where the others belong" },
		{ BYTES("\0\0\0\0\0\0"), "row 1: no process" },
		{ BYTES("\0\0\0\2s\n\0\0"), "row 1: process: a byte 0x0a" },
		{ BYTES("\0\0\0\2sh\1\0\0"), "row 1: cgroup: a byte 0x00" },
		{ BYTES("\0\0\0\2s"), "row 1: process: ends inside a name" },
		{ BYTES("\0\0\0\x80"), "row 1: process: bad varint" },
		{ BYTES("\0\0\0\40"), "row 1: process: a name of 32 bytes" },
		{ BYTES("\0\0\0\2sh\x80\1"), "row 1: cgroup: a name of 128 bytes" },
		{ BYTES("\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"), "a name of 18446744" },
		{ BYTES("\0\0"), "row 0: frames: bad varint, or more than 32 kinds" },
		{ BYTES("\0\0\41"), "row 0: frames: bad varint, or more than 32 kinds" },
		{ BYTES("\0\0\2\1"), "row 0: frames: bad varint, or above 2^46, at kind 1" },
		{ BYTES("\0\0\1\x81\x80\x80\x80\x80\x80\x10"), "above 2^46, at kind 0" },
		{ BYTES("\0\0\2\1\x80\x80\x80\x80\x80\x80\x10"), "above 2^46, at kind 1" },
		{ BYTES("\0\0\1\x80\x80\x80\x80\x80\x80\x10\1p\0\1\1"),
		  "row 1: more than 2^46 frames with it" },
	};
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bads); i++)
		assert_fails(mb_who_check(bads[i].list, &err), EBADMSG, &err, bads[i].word);
	/* As much as there may be. */
	assert_ok(mb_who_check(BYTES("\0\0\1\x80\x80\x80\x80\x80\x80\x10"), &err), &err);
}

static void test_too_many_rows(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	mb_buf_put(&b, "\0\0\0", 3);
	for (int i = 0; i < MB_WHO_ROWS_MAX; i++)
		mb_buf_put(&b, "\1p\0\0", 4);
	assert_ok(mb_who_check(mb_buf_slice(&b), &err), &err);
	mb_buf_put(&b, "\1p\0\0", 4);
	assert_fails(mb_who_check(mb_buf_slice(&b), &err), EBADMSG, &err, "more than 64 rows");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),	   cmocka_unit_test(test_put),
		cmocka_unit_test(test_bounded),	   cmocka_unit_test(test_add),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_of_later),
		cmocka_unit_test(test_bad),	   cmocka_unit_test(test_too_many_rows),
	};

	return cmocka_run_group_tests_name("who", tests, NULL, NULL);
}
