// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The store on a disk that fails at any one operation: whatever it was, what was acked before is
 * there afterwards, the failure is reported, and it goes on when the disk does.
 */
#include "proto/base/cleanup.h"
#include "server/store_sql.h"
#include "tests/unit/util_server.h"
#include "tests/unit/util_vfs.h"

/* Epochs, some of them snapshots; a log of so many pages is put into the database. */
enum { EPOCHS = 4, CHECKPOINT_PAGES = 24 };

static char path[128];
static struct mb_err err;

static struct world {
	struct mb_store *store; /* NULL: could not be opened */
	struct mb_vm vm;	/* as acked; its epoch 0: never */
	uint64_t tried;		/* the epoch that was put last */
	struct mb_fingerprint fps[EPOCHS + 1];
} w;

static int set_up(void **state)
{
	(void)state;
	for (uint64_t i = 0; i <= EPOCHS; i++)
		make_fingerprint_of(i << 20, 0x123456789ab + i, i ? 300 : 0, &w.fps[i]);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (int i = 0; i <= EPOCHS; i++)
		mb_fingerprint_deinit(&w.fps[i]);
	return 0;
}

static void begin(void)
{
	static int n;
	char name[32];

	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	make_vm("web1", 0, &w.fps[0], &w.vm);
	w.tried = 0;
}

static void open_store(void)
{
	if (mb_store_open(path, &w.store, &err) == 0)
		mb_store_set_checkpoint(w.store, CHECKPOINT_PAGES);
	else
		w.store = NULL;
}

static void close_store(void)
{
	mb_store_close(w.store);
	w.store = NULL;
}

/* As ingest does. */
static int put(uint64_t epoch)
{
	struct mb_epoch_record rec = { .snapshot = epoch % 3 == 1, .added = 1 };
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	const struct mb_fingerprint *base = rec.snapshot ? NULL : &w.fps[epoch - 1];
	struct mb_vm vm = w.vm;
	int r;

	make_frame(base, base ? epoch - 1 : 0, &w.fps[epoch], epoch, 64, &frame);
	rec.frame = mb_buf_slice(&frame);
	make_vm("web1", epoch, &w.fps[epoch], &vm);
	vm.id = w.vm.id;
	vm.snapshot_bytes = w.vm.snapshot_bytes;
	vm.log_bytes = w.vm.log_bytes;
	vm.log_seq = w.vm.log_seq;
	w.tried = epoch;
	r = mb_store_begin(w.store, &err);
	if (r == 0)
		r = mb_store_put_epoch(w.store, &vm, &rec, &err);
	if (r == 0)
		r = mb_store_commit(w.store, &err);
	else
		mb_store_rollback(w.store);
	if (r < 0) {
		mb_vm_deinit(&vm);
		return r;
	}
	mb_vm_deinit(&w.vm);
	w.vm = vm;
	return 0;
}

static int on_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *e)
{
	struct mb_vm *to = ctx;

	(void)e;
	if (damage)
		fail_msg("%s", damage);
	assert_int_equal(to->epoch, 0);
	*to = *vm;
	return 0;
}

/* What is held is what was acked, or what was tried after that, whole. */
static void check(struct mb_store *s)
{
	mb_cleanup(mb_vm_deinit) struct mb_vm vm = { 0 };

	assert_ok(mb_store_load(s, on_vm, &vm, &err), &err);
	if (vm.epoch != w.vm.epoch && vm.epoch != w.tried)
		fail_msg("epoch %d is held, %d was acked, %d was tried", (int)vm.epoch,
			 (int)w.vm.epoch, (int)w.tried);
	assert_fingerprint_equal(mb_fpref_fingerprint(vm.fp), &w.fps[vm.epoch]);
}

/* By a new process, on a disk that is well. */
static void check_from_outside(void)
{
	struct mb_store *s;
	sqlite3_stmt *st;

	vfs_on(VFS_READ, UINT64_MAX);
	assert_ok(mb_store_open(path, &s, &err), &err);
	check(s);
	assert_int_equal(sqlite3_prepare_v2(s->db, "PRAGMA integrity_check", -1, &st, NULL), 0);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	assert_string_equal((const char *)sqlite3_column_text(st, 0), "ok");
	sqlite3_finalize(st);
	mb_store_close(s);
	vfs_off();
}

