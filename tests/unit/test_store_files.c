// SPDX-License-Identifier: GPL-2.0-or-later
/* Files that are damaged, locked, of others, or on a full disk. */
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_store.h"

static void test_damage(void **state)
{
	static const struct {
		const char *sql, *word;
	} cases[] = {
		{ "UPDATE fingerprint SET frame = X'00'", "frame 0" },
		{ "UPDATE fingerprint SET frame = substr(frame, 1, length(frame) - 1)"
		  " WHERE seq = 1",
		  "frame 1" },
		{ "UPDATE fingerprint SET frame = X''", "frame 0" },
		{ "DELETE FROM fingerprint WHERE seq = 1", "frame 2" },
		{ "DELETE FROM fingerprint WHERE seq = 0", "frame 1" },
		{ "DELETE FROM fingerprint WHERE seq = 2", "do not give the fingerprint" },
		{ "DELETE FROM fingerprint", "do not give the fingerprint" },
		{ "UPDATE vm SET hash = zeroblob(16)", "do not give the fingerprint" },
		{ "UPDATE vm SET hash = X'00'", "wrong length" },
		{ "UPDATE vm SET zero_digest = 5", "wrong length" },
		{ "UPDATE vm SET boot = zeroblob(17)", "wrong length" },
		{ "UPDATE vm SET algorithm = 77", "hash algorithm 77" },
		{ "UPDATE vm SET bits = 65", "65-bit" },
		{ "UPDATE vm SET bits = 48, zero_digest = zeroblob(8)", "frame 0" },
		{ "UPDATE vm SET page_bytes = -1", "page size" },
		{ "UPDATE vm SET domain = 'a b'", "printable" },
	};
	struct mb_err err = { 0 };
	struct mb_store *s;
	struct loaded l;
	struct mb_vm vm;

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(cases); i++) {
		fresh_store(NULL);
		s = open_store();
		store_one(s, &vm);
		commit_delta(s, &vm, 120, 50);
		commit_delta(s, &vm, 130, 50);
		mb_vm_deinit(&vm);
		store_sql(cases[i].sql);
		load_store(s, &l);
		assert_int_equal(l.n, 1);
		if (!strstr(l.damage[0], cases[i].word))
			fail_msg("%s: %s", cases[i].sql, l.damage[0]);
		assert_int_equal(l.vms[0].epoch, 0);
		assert_null(l.vms[0].fp);
		assert_string_equal(l.vms[0].name, "web1");
		/* The agent sends a snapshot, and all is well. */
		vm = l.vms[0];
		make_identity("d", 1, &vm.identity);
		vm.epoch = 9;
		store_vm(s, &vm);
		load_store(s, &l);
		assert_string_equal(l.damage[0], "");
		assert_int_equal(l.vms[0].epoch, 9);
		unload_store(&l);
		mb_store_close(s);
	}
	/* One damaged VM does not take the others with it. */
	fresh_store(NULL);
	s = open_store();
	store_one(s, &vm);
	store_sql("UPDATE vm SET hash = X'00'");
	strcpy(vm.name, "web2");
	vm.id = 0;
	store_vm(s, &vm);
	load_store(s, &l);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.vms[0].epoch, 0);
	assert_int_equal(l.vms[1].epoch, 3);
	unload_store(&l);
	/* The callback has had enough. */
	l.result = -ECANCELED;
	assert_fails(mb_store_load(s, on_loaded_vm, &l, &err), ECANCELED, &err, "enough");
	assert_int_equal(l.n, 1);
	unload_store(&l);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

static void test_lock(void **state)
{
	struct mb_err err = { 0 };
	int fd, again;

	(void)state;
	assert_ok(mb_store_lock(store_path, &fd, &err), &err);
	assert_fails(mb_store_lock(store_path, &again, &err), EBUSY, &err, "another server");
	close(fd);
	assert_ok(mb_store_lock(store_path, &fd, &err), &err);
	close(fd);
	assert_fails(mb_store_lock("/nonexistent/x.db", &fd, &err), ENOENT, &err, "/nonexistent");
}

static void test_other_files(void **state)
{
	struct mb_store *s = NULL;
	struct mb_err err = { 0 };
	char folder[128];
	FILE *f;

	(void)state;
	mb_store_close(open_store());
	store_sql("PRAGMA user_version = -1");
	assert_fails(mb_store_open(store_path, &s, &err), EPROTONOSUPPORT, &err, "schema -1");
	store_sql("PRAGMA user_version = 99");
	assert_fails(mb_store_open(store_path, &s, &err), EPROTONOSUPPORT, &err, "schema 99");
	assert_null(s);
	assert_int_equal(store_count("PRAGMA user_version"), 99);
	/* No database at all. */
	fresh_store(NULL);
	f = fopen(store_path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		fputs("not a database, ", f);
	fclose(f);
	assert_fails(mb_store_open(store_path, &s, &err), EUCLEAN, &err, "damaged");
	/* A folder that takes no files, whoever asks. */
	assert_fails(mb_store_open("/proc/self/x.db", &s, &err), EIO, &err, "/proc/self/x.db");
	assert_fails(mb_store_open("/nonexistent/x.db", &s, &err), EIO, &err, "/nonexistent");
	scratch_path("folder", folder);
	assert_int_equal(mkdir(folder, 0700), 0);
	assert_fails(mb_store_open(folder, &s, &err), EIO, &err, folder);
	assert_null(s);
}

/* Ours alone, gone with us; false where that is not permitted. */
static bool mount_small_disk(const char *at)
{
	if (mkdir(at, 0700) == 0 && unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	    mount("none", at, "tmpfs", 0, "size=1m") == 0)
		return true;
	print_message("skipped: no small disk can be mounted here: %s\n", strerror(errno));
	return false;
}

static void test_disk_full(void **state)
{
	char disk[128];
	struct mb_err err = { 0 };
	struct mb_store *s;
	struct loaded l;
	struct mb_vm vm;
	uint64_t epoch = 3;
	int r = 0;

	(void)state;
	scratch_path("disk", disk);
	if (!mount_small_disk(disk))
		return;
	scratch_path("disk/x.db", store_path);
	s = open_store();
	store_one(s, &vm);
	while (r == 0) {
		assert_true(epoch < 500);
		r = mb_store_begin(s, &err);
		if (r == 0)
			r = put_delta(s, &vm, epoch << 20, 12000, &err);
		if (r == 0)
			r = mb_store_commit(s, &err);
		else
			mb_store_rollback(s);
		epoch += r == 0;
	}
	assert_true(epoch > 3);
	assert_fails(r, ENOSPC, &err, "full");
	mb_vm_deinit(&vm);
	/* What was acked is there, and nothing else. */
	load_store(s, &l);
	assert_string_equal(l.damage[0], "");
	assert_int_equal(l.vms[0].epoch, epoch);
	unload_store(&l);
	mb_store_close(s);
	/* The same when it cannot be written at all. */
	assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_fails(mb_store_open(store_path, &s, &err), EROFS, &err, store_path);
	assert_int_equal(umount(disk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_damage),
		cmocka_unit_test_setup(test_lock, fresh_store),
		cmocka_unit_test_setup(test_other_files, fresh_store),
		cmocka_unit_test(test_disk_full),
	};

	return cmocka_run_group_tests_name("store_files", tests, NULL, NULL);
}
