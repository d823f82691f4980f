// SPDX-License-Identifier: GPL-2.0-or-later
/* Who dirtied memory, kept and asked for. */
#include "proto/base/cleanup.h"
#include "tests/unit/util_store.h"

static void test_who(void **state)
{
	static const struct mb_who_row cc1 = { "cc1",
					       "/ci",
					       { [MB_WHO_TOUCH] = 60, [MB_WHO_COW] = 5 } };
	static const struct mb_who_row sh = { "sh", "/", { [MB_WHO_EXEC] = 100 } };
	static const struct mb_who_row others = {
		.frames = { [MB_WHO_UNKNOWN] = 3, [MB_WHO_FREE] = 400 }
	};
	struct mb_store *s = open_store();
	struct mb_who who = { 0 }, none = { 0 };
	struct mb_err err = { 0 };
	struct who_rows w;
	struct mb_vm vm;

	(void)state;
	assert_fails(mb_store_who(s, "web1", 9, on_who_row, &w, &w.counted, &err), ENOENT, &err,
		     "web1");
	store_one(s, &vm);
	get_who(s, 9, &w);
	assert_int_equal(w.n + w.counted, 0);
	mb_who_put(&who, &cc1);
	mb_who_put(&who, &others);
	commit_who(s, &vm, 120, &who);
	commit_who(s, &vm, 121, &none);
	mb_who_put(&who, &sh);
	commit_who(s, &vm, 122, &who);

	get_who(s, 9, &w);
	assert_int_equal(w.n, 3);
	assert_int_equal(w.counted, 2);
	assert_string_equal(w.rows[0].process, "cc1");
	assert_string_equal(w.rows[0].cgroup, "/ci");
	assert_int_equal(w.rows[0].frames[MB_WHO_TOUCH], 120);
	assert_int_equal(w.rows[0].frames[MB_WHO_COW], 10);
	assert_int_equal(mb_who_frames(w.rows[0].frames), 130);
	assert_string_equal(w.rows[1].process, "sh");
	assert_int_equal(w.rows[1].frames[MB_WHO_EXEC], 100);
	assert_string_equal(w.rows[2].process, "");
	assert_int_equal(w.rows[2].frames[MB_WHO_FREE], 800);
	assert_int_equal(w.rows[2].frames[MB_WHO_UNKNOWN], 6);
	/* Of the rows that are asked for only. */
	get_who(s, 2, &w);
	assert_int_equal(w.counted, 1);
	assert_string_equal(w.rows[0].process, "sh");
	get_who(s, 0, &w);
	assert_int_equal(w.n + w.counted, 0);
	w.result = -ECANCELED;
	assert_int_equal(mb_store_who(s, "web1", 9, on_who_row, &w, &w.counted, &err), -ECANCELED);
	assert_int_equal(w.n, 1);
	/* What a person asks. */
	assert_int_equal(store_count("SELECT sum(frames) FROM who WHERE process = 'cc1'"), 130);
	assert_int_equal(store_count("SELECT sum(first_write + copy_on_write) FROM who"), 130);
	assert_int_equal(store_count("SELECT sum(exec) FROM who JOIN vm ON vm.id = who.vm"
				     " WHERE name = 'web1'"),
			 100);
	/* They go when their epoch goes. */
	assert_ok(mb_store_forget(s, vm.acked_unix_ns, &err), &err);
	assert_int_equal(store_count("SELECT count(*) FROM who"), 3);
	assert_int_equal(store_count("SELECT count(*) FROM history"), 1);
	/* And are not half there. */
	assert_ok(mb_store_begin(s, &err), &err);
	assert_fails(mb_store_put_epoch(
			     s, &vm,
			     &(struct mb_epoch_record){ .snapshot = true,
							.frame = { (const uint8_t *)"x", 1 },
							.who = { (const uint8_t *)"\0\0\0x", 4 } },
			     &err),
		     EBADMSG, &err, "process");
	mb_store_rollback(s);
	assert_int_equal(store_count("SELECT count(*) FROM who"), 3);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_who, fresh_store),
	};

	return cmocka_run_group_tests_name("store_who", tests, NULL, NULL);
}
