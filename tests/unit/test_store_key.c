// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_key.h"

#include <sqlite3.h>

#include "tests/unit/util_server.h"

static int collect(void *ctx, const struct mb_key_rotation *r, struct mb_err *err)
{
	return mb_key_rotations_put(ctx, r, err);
}

static void load(struct mb_store *s, struct mb_key_rotations *ret)
{
	struct mb_err err = { 0 };

	*ret = (struct mb_key_rotations){ 0 };
	assert_ok(mb_store_key_rotations(s, collect, ret, &err), &err);
}

static void test_put_and_end(void **state)
{
	struct mb_key_rotation r = { "tenant-a", 0x0000beef, 0xdeadbeef, 1234567890123456789,
				     1,		 2,	     3 };
	struct mb_key_rotations all;
	struct mb_store *s;
	struct mb_err err = { 0 };
	char path[128];

	(void)state;
	scratch_path("key.db", path);
	assert_ok(mb_store_open(path, &s, &err), &err);
	load(s, &all);
	assert_int_equal(all.n, 0);
	assert_ok(mb_store_end_key_rotation(s, "tenant-a", &err), &err);
	assert_ok(mb_store_put_key_rotation(s, &r, &err), &err);
	strcpy(r.domain, "tenant-b");
	assert_ok(mb_store_put_key_rotation(s, &r, &err), &err);
	/* In place of the one before. */
	r.from = 1;
	r.to = 2;
	assert_ok(mb_store_put_key_rotation(s, &r, &err), &err);
	mb_store_close(s);
	assert_ok(mb_store_open(path, &s, &err), &err);
	load(s, &all);
	assert_int_equal(all.n, 2);
	assert_string_equal(all.list[0].domain, "tenant-a");
	assert_int_equal(all.list[0].from, 0xbeef);
	assert_int_equal(all.list[0].to, 0xdeadbeef);
	assert_true(all.list[0].begun_unix_ns == 1234567890123456789);
	assert_int_equal(all.list[0].n_from + all.list[0].n_to + all.list[0].n_other, 0);
	assert_int_equal(all.list[1].from, 1);
	assert_int_equal(all.list[1].to, 2);
	mb_key_rotations_deinit(&all);
	assert_ok(mb_store_end_key_rotation(s, "tenant-a", &err), &err);
	load(s, &all);
	assert_int_equal(all.n, 1);
	assert_string_equal(all.list[0].domain, "tenant-b");
	mb_key_rotations_deinit(&all);
	mb_store_close(s);
}

static void test_edited_by_hand(void **state)
{
	static const char *const bad[] = { "('d','x','00000001',0)", "('d','00000001','',0)",
					   "(hex(zeroblob(50)),'00000001','00000002',0)" };
	struct mb_key_rotations all = { 0 };
	struct mb_store *s;
	struct mb_err err = { 0 };
	char path[128], text[200];
	sqlite3 *db;

	(void)state;
	scratch_path("edited.db", path);
	assert_ok(mb_store_open(path, &s, &err), &err);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		snprintf(text, sizeof(text),
			 "DELETE FROM key_rotation; INSERT INTO key_rotation VALUES %s", bad[i]);
		assert_int_equal(sqlite3_exec(db, text, NULL, NULL, NULL), SQLITE_OK);
		assert_true(mb_store_key_rotations(s, collect, &all, &err) < 0);
		assert_non_null(strstr(err.text, "key_rotation"));
	}
	sqlite3_close(db);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_and_end),
		cmocka_unit_test(test_edited_by_hand),
	};

	return cmocka_run_group_tests_name("store_key", tests, NULL, NULL);
}
