// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_copy.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_server.h"

static char path[128], copy[128];
static struct mb_fingerprint fp;
static struct mb_err err;
static int n_told;

static int fresh(void **state)
{
	static int n;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n);
	scratch_path(name, path);
	snprintf(name, sizeof(name), "%d.backup", n++);
	scratch_path(name, copy);
	make_fingerprint_of(100, 77, 5000, &fp);
	n_told = 0;
	return 0;
}

static int done(void **state)
{
	(void)state;
	mb_fingerprint_deinit(&fp);
	return 0;
}

static void put(struct mb_store *s, const char *name, uint64_t epoch)
{
	struct mb_vm vm;

	make_vm(name, epoch, &fp, &vm);
	store_vm(s, &vm);
	mb_vm_deinit(&vm);
}

static struct mb_store *open_store(const char *at)
{
	struct mb_store *s;

	assert_ok(mb_store_open(at, &s, &err), &err);
	return s;
}

static int on_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *e)
{
	char *names = ctx;

	(void)e;
	assert_null(damage);
	assert_fingerprint_equal(mb_fpref_fingerprint(vm->fp), &fp);
	strcat(names, vm->name);
	mb_vm_deinit(vm);
	return 0;
}

static void holds(const char *at, const char *expected)
{
	struct mb_store *s = open_store(at);
	char names[100] = "";

	assert_ok(mb_store_load(s, on_vm, names, &err), &err);
	assert_string_equal(names, expected);
	mb_store_close(s);
}

static bool is_there(const char *at, const char *suffix)
{
	char name[160];

	snprintf(name, sizeof(name), "%s%s", at, suffix);
	return access(name, F_OK) == 0;
}

