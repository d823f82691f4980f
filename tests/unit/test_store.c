// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/schema.sql.h"
#include "server/store.h"

#include <math.h>
#include <sched.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_server.h"
#include "tests/unit/util_wire.h"

static char path[128];

static struct mb_store *open_store(void)
{
	struct mb_store *s;
	struct mb_err err = { 0 };

	assert_ok(mb_store_open(path, &s, &err), &err);
	return s;
}

/* A database of its own for each test. */
static int fresh(void **state)
{
	static int n;
	char name[32];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	return 0;
}

/* As a person, or a bad disk, would change the file. */
static void sql(const char *text)
{
	sqlite3 *db;
	char *why = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
		fail_msg("%s: %s", text, why);
	sqlite3_close(db);
}

static uint64_t count(const char *query)
{
	sqlite3_stmt *st;
	sqlite3 *db;
	uint64_t n;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, query, -1, &st, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(st), SQLITE_ROW);
	n = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	sqlite3_close(db);
	return n;
}

struct loaded {
	struct mb_vm vms[8];
	char damage[8][300];
	uint32_t n;
	int result; /* what the callback returns */
};

static int on_vm(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err)
{
	struct loaded *l = ctx;

	assert_true(l->n < 8);
	snprintf(l->damage[l->n], sizeof(l->damage[0]), "%s", damage ? damage : "");
	l->vms[l->n++] = *vm;
	return l->result ? mb_fail(err, -l->result, "enough") : 0;
}

static void load(struct mb_store *s, struct loaded *ret)
{
	struct mb_err err = { 0 };

	*ret = (struct loaded){ 0 };
	assert_ok(mb_store_load(s, on_vm, ret, &err), &err);
}

static void unload(struct loaded *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		mb_vm_deinit(&l->vms[i]);
	l->n = 0;
}

/* Stores web1 at epoch 3 with digests 100 .. 149. */
static void store_one(struct mb_store *s, struct mb_vm *ret)
{
	struct mb_fingerprint fp;

	make_fingerprint_of(100, 1, 50, &fp);
	make_vm("web1", 3, &fp, ret);
	mb_fingerprint_deinit(&fp);
	strcpy(ret->host, "host1");
	store_vm(s, ret);
}

/* Moves `vm` on to another fingerprint, as ingest does. */
static int put_delta(struct mb_store *s, struct mb_vm *vm, uint64_t first, size_t n,
		     struct mb_err *err)
{
	struct mb_epoch_record rec = { .added = 11, .removed = 12 };
	struct mb_buf frame = { 0 };
	struct mb_fingerprint fp;
	int r;

	make_fingerprint_of(first, 1, n, &fp);
	make_frame(mb_fpref_fingerprint(vm->fp), vm->epoch, &fp, vm->epoch + 1, 64, &frame);
	vm->epoch++;
	vm->acked_unix_ns++;
	mb_fingerprint_self_sharing(&fp, 0, &vm->sharing);
	mb_fpref_put(vm->fp);
	vm->fp = mb_fpref_new(&fp);
	rec.frame = mb_buf_slice(&frame);
	vm->wire_bytes = frame.len;
	r = mb_store_put_epoch(s, vm, &rec, err);
	mb_buf_deinit(&frame);
	return r;
}

