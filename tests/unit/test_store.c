// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_store.h"

#include <math.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "server/schema.sql.h"
#include "tests/unit/util_wire.h"

static void test_round_trip(void **state)
{
	struct mb_store *s = open_store();
	struct mb_fingerprint fp;
	struct mb_vm vm, other;
	struct loaded l;
	struct stat st;

	(void)state;
	load_store(s, &l);
	assert_int_equal(l.n, 0);
	store_one(s, &vm);
	assert_true(vm.id > 0);
	/* Nothing in it, everything odd. */
	make_fingerprint_of(0, 0, 0, &fp);
	make_vm("a-first", 1ull << 62, &fp, &other);
	mb_fingerprint_deinit(&fp);
	other.identity.zero_digest = UINT64_MAX;
	other.memory_bytes = INT64_MAX;
	store_vm(s, &other);
	commit_delta(s, &vm, 120, 50);
	commit_delta(s, &vm, 0, 7);
	mb_store_close(s);

	s = open_store();
	load_store(s, &l);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.vms[0].name, "a-first");
	assert_int_equal(l.vms[0].epoch, 1ull << 62);
	assert_int_equal(l.vms[0].identity.zero_digest, UINT64_MAX);
	assert_int_equal(l.vms[0].memory_bytes, INT64_MAX);
	assert_int_equal(l.vms[0].sharing.pages, 0);
	assert_string_equal(l.vms[1].name, "web1");
	for (int i = 0; i < 2; i++)
		assert_string_equal(l.damage[i], "");
	assert_int_equal(l.vms[1].id, vm.id);
	assert_string_equal(l.vms[1].host, "host1");
	assert_string_equal(l.vms[1].source, vm.source);
	assert_string_equal(l.vms[1].tracker, "none");
	assert_int_equal(l.vms[1].epoch, 5);
	assert_memory_equal(&l.vms[1].boot, &vm.boot, sizeof(vm.boot));
	assert_int_equal(mb_identity_compare(&l.vms[1].identity, &vm.identity, NULL), 0);
	assert_int_equal(l.vms[1].pass.taken_unix_ns, vm.pass.taken_unix_ns);
	assert_int_equal(l.vms[1].pass.duration_ns, vm.pass.duration_ns);
	assert_int_equal(l.vms[1].pass.epochs, 2);
	assert_true(l.vms[1].pass.full);
	assert_int_equal(l.vms[1].acked_unix_ns, vm.acked_unix_ns);
	assert_int_equal(l.vms[1].wire_bytes, vm.wire_bytes);
	assert_int_equal(l.vms[1].snapshot_bytes, vm.snapshot_bytes);
	assert_int_equal(l.vms[1].log_bytes, vm.log_bytes);
	assert_int_equal(l.vms[1].log_seq, 2);
	assert_int_equal(l.vms[1].sharing.pages, 7);
	assert_int_equal(l.vms[1].session, 0);
	assert_fingerprint_equal(mb_fpref_fingerprint(l.vms[1].fp), mb_fpref_fingerprint(vm.fp));
	unload_store(&l);
	/* Digests are nobody else's business. */
	assert_int_equal(stat(store_path, &st), 0);
	assert_int_equal(st.st_mode & 077, 0);
	mb_store_close(s);
	mb_store_close(NULL);
	mb_vm_deinit(&vm);
	mb_vm_deinit(&other);
}