static void touch(const char *at, const char *suffix, const char *text)
{
	char name[160];
	FILE *f;

	snprintf(name, sizeof(name), "%s%s", at, suffix);
	f = fopen(name, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* As it was at one moment, with a server in the midst of the next commit. */
static void test_backup(void **state)
{
	struct mb_store *s = open_store(path);
	struct mb_epoch_record rec = { .snapshot = true, .frame = { (const uint8_t *)"x", 1 } };
	struct mb_vm vm;
	struct stat st;

	(void)state;
	put(s, "a", 1);
	assert_ok(mb_store_begin(s, &err), &err);
	make_vm("b", 1, &fp, &vm);
	assert_ok(mb_store_put_epoch(s, &vm, &rec, &err), &err);
	touch(copy, ".part", "what a backup left that was killed");
	assert_ok(mb_store_backup(path, copy, &err), &err);
	mb_store_rollback(s);
	mb_vm_deinit(&vm);
	put(s, "c", 1);
	/* One file, for nobody else's eyes. */
	assert_false(is_there(copy, "-wal") || is_there(copy, "-shm") || is_there(copy, ".part"));
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	/* Never over another one. */
	assert_fails(mb_store_backup(path, copy, &err), EEXIST, &err, "there is such a file");
	holds(copy, "a");
	holds(path, "ac");
	mb_store_close(s);
}

static void test_backup_fails(void **state)
{
	sqlite3 *db;

	(void)state;
	assert_fails(mb_store_backup(path, copy, &err), EIO, &err, path);
	assert_false(is_there(path, ""));
	mb_store_close(open_store(path));
	assert_fails(mb_store_backup(path, "/nonexistent/x", &err), ENOENT, &err, "/nonexistent/x");
	/* Another program's database, and none at all. */
	assert_int_equal(sqlite3_open(copy, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (i)", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_fails(mb_store_restore(path, copy, &err), EEXIST, &err, "another program");
	touch(copy, "", "");
	assert_fails(mb_store_restore(path, copy, &err), ENOENT, &err, "empty");
	touch(copy, "", "not a database, however long it may be, and however much one looks at it");
	assert_fails(mb_store_restore(path, copy, &err), EUCLEAN, &err, "damaged");
	assert_false(is_there(path, ".restored"));
	assert_false(is_there(path, ".before-restore"));
	holds(path, "");
}

/* A server died with a log beside its database: neither is lost, nor mixed with the backup. */
static void test_restore(void **state)
{
	struct mb_store *s = open_store(path);
	char old[160], log[170];

	(void)state;
	put(s, "a", 1);
	assert_ok(mb_store_backup(path, copy, &err), &err);
	put(s, "b", 1);
	/* As after kill -9: the log is there. */
	assert_true(is_there(path, "-wal"));
	assert_ok(mb_store_restore(path, copy, &err), &err);
	mb_store_close(s);
	snprintf(old, sizeof(old), "%s.before-restore", path);
	holds(path, "a");
	holds(old, "ab");
	/* The backup is still there, and good for another time; what was kept is not overwritten.
	 */
	assert_fails(mb_store_restore(path, copy, &err), EEXIST, &err, "before-restore");
	holds(path, "a");
	unlink(old);
	snprintf(log, sizeof(log), "%s-wal", old);
	unlink(log);
	assert_ok(mb_store_restore(path, copy, &err), &err);
	holds(path, "a");
	/* Nothing was there: a new disk. */
	unlink(path);
	unlink(old);
	assert_ok(mb_store_restore(path, copy, &err), &err);
	holds(path, "a");
	assert_false(is_there(path, ".before-restore"));
}

static void on_told(void *ctx, const char *text)
{
	(void)ctx;
	assert_true(strlen(text) > 3);
	n_told++;
}

/* Overwrites the page that begins with these bytes somewhere in it. */
static void spoil(const char *at, const char *word)
{
	uint8_t page[4096];
	size_t len = strlen(word);
	FILE *f = fopen(at, "r+");
	int spoiled = 0;

	assert_non_null(f);
	for (long n = 0; fseek(f, n * 4096, SEEK_SET) == 0 && fread(page, 4096, 1, f) == 1; n++) {
		if (n == 0 || !memmem(page, sizeof(page), word, len))
			continue;
		memset(page, 0x5a, sizeof(page));
		fseek(f, n * 4096, SEEK_SET);
		fwrite(page, sizeof(page), 1, f);
		spoiled++;
	}
	fclose(f);
	assert_true(spoiled);
}

static void test_check(void **state)
{
	struct mb_store *s = open_store(path);
	struct mb_sharing_record row = { .partner = "a-partner", .vm_id = 1 };
	sqlite3 *db;

	(void)state;
	put(s, "a", 1);
	put(s, "b", 1);
	assert_ok(mb_store_put_sharing(s, &row, 1, 5, &err), &err);
	/* While a server is on it. */
	assert_ok(mb_store_check(path, on_told, NULL, &err), &err);
	mb_store_close(s);
	assert_int_equal(n_told, 0);
	/* A fingerprint that is not what was acked. */
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "UPDATE vm SET hash = zeroblob(16) WHERE name = 'b'",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	sqlite3_close(db);
	assert_fails(mb_store_check(path, on_told, NULL, &err), EUCLEAN, &err, "VM b");
	assert_int_equal(n_told, 1);
	/* A page of history, which no start reads. */
	spoil(path, "a-partner");
	assert_fails(mb_store_check(path, on_told, NULL, &err), EUCLEAN, &err, "damaged");
	assert_fails(mb_store_backup(path, copy, &err), EUCLEAN, &err, "damaged");
	assert_false(is_there(copy, "") || is_there(copy, ".part"));
	assert_fails(mb_store_check("/nonexistent", on_told, NULL, &err), EIO, &err,
		     "/nonexistent");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_backup, fresh, done),
		cmocka_unit_test_setup_teardown(test_backup_fails, fresh, done),
		cmocka_unit_test_setup_teardown(test_restore, fresh, done),
		cmocka_unit_test_setup_teardown(test_check, fresh, done),
	};

	return cmocka_run_group_tests_name("store_copy", tests, NULL, NULL);
}