/* The whole life of a store; an agent tries again what was not acked. Failures are counted. */
static int live(enum vfs_fault fault)
{
	int failures = 0;

	open_store();
	if (!w.store) {
		failures++;
		vfs_mend();
		open_store();
	}
	for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
		struct mb_sharing_record row = { .inter = epoch };
		int r = w.store ? put(epoch) : -EIO;

		if (r < 0 && fault == VFS_POWER)
			return 1;
		if (r < 0) {
			failures++;
			if (fault == VFS_FULL)
				assert_int_equal(r, -ENOSPC);
			/* The process goes on with the handle that it has. */
			vfs_mend();
			check(w.store);
			assert_ok(put(epoch), &err);
		}
		row.vm_id = w.vm.id;
		row.acked_unix_ns = w.vm.acked_unix_ns;
		r = mb_store_put_sharing(w.store, &row, 1, epoch, &err);
		failures += r < 0;
		vfs_mend();
		failures += epoch == 3 && mb_store_forget(w.store, 3, &err) < 0;
		vfs_mend();
	}
	return failures;
}

/* Every so-manieth operation; MB_FAULT_STEP=1 (make faults) takes all, which takes long. */
static uint64_t step(uint64_t usual)
{
	const char *text = getenv("MB_FAULT_STEP");

	return text ? strtoull(text, NULL, 10) : usual;
}

/* For n = 1, 1 + step, ... until nothing fails any more. */
static void fail_at_each(enum vfs_fault fault, uint64_t usual_step, uint64_t least, uint64_t seed)
{
	uint64_t n, tries = 0, reported = 0;
	bool more = true;

	for (n = 1; more; n += step(usual_step), tries++) {
		begin();
		vfs_on(fault, n);
		reported += live(fault) > 0;
		close_store();
		more = vfs_failed();
		vfs_off();
		if (fault == VFS_POWER && more)
			vfs_power_up(seed ? seed + n : 0);
		check_from_outside();
		mb_vm_deinit(&w.vm);
	}
	print_message("%ju operations, %ju of them tried, %ju told\n", n, tries, reported);
	/* It was worth it; and what goes wrong in a commit is told. */
	assert_true(n > least);
	assert_true(reported > tries / 2);
}

static void test_writes(void **state)
{
	(void)state;
	fail_at_each(VFS_WRITE, 5, 100, 0);
}

static void test_disk_full(void **state)
{
	(void)state;
	fail_at_each(VFS_FULL, 6, 100, 0);
}

static void test_syncs(void **state)
{
	(void)state;
	fail_at_each(VFS_SYNC, 1, 20, 0);
}

/* Nothing of what was not synced is there. */
static void test_power_cut(void **state)
{
	(void)state;
	fail_at_each(VFS_POWER, 7, 100, 0);
}

/* Some of it is, in any order. */
static void test_power_cut_pieces(void **state)
{
	(void)state;
	fail_at_each(VFS_POWER, 8, 100, 77);
}

/* --- somebody else ---------------------------------------------------------------------------- */