static void test_snapshot_replaces_the_log(void **state)
{
	struct mb_store *s = open_store();
	struct mb_err err = { 0 };
	struct mb_buf frame = { 0 };
	struct loaded l;
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	commit_delta(s, &vm, 120, 50);
	commit_delta(s, &vm, 130, 50);
	assert_int_equal(store_count("SELECT count(*) FROM fingerprint"), 3);
	make_frame(NULL, 0, mb_fpref_fingerprint(vm.fp), vm.epoch, 64, &frame);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_snapshot(s, &vm, mb_buf_slice(&frame), &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	assert_int_equal(store_count("SELECT count(*) FROM fingerprint"), 1);
	assert_int_equal(store_count("SELECT count(*) FROM history"), 3);
	assert_int_equal(vm.log_bytes, 0);
	assert_int_equal(vm.log_seq, 0);
	assert_int_equal(vm.snapshot_bytes, frame.len);
	/* And it goes on from there. */
	commit_delta(s, &vm, 140, 50);
	load_store(s, &l);
	assert_string_equal(l.damage[0], "");
	assert_int_equal(l.vms[0].epoch, 6);
	assert_fingerprint_equal(mb_fpref_fingerprint(l.vms[0].fp), mb_fpref_fingerprint(vm.fp));
	unload_store(&l);
	mb_buf_deinit(&frame);
	mb_store_close(s);
	mb_vm_deinit(&vm);
}

static void test_rollback(void **state)
{
	struct mb_store *s = open_store(), *reader = open_store();
	struct mb_err err = { 0 };
	struct loaded l;
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(put_delta(s, &vm, 1, 3, &err), &err);
	/* Nobody sees it yet. */
	load_store(reader, &l);
	assert_int_equal(l.vms[0].epoch, 3);
	unload_store(&l);
	mb_store_rollback(s);
	mb_store_rollback(s);
	load_store(s, &l);
	assert_int_equal(l.vms[0].epoch, 3);
	assert_int_equal(l.vms[0].sharing.pages, 50);
	unload_store(&l);
	assert_int_equal(store_count("SELECT count(*) FROM history"), 1);
	/* Outside a transaction there is nothing to commit. */
	assert_true(mb_store_commit(s, &err) < 0);
	/* Two at once are a bug of the caller's that is found, and harms nothing. */
	assert_ok(mb_store_begin(s, &err), &err);
	assert_fails(mb_store_begin(s, &err), EIO, &err, "transaction");
	mb_store_rollback(s);
	/* Left open: undone. */
	assert_ok(mb_store_begin(s, &err), &err);
	mb_vm_deinit(&vm);
	load_store(s, &l);
	vm = l.vms[0];
	assert_ok(put_delta(s, &vm, 1, 3, &err), &err);
	mb_store_close(s);
	load_store(reader, &l);
	assert_int_equal(l.vms[0].epoch, 3);
	unload_store(&l);
	mb_store_close(reader);
	mb_vm_deinit(&vm);
}

static void test_constraints(void **state)
{
	struct mb_store *s = open_store();
	struct mb_err err = { 0 };
	struct mb_vm vm, twin;
	struct mb_fingerprint fp;
	struct mb_epoch_record rec = { .snapshot = true };
	struct mb_buf frame = { 0 };

	(void)state;
	store_one(s, &vm);
	/* A second VM of the name. */
	make_fingerprint_of(1, 1, 1, &fp);
	make_vm("web1", 1, &fp, &twin);
	make_frame(NULL, 0, &fp, 1, 64, &frame);
	rec.frame = mb_buf_slice(&frame);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_fails(mb_store_put_epoch(s, &twin, &rec, &err), EIO, &err, store_path);
	assert_int_equal(twin.id, 0);
	mb_store_rollback(s);
	mb_fingerprint_deinit(&fp);
	mb_buf_deinit(&frame);
	mb_vm_deinit(&twin);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

static void test_history(void **state)
{
	struct mb_store *s = open_store();
	struct mb_sharing_record rec[2];
	struct mb_err err = { 0 };
	struct rows h;
	struct mb_vm vm;

	(void)state;
	assert_fails(mb_store_history(s, "web1", 9, on_history_row, &h, &err), ENOENT, &err,
		     "web1");
	store_one(s, &vm);
	rec[0] = (struct mb_sharing_record){
		.vm_id = vm.id, .epoch = 3, .acked_unix_ns = vm.acked_unix_ns, .inter = 17
	};
	commit_delta(s, &vm, 120, 50);
	commit_delta(s, &vm, 130, 60);
	rec[1] = (struct mb_sharing_record){ .vm_id = vm.id,
					     .epoch = 5,
					     .acked_unix_ns = vm.acked_unix_ns,
					     .partner = "web2",
					     .partner_inter = 4,
					     .host = "h1",
					     .here = 3,
					     .here_error = 6 };
	get_history(s, 9, &h);
	assert_int_equal(h.n, 3);
	for (uint64_t i = 0; i < 3; i++) {
		assert_int_equal(h.rows[i].epoch, 3 + i);
		assert_false(h.rows[i].has_inter);
		assert_int_equal(h.rows[i].changed, 7);
		assert_int_equal(h.rows[i].unread, 3);
		assert_int_equal(h.rows[i].epochs, 2);
		assert_true(h.rows[i].full);
		assert_true(h.rows[i].wire_bytes > 16);
	}
	assert_int_equal(h.rows[0].added, 50);
	assert_int_equal(h.rows[0].removed, 0);
	assert_int_equal(h.rows[1].added, 11);
	assert_int_equal(h.rows[1].removed, 12);
	assert_int_equal(h.rows[2].sharing.pages, 60);
	/* The matrix was asked for at epoch 3 and 5; at 5 twice: the newer counts. 0 is an answer.
	 */
	assert_ok(mb_store_put_sharing(s, rec, 2, 1, &err), &err);
	rec[1].inter = 8;
	rec[1].error = 3;
	rec[1].partner_error = 2;
	assert_ok(mb_store_put_sharing(s, rec + 1, 1, 2, &err), &err);
	rec[1].acked_unix_ns = 1;
	rec[1].inter = 99;
	assert_ok(mb_store_put_sharing(s, rec + 1, 1, 3, &err), &err);
	assert_ok(mb_store_put_sharing(s, NULL, 0, 3, &err), &err);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 3);
	assert_true(h.rows[0].has_inter && !h.rows[1].has_inter && h.rows[2].has_inter);
	assert_int_equal(h.rows[0].inter, 17);
	assert_int_equal(h.rows[2].inter, 8);
	assert_int_equal(h.rows[0].inter_error, 0);
	assert_int_equal(h.rows[2].inter_error, 3);
	assert_int_equal(store_count("SELECT sum(partner_error) FROM sharing WHERE error = 3"), 4);
	assert_int_equal(store_count("SELECT sum(here_error) FROM sharing WHERE host = 'h1'"), 18);
	/* The newest ones, oldest first. */
	get_history(s, 2, &h);
	assert_int_equal(h.n, 2);
	assert_int_equal(h.rows[0].epoch, 4);
	get_history(s, 0, &h);
	assert_int_equal(h.n, 0);
	h.result = -ECANCELED;
	assert_int_equal(mb_store_history(s, "web1", 9, on_history_row, &h, &err), -ECANCELED);
	assert_int_equal(h.n, 1);
	/* A VM that is not there: no row of the lot is kept. */
	rec[1].vm_id = 4711;
	rec[0].acked_unix_ns = rec[0].inter = 1;
	assert_fails(mb_store_put_sharing(s, rec, 2, 4, &err), EIO, &err, "FOREIGN KEY");
	assert_int_equal(store_count("SELECT count(*) FROM sharing"), 4);
	assert_ok(mb_store_begin(s, &err), &err);
	mb_store_rollback(s);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

/* What a person asks for, and what the API does. */
static void test_audits(void **state)
{
	static const struct mb_audit audit = {
		.audits = 2,
		.doubted = 1,
		.follows = 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE | 1 << MB_CLASS_BUFFER,
		.changed = { [MB_CLASS_ANON] = 60, [MB_CLASS_FILE] = 20, [MB_CLASS_SLAB] = 20 },
		.stale = { [MB_CLASS_FILE] = 4, [MB_CLASS_SLAB] = 16 },
		.flagged = 100,
		.flagged_changed = 75,
	};
	static const struct mb_audit idle = { .audits = 1, .follows = 1 << MB_CLASS_ANON };
	struct mb_store *s = open_store();
	struct mb_err err = { 0 };
	struct rows h;
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	vm.pass.audit = audit;
	vm.pass.pages_read = 44;
	commit_delta(s, &vm, 120, 50);
	vm.pass.audit = idle;
	commit_delta(s, &vm, 130, 50);
	vm.pass.audit = (struct mb_audit){ 0 };
	vm.pass.full = false;
	commit_delta(s, &vm, 140, 50);

	get_history(s, 9, &h);
	assert_int_equal(h.n, 4);
	assert_true(h.rows[1].has_read && h.rows[1].read == 44);
	assert_audit_equal(&h.rows[1].audit, &audit);
	assert_true(h.rows[1].recall == .95 && h.rows[1].recall_all == .8);
	assert_true(h.rows[1].precision == .75);
	/* Nothing changed, nothing was flagged: no reason for praise. */
	assert_audit_equal(&h.rows[2].audit, &idle);
	assert_true(isnan(h.rows[2].recall) && isnan(h.rows[2].recall_all));
	assert_true(isnan(h.rows[2].precision));
	assert_int_equal(h.rows[3].audit.audits, 0);
	assert_true(isnan(h.rows[3].recall) && !h.rows[3].full);

	assert_int_equal(store_count("SELECT avg(recall) * 100 FROM history"), 95);
	assert_int_equal(
		store_count("SELECT count(*) FROM history WHERE stale = 20 AND audits = 2"), 1);
	assert_int_equal(store_count("SELECT sum(doubted) FROM history WHERE audits = 2"), 1);
	assert_int_equal(store_count("SELECT sum(audits IS NULL OR doubted IS NULL) FROM history"),
			 0);
	assert_int_equal(store_count("SELECT sum(stale IS NULL AND flagged IS NULL) FROM history"),
			 2);
	assert_int_equal(store_count("SELECT stale FROM audit WHERE class = 'slab'"), 16);
	assert_int_equal(store_count("SELECT sum(is_followed) FROM audit"), 4);
	assert_int_equal(store_count("SELECT count(*) FROM audit"), 5);
	/* A class that is of later, or nonsense, is shown as none that we know. */
	store_sql("UPDATE audit SET class = 'cxl' WHERE class = 'slab';"
		  "UPDATE audit SET class = X'ff' WHERE class = 'file'");
	get_history(s, 9, &h);
	assert_int_equal(h.rows[1].audit.stale[MB_CLASS_UNKNOWN], 20);
	/* They go when their epoch goes. */
	assert_ok(mb_store_forget(s, vm.acked_unix_ns - 1, &err), &err);
	assert_int_equal(store_count("SELECT count(*) FROM audit"), 1);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 2);
	assert_audit_equal(&h.rows[0].audit, &idle);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

/* What versions 8 and 9 brought. */
#define LACKS_SAMPLES                                                                              \
	"ALTER TABLE vm DROP COLUMN writer;"                                                       \
	"ALTER TABLE vm DROP COLUMN sample; ALTER TABLE vm DROP COLUMN cut_bits;"

/* What version 10 took away. */
#define HAS_NO_ROWID                                                                               \
	"CREATE TABLE was (vm INTEGER NOT NULL REFERENCES vm(id), seq INTEGER NOT NULL,"           \
	" epoch INTEGER NOT NULL, frame BLOB NOT NULL, PRIMARY KEY (vm, seq)) WITHOUT ROWID;"      \
	"INSERT INTO was SELECT * FROM fingerprint; DROP TABLE fingerprint;"                       \
	"ALTER TABLE was RENAME TO fingerprint;"

static bool has_rowid(void)
{
	return store_count("SELECT count(*) FROM sqlite_master WHERE name = 'fingerprint'"
			   " AND sql NOT LIKE '%WITHOUT ROWID%'") == 1;
}

/* A database as version 1 made it: opened, brought up to now, and nothing of it is lost. */
static void test_upgrade(void **state)
{
	struct mb_store *s = open_store();
	struct mb_err err = { 0 };
	struct loaded l;
	struct rows h;
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	commit_delta(s, &vm, 120, 50);
	mb_store_close(s);
	store_sql(
		HAS_NO_ROWID LACKS_SAMPLES
		"ALTER TABLE history DROP COLUMN read; ALTER TABLE history DROP COLUMN audits;"
		"ALTER TABLE history DROP COLUMN recall; ALTER TABLE history DROP COLUMN "
		"recall_all;"
		"ALTER TABLE history DROP COLUMN precision; ALTER TABLE history DROP COLUMN stale;"
		"ALTER TABLE history DROP COLUMN flagged; ALTER TABLE history DROP COLUMN doubted;"
		"ALTER TABLE history DROP COLUMN flagged_changed;"
		"DROP TABLE audit; DROP TABLE who; DROP VIEW execution_move; DROP TABLE execution;"
		"DROP TABLE key_rotation;"
		"ALTER TABLE sharing DROP COLUMN host; ALTER TABLE sharing DROP COLUMN here;"
		"ALTER TABLE sharing DROP COLUMN here_error;"
		"ALTER TABLE sharing DROP COLUMN error; ALTER TABLE sharing DROP COLUMN "
		"partner_error;"
		"DROP TABLE execution_wish; PRAGMA user_version = 1");

	assert_false(has_rowid());

	/* A step that fails leaves it as it was. */
	store_sql("CREATE TABLE audit (of INTEGER)");
	assert_fails(mb_store_open(store_path, &s, &err), EIO, &err, "audit already exists");
	assert_int_equal(store_count("PRAGMA user_version"), 1);
	store_sql("DROP TABLE audit");
	assert_int_equal(store_count("SELECT count(*) FROM pragma_table_info('history')"), 19);

	s = open_store();
	assert_int_equal(store_count("PRAGMA user_version"), MB_SCHEMA_VERSION);
	assert_true(has_rowid());
	assert_int_equal(store_count("SELECT count(*) FROM fingerprint"), 2);
	load_store(s, &l);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.damage[0], "");
	assert_int_equal(l.vms[0].epoch, 4);
	unload_store(&l);
	vm.pass.pages_read = 0;
	vm.pass.audit = (struct mb_audit){ .audits = 1, .changed = { 1 } };
	commit_delta(s, &vm, 130, 50);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 3);
	assert_int_equal(h.rows[0].epoch, 3);
	assert_int_equal(h.rows[0].added, 50);
	assert_false(h.rows[1].has_read);
	assert_int_equal(h.rows[1].audit.audits, 0);
	assert_int_equal(h.rows[1].audit.doubted, 0);
	assert_true(h.rows[2].has_read);
	assert_audit_equal(&h.rows[2].audit, &vm.pass.audit);
	mb_store_close(s);
	/* And so it stays. */
	mb_store_close(open_store());
	assert_int_equal(store_count("SELECT count(*) FROM history"), 3);
	mb_vm_deinit(&vm);
}