static void commit_delta(struct mb_store *s, struct mb_vm *vm, uint64_t first, size_t n)
{
	struct mb_err err = { 0 };

	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(put_delta(s, vm, first, n, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
}

static void test_round_trip(void **state)
{
	struct mb_store *s = open_store();
	struct mb_fingerprint fp;
	struct mb_vm vm, other;
	struct loaded l;
	struct stat st;

	(void)state;
	load(s, &l);
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
	load(s, &l);
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
	unload(&l);
	/* Digests are nobody else's business. */
	assert_int_equal(stat(path, &st), 0);
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
	assert_int_equal(count("SELECT count(*) FROM fingerprint"), 3);
	make_frame(NULL, 0, mb_fpref_fingerprint(vm.fp), vm.epoch, 64, &frame);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_snapshot(s, &vm, mb_buf_slice(&frame), &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	assert_int_equal(count("SELECT count(*) FROM fingerprint"), 1);
	assert_int_equal(count("SELECT count(*) FROM history"), 3);
	assert_int_equal(vm.log_bytes, 0);
	assert_int_equal(vm.log_seq, 0);
	assert_int_equal(vm.snapshot_bytes, frame.len);
	/* And it goes on from there. */
	commit_delta(s, &vm, 140, 50);
	load(s, &l);
	assert_string_equal(l.damage[0], "");
	assert_int_equal(l.vms[0].epoch, 6);
	assert_fingerprint_equal(mb_fpref_fingerprint(l.vms[0].fp), mb_fpref_fingerprint(vm.fp));
	unload(&l);
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
	load(reader, &l);
	assert_int_equal(l.vms[0].epoch, 3);
	unload(&l);
	mb_store_rollback(s);
	mb_store_rollback(s);
	load(s, &l);
	assert_int_equal(l.vms[0].epoch, 3);
	assert_int_equal(l.vms[0].sharing.pages, 50);
	unload(&l);
	assert_int_equal(count("SELECT count(*) FROM history"), 1);
	/* Outside a transaction there is nothing to commit. */
	assert_true(mb_store_commit(s, &err) < 0);
	/* Two at once are a bug of the caller's that is found, and harms nothing. */
	assert_ok(mb_store_begin(s, &err), &err);
	assert_fails(mb_store_begin(s, &err), EIO, &err, "transaction");
	mb_store_rollback(s);
	/* Left open: undone. */
	assert_ok(mb_store_begin(s, &err), &err);
	mb_vm_deinit(&vm);
	load(s, &l);
	vm = l.vms[0];
	assert_ok(put_delta(s, &vm, 1, 3, &err), &err);
	mb_store_close(s);
	load(reader, &l);
	assert_int_equal(l.vms[0].epoch, 3);
	unload(&l);
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
	assert_fails(mb_store_put_epoch(s, &twin, &rec, &err), EIO, &err, path);
	assert_int_equal(twin.id, 0);
	mb_store_rollback(s);
	mb_fingerprint_deinit(&fp);
	mb_buf_deinit(&frame);
	mb_vm_deinit(&twin);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

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
		fresh(NULL);
		s = open_store();
		store_one(s, &vm);
		commit_delta(s, &vm, 120, 50);
		commit_delta(s, &vm, 130, 50);
		mb_vm_deinit(&vm);
		sql(cases[i].sql);
		load(s, &l);
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
		load(s, &l);
		assert_string_equal(l.damage[0], "");
		assert_int_equal(l.vms[0].epoch, 9);
		unload(&l);
		mb_store_close(s);
	}
	/* One damaged VM does not take the others with it. */
	fresh(NULL);
	s = open_store();
	store_one(s, &vm);
	sql("UPDATE vm SET hash = X'00'");
	strcpy(vm.name, "web2");
	vm.id = 0;
	store_vm(s, &vm);
	load(s, &l);
	assert_int_equal(l.n, 2);
	assert_int_equal(l.vms[0].epoch, 0);
	assert_int_equal(l.vms[1].epoch, 3);
	unload(&l);
	/* The callback has had enough. */
	l.result = -ECANCELED;
	assert_fails(mb_store_load(s, on_vm, &l, &err), ECANCELED, &err, "enough");
	assert_int_equal(l.n, 1);
	unload(&l);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

struct rows {
	struct mb_history_row rows[16];
	uint32_t n;
	int result;
};

static int on_row(void *ctx, const struct mb_history_row *row)
{
	struct rows *r = ctx;

	assert_true(r->n < 16);
	assert_string_equal(row->tracker, "none");
	r->rows[r->n++] = *row;
	return r->result;
}

static void get_history(struct mb_store *s, uint32_t limit, struct rows *ret)
{
	struct mb_err err = { 0 };

	*ret = (struct rows){ 0 };
	assert_ok(mb_store_history(s, "web1", limit, on_row, ret, &err), &err);
}

static void test_history(void **state)
{
	struct mb_store *s = open_store();
	struct mb_sharing_record rec[2];
	struct mb_err err = { 0 };
	struct rows h;
	struct mb_vm vm;

	(void)state;
	assert_fails(mb_store_history(s, "web1", 9, on_row, &h, &err), ENOENT, &err, "web1");
	store_one(s, &vm);
	rec[0] = (struct mb_sharing_record){ .vm_id = vm.id,
					     .epoch = 3,
					     .acked_unix_ns = vm.acked_unix_ns,
					     .inter = 17 };
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
	assert_int_equal(count("SELECT sum(partner_error) FROM sharing WHERE error = 3"), 4);
	assert_int_equal(count("SELECT sum(here_error) FROM sharing WHERE host = 'h1'"), 18);
	/* The newest ones, oldest first. */
	get_history(s, 2, &h);
	assert_int_equal(h.n, 2);
	assert_int_equal(h.rows[0].epoch, 4);
	get_history(s, 0, &h);
	assert_int_equal(h.n, 0);
	h.result = -ECANCELED;
	assert_int_equal(mb_store_history(s, "web1", 9, on_row, &h, &err), -ECANCELED);
	assert_int_equal(h.n, 1);
	/* A VM that is not there: no row of the lot is kept. */
	rec[1].vm_id = 4711;
	rec[0].acked_unix_ns = rec[0].inter = 1;
	assert_fails(mb_store_put_sharing(s, rec, 2, 4, &err), EIO, &err, "FOREIGN KEY");
	assert_int_equal(count("SELECT count(*) FROM sharing"), 4);
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

	assert_int_equal(count("SELECT avg(recall) * 100 FROM history"), 95);
	assert_int_equal(count("SELECT count(*) FROM history WHERE stale = 20 AND audits = 2"), 1);
	assert_int_equal(count("SELECT sum(doubted) FROM history WHERE audits = 2"), 1);
	assert_int_equal(count("SELECT sum(audits IS NULL OR doubted IS NULL) FROM history"), 0);
	assert_int_equal(count("SELECT sum(stale IS NULL AND flagged IS NULL) FROM history"), 2);
	assert_int_equal(count("SELECT stale FROM audit WHERE class = 'slab'"), 16);
	assert_int_equal(count("SELECT sum(is_followed) FROM audit"), 4);
	assert_int_equal(count("SELECT count(*) FROM audit"), 5);
	/* A class that is of later, or nonsense, is shown as none that we know. */
	sql("UPDATE audit SET class = 'cxl' WHERE class = 'slab';"
	    "UPDATE audit SET class = X'ff' WHERE class = 'file'");
	get_history(s, 9, &h);
	assert_int_equal(h.rows[1].audit.stale[MB_CLASS_UNKNOWN], 20);
	/* They go when their epoch goes. */
	assert_ok(mb_store_forget(s, vm.acked_unix_ns - 1, &err), &err);
	assert_int_equal(count("SELECT count(*) FROM audit"), 1);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 2);
	assert_audit_equal(&h.rows[0].audit, &idle);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

/* Stores one more epoch of web1, and who dirtied frames in it. */
static void commit_who(struct mb_store *s, struct mb_vm *vm, uint64_t first,
		       const struct mb_who *who)
{
	struct mb_epoch_record rec = { 0 };
	struct mb_buf frame = { 0 }, list = { 0 };
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };

	make_fingerprint_of(first, 1, 50, &fp);
	make_frame(mb_fpref_fingerprint(vm->fp), vm->epoch, &fp, vm->epoch + 1, 64, &frame);
	vm->epoch++;
	vm->acked_unix_ns++;
	mb_fpref_put(vm->fp);
	vm->fp = mb_fpref_new(&fp);
	mb_who_encode(who, 9, &list);
	rec.frame = mb_buf_slice(&frame);
	rec.who = mb_buf_slice(&list);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_put_epoch(s, vm, &rec, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	mb_buf_deinit(&frame);
	mb_buf_deinit(&list);
}

struct who_rows {
	struct mb_who_row rows[8];
	uint32_t n;
	uint64_t counted;
	int result;
};

static int on_who(void *ctx, const struct mb_who_row *row)
{
	struct who_rows *w = ctx;

	assert_true(w->n < 8);
	w->rows[w->n++] = *row;
	return w->result;
}

static void get_who(struct mb_store *s, uint32_t limit, struct who_rows *ret)
{
	struct mb_err err = { 0 };

	*ret = (struct who_rows){ 0 };
	assert_ok(mb_store_who(s, "web1", limit, on_who, ret, &ret->counted, &err), &err);
}

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
	assert_fails(mb_store_who(s, "web1", 9, on_who, &w, &w.counted, &err), ENOENT, &err,
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
	assert_int_equal(mb_store_who(s, "web1", 9, on_who, &w, &w.counted, &err), -ECANCELED);
	assert_int_equal(w.n, 1);
	/* What a person asks. */
	assert_int_equal(count("SELECT sum(frames) FROM who WHERE process = 'cc1'"), 130);
	assert_int_equal(count("SELECT sum(first_write + copy_on_write) FROM who"), 130);
	assert_int_equal(count("SELECT sum(exec) FROM who JOIN vm ON vm.id = who.vm"
			       " WHERE name = 'web1'"),
			 100);
	/* They go when their epoch goes. */
	assert_ok(mb_store_forget(s, vm.acked_unix_ns, &err), &err);
	assert_int_equal(count("SELECT count(*) FROM who"), 3);
	assert_int_equal(count("SELECT count(*) FROM history"), 1);
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
	assert_int_equal(count("SELECT count(*) FROM who"), 3);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

/* What versions 8 and 9 brought. */
#define LACKS_SAMPLES                                                                              \
	"ALTER TABLE vm DROP COLUMN writer;"                                                       \
	"ALTER TABLE vm DROP COLUMN sample; ALTER TABLE vm DROP COLUMN cut_bits;"

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
	sql(LACKS_SAMPLES
	    "ALTER TABLE history DROP COLUMN read; ALTER TABLE history DROP COLUMN audits;"
	    "ALTER TABLE history DROP COLUMN recall; ALTER TABLE history DROP COLUMN recall_all;"
	    "ALTER TABLE history DROP COLUMN precision; ALTER TABLE history DROP COLUMN stale;"
	    "ALTER TABLE history DROP COLUMN flagged; ALTER TABLE history DROP COLUMN doubted;"
	    "ALTER TABLE history DROP COLUMN flagged_changed;"
	    "DROP TABLE audit; DROP TABLE who; DROP VIEW execution_move; DROP TABLE execution;"
	    "DROP TABLE key_rotation;"
	    "ALTER TABLE sharing DROP COLUMN host; ALTER TABLE sharing DROP COLUMN here;"
	    "ALTER TABLE sharing DROP COLUMN here_error;"
	    "ALTER TABLE sharing DROP COLUMN error; ALTER TABLE sharing DROP COLUMN partner_error;"
	    "DROP TABLE execution_wish; PRAGMA user_version = 1");

	/* A step that fails leaves it as it was. */
	sql("CREATE TABLE audit (of INTEGER)");
	assert_fails(mb_store_open(path, &s, &err), EIO, &err, "audit already exists");
	assert_int_equal(count("PRAGMA user_version"), 1);
	sql("DROP TABLE audit");
	assert_int_equal(count("SELECT count(*) FROM pragma_table_info('history')"), 19);

	s = open_store();
	assert_int_equal(count("PRAGMA user_version"), MB_SCHEMA_VERSION);
	load(s, &l);
	assert_int_equal(l.n, 1);
	assert_string_equal(l.damage[0], "");
	assert_int_equal(l.vms[0].epoch, 4);
	unload(&l);
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
	assert_int_equal(count("SELECT count(*) FROM history"), 3);
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
	sql(LACKS_SAMPLES
	    "DROP TABLE key_rotation; DROP TABLE who; DROP TABLE execution_wish;"
	    "ALTER TABLE sharing DROP COLUMN host; ALTER TABLE sharing DROP COLUMN here;"
	    "ALTER TABLE sharing DROP COLUMN here_error;"
	    "ALTER TABLE sharing DROP COLUMN error; ALTER TABLE sharing DROP COLUMN partner_error;"
	    "PRAGMA user_version = 3");
	s = open_store();
	assert_int_equal(count("PRAGMA user_version"), MB_SCHEMA_VERSION);
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

static void test_forget_vm(void **state)
{
	static const struct mb_who_row sh = { "sh", "/", { [MB_WHO_EXEC] = 100 } };
	struct mb_who who = { 0 };

	struct mb_store *s = open_store();
	struct mb_err err = { 0 };
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	vm.pass.audit = (struct mb_audit){ .audits = 1, .changed = { 1 } };
	commit_delta(s, &vm, 120, 50);
	assert_int_equal(count("SELECT count(*) FROM audit"), 1);
	mb_who_put(&who, &sh);
	commit_who(s, &vm, 121, &who);
	assert_int_equal(count("SELECT count(*) FROM who"), 2);
	assert_fails(mb_store_forget_vm(s, "nobody", &err), ENOENT, &err, "nobody");
	assert_ok(mb_store_forget_vm(s, vm.name, &err), &err);
	for (size_t i = 0; i < 6; i++) {
		static const char *const tables[] = { "vm",	 "fingerprint", "history",
						      "sharing", "audit",	"who" };
		char query[64];

		snprintf(query, sizeof(query), "SELECT count(*) FROM %s", tables[i]);
		assert_int_equal(count(query), 0);
	}
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

/* What one job did can be undone without the others. */
static void test_mark_and_undo(void **state)
{
	struct mb_store *s = open_store();
	struct mb_err err = { 0 };
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	assert_ok(mb_store_begin(s, &err), &err);
	assert_ok(mb_store_mark(s, &err), &err);
	vm.epoch = 5;
	assert_ok(
		mb_store_put_epoch(s, &vm,
				   &(struct mb_epoch_record){
					   .snapshot = true, .frame = { (const uint8_t *)"x", 1 } },
				   &err),
		&err);
	assert_ok(mb_store_mark(s, &err), &err);
	vm.epoch = 6;
	assert_ok(mb_store_put_epoch(
			  s, &vm, &(struct mb_epoch_record){ .frame = { (const uint8_t *)"y", 1 } },
			  &err),
		  &err);
	assert_ok(mb_store_undo(s, &err), &err);
	assert_ok(mb_store_commit(s, &err), &err);
	assert_int_equal(count("SELECT epoch FROM vm"), 5);
	assert_int_equal(count("SELECT count(*) FROM fingerprint"), 1);
	/* Outside of a transaction there is nothing to undo, and it says so. */
	assert_true(mb_store_undo(s, &err) < 0);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

static void test_forget(void **state)
{
	struct mb_store *s = open_store();
	struct mb_sharing_record rec = { .inter = 1 };
	struct mb_err err = { 0 };
	struct loaded l;
	struct rows h;
	struct mb_vm vm;

	(void)state;
	store_one(s, &vm);
	rec.vm_id = vm.id;
	for (uint64_t i = 0; i < 3; i++)
		commit_delta(s, &vm, 100 + i, 50);
	assert_ok(mb_store_put_sharing(s, &rec, 1, 10, &err), &err);
	assert_ok(mb_store_put_sharing(s, &rec, 1, 20, &err), &err);
	assert_ok(mb_store_forget(s, 20, &err), &err);
	assert_int_equal(count("SELECT count(*) FROM sharing"), 1);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 4);
	assert_ok(mb_store_forget(s, vm.acked_unix_ns - 1, &err), &err);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 2);
	/* With all of it gone a VM still has its fingerprint. */
	assert_ok(mb_store_forget(s, INT64_MAX, &err), &err);
	get_history(s, 9, &h);
	assert_int_equal(h.n, 0);
	load(s, &l);
	assert_int_equal(l.n, 1);
	assert_int_equal(l.vms[0].epoch, 6);
	assert_string_equal(l.damage[0], "");
	unload(&l);
	mb_vm_deinit(&vm);
	mb_store_close(s);
}

static void test_lock(void **state)
{
	struct mb_err err = { 0 };
	int fd, again;

	(void)state;
	assert_ok(mb_store_lock(path, &fd, &err), &err);
	assert_fails(mb_store_lock(path, &again, &err), EBUSY, &err, "another server");
	close(fd);
	assert_ok(mb_store_lock(path, &fd, &err), &err);
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
	sql("PRAGMA user_version = -1");
	assert_fails(mb_store_open(path, &s, &err), EPROTONOSUPPORT, &err, "schema -1");
	sql("PRAGMA user_version = 99");
	assert_fails(mb_store_open(path, &s, &err), EPROTONOSUPPORT, &err, "schema 99");
	assert_null(s);
	assert_int_equal(count("PRAGMA user_version"), 99);
	/* No database at all. */
	fresh(NULL);
	f = fopen(path, "w");
	assert_non_null(f);
	for (int i = 0; i < 1000; i++)
		fputs("not a database, ", f);
	fclose(f);
	assert_fails(mb_store_open(path, &s, &err), EUCLEAN, &err, "damaged");
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
	scratch_path("disk/x.db", path);
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
	load(s, &l);
	assert_string_equal(l.damage[0], "");
	assert_int_equal(l.vms[0].epoch, epoch);
	unload(&l);
	mb_store_close(s);
	/* The same when it cannot be written at all. */
	assert_int_equal(mount(NULL, disk, NULL, MS_REMOUNT | MS_RDONLY, NULL), 0);
	assert_fails(mb_store_open(path, &s, &err), EROFS, &err, path);
	assert_int_equal(umount(disk), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_round_trip, fresh),
		cmocka_unit_test_setup(test_snapshot_replaces_the_log, fresh),
		cmocka_unit_test_setup(test_rollback, fresh),
		cmocka_unit_test_setup(test_constraints, fresh),
		cmocka_unit_test(test_damage),
		cmocka_unit_test_setup(test_history, fresh),
		cmocka_unit_test_setup(test_audits, fresh),
		cmocka_unit_test_setup(test_upgrade, fresh),
		cmocka_unit_test_setup(test_who, fresh),
		cmocka_unit_test_setup(test_upgrade_for_who, fresh),
		cmocka_unit_test_setup(test_forget, fresh),
		cmocka_unit_test_setup(test_forget_vm, fresh),
		cmocka_unit_test_setup(test_mark_and_undo, fresh),
		cmocka_unit_test_setup(test_lock, fresh),
		cmocka_unit_test_setup(test_other_files, fresh),
		cmocka_unit_test(test_disk_full),
	};

	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