/* Has it locked for longer than a commit waits; then it goes on. */
static void test_locked(void **state)
{
	sqlite3 *other;

	(void)state;
	begin();
	open_store();
	assert_ok(put(1), &err);
	sqlite3_busy_timeout(w.store->db, 20);
	assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
	assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_fails(put(2), EBUSY, &err, "locked");
	check(w.store);
	assert_int_equal(sqlite3_exec(other, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	assert_ok(put(2), &err);
	sqlite3_close(other);
	close_store();
	check_from_outside();
	mb_vm_deinit(&w.vm);
}

/* What it stands on may not be written any more; as it may again, it goes on. */
static void test_read_only(void **state)
{
	(void)state;
	begin();
	open_store();
	assert_ok(put(1), &err);
	assert_int_equal(sqlite3_exec(w.store->db, "PRAGMA query_only = 1", NULL, NULL, NULL), 0);
	assert_fails(put(2), EROFS, &err, "readonly");
	check(w.store);
	assert_int_equal(sqlite3_exec(w.store->db, "PRAGMA query_only = 0", NULL, NULL, NULL), 0);
	assert_ok(put(2), &err);
	close_store();
	check_from_outside();
	mb_vm_deinit(&w.vm);
}

/* --- a disk that keeps something else than it was given --------------------------------------- */

struct loaded {
	struct mb_vm vm;
	bool damaged;
};

static int on_any_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *e)
{
	struct loaded *to = ctx;

	(void)e;
	to->damaged = damage;
	to->vm = *vm;
	return 0;
}

/* One page of the file is another one: refused, known as damaged, or right, but never wrong. */
static void test_bad_pages(void **state)
{
	long bytes, page = 4096;
	int refused = 0, damaged = 0, well = 0;
	uint8_t *good, *bad = malloc(4096);
	FILE *f;

	(void)state;
	begin();
	vfs_on(VFS_READ, UINT64_MAX);
	assert_int_equal(live(VFS_READ), 0);
	close_store();
	f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	bytes = ftell(f);
	good = malloc((size_t)bytes);
	assert_true(good && bad && bytes > 10 * page);
	rewind(f);
	assert_int_equal(fread(good, 1, (size_t)bytes, f), bytes);
	for (long at = 0; at < bytes; at += page) {
		struct loaded l = { .damaged = false };
		struct mb_store *s = NULL;
		int r;

		for (long i = 0; i < page; i++)
			bad[i] = (uint8_t)(good[at + i] ^ mb_mix64((uint64_t)i));
		fseek(f, at, SEEK_SET);
		fwrite(bad, 1, (size_t)page, f);
		fflush(f);
		r = mb_store_open(path, &s, &err);
		if (r == 0)
			r = mb_store_load(s, on_any_vm, &l, &err);
		if (r < 0) {
			assert_fails(r, EUCLEAN, &err, "restore");
			refused++;
		} else if (l.damaged || !l.vm.epoch) {
			damaged++;
		} else {
			assert_int_equal(l.vm.epoch, EPOCHS);
			assert_fingerprint_equal(mb_fpref_fingerprint(l.vm.fp), &w.fps[EPOCHS]);
			well++;
		}
		mb_vm_deinit(&l.vm);
		mb_store_close(s);
		fseek(f, at, SEEK_SET);
		fwrite(good + at, 1, (size_t)page, f);
		fflush(f);
	}
	fclose(f);
	free(good);
	free(bad);
	vfs_off();
	print_message("%d refused, %d damaged, %d well\n", refused, damaged, well);
	assert_true(refused > 1);
	assert_true(refused + damaged > 3);
	check_from_outside();
	mb_vm_deinit(&w.vm);
}

/* All but the first page, under a store that is open. */
static void test_spoiled_while_it_runs(void **state)
{
	uint8_t bad[4096];
	FILE *f;

	(void)state;
	begin();
	vfs_on(VFS_READ, UINT64_MAX);
	assert_int_equal(live(VFS_READ), 0);
	close_store();
	open_store();
	memset(bad, 0x5a, sizeof(bad));
	f = fopen(path, "r+");
	assert_non_null(f);
	fseek(f, 0, SEEK_END);
	for (long pages = ftell(f) / 4096, i = 1; i < pages; i++) {
		fseek(f, i * 4096, SEEK_SET);
		fwrite(bad, 1, sizeof(bad), f);
	}
	fclose(f);
	assert_fails(put(2), EUCLEAN, &err, "damaged");
	assert_fails(put(2), EUCLEAN, &err, "damaged");
	close_store();
	vfs_off();
	mb_vm_deinit(&w.vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writes),
		cmocka_unit_test(test_disk_full),
		cmocka_unit_test(test_syncs),
		cmocka_unit_test(test_power_cut),
		cmocka_unit_test(test_power_cut_pieces),
		cmocka_unit_test(test_locked),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_bad_pages),
		cmocka_unit_test(test_spoiled_while_it_runs),
	};

	return cmocka_run_group_tests_name("store_faults", tests, set_up, tear_down);
}