/* From version 2, which knew of audits. */
static void test_upgrade_for_who(void **state)
{
	static const struct mb_who_row sh = { "sh", "/", { [MB_WHO_EXEC] = 100 } };
	struct mb_store *s = open_store();
	struct mb_who who = { 0 };
	struct who_rows w;
	struct rows h;
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	vm.pass.audit = (struct mb_audit){ .audits = 1, .changed = { 1 } };
	commit_delta(s, &vm, 120, 50);
	mb_store_close(s);
	store_sql(HAS_NO_ROWID LACKS_SAMPLES
		  "DROP TABLE key_rotation; DROP TABLE who; DROP TABLE execution_wish;"
		  "ALTER TABLE sharing DROP COLUMN host; ALTER TABLE sharing DROP COLUMN here;"
		"ALTER TABLE sharing DROP COLUMN here_error;"
		  "ALTER TABLE sharing DROP COLUMN error; ALTER TABLE sharing DROP COLUMN "
		  "partner_error;"
		  "PRAGMA user_version = 3");
	s = open_store();
	assert_int_equal(store_count("PRAGMA user_version"), MB_SCHEMA_VERSION);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 2);
	assert_audit_equal(&h.rows[1].audit, &vm.pass.audit);
	get_who(s, 9, &w);
	assert_int_equal(w.n + w.counted, 0);
	mb_who_put(&who, &sh);
	commit_who(s, &vm, 121, &who);
	get_who(s, 9, &w);
	assert_int_equal(w.counted, 1);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_trip, fresh_store),
		cmocka_unit_test_setup(test_snapshot_replaces_the_log, fresh_store),
		cmocka_unit_test_setup(test_rollback, fresh_store),
		cmocka_unit_test_setup(test_constraints, fresh_store),
		cmocka_unit_test_setup(test_history, fresh_store),
		cmocka_unit_test_setup(test_audits, fresh_store),
		cmocka_unit_test_setup(test_upgrade, fresh_store),
		cmocka_unit_test_setup(test_upgrade_for_who, fresh_store),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
