// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "server/schema.sql.h"

enum statement {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_MARK,
	SQL_UNDO,
	SQL_INSERT_VM,
	SQL_UPDATE_VM,
	SQL_DELETE_FRAMES,
	SQL_INSERT_FRAME,
	SQL_INSERT_HISTORY,
	SQL_INSERT_SHARING,
	SQL_FORGET_HISTORY,
	SQL_FORGET_SHARING,
	SQL_SELECT_VMS,
	SQL_SELECT_FRAMES,
	SQL_FIND_VM,
	SQL_SELECT_HISTORY,
	SQL_END
};

static const char *const sql[SQL_END] = {
	[SQL_BEGIN] = "BEGIN IMMEDIATE",
	[SQL_COMMIT] = "COMMIT",
	[SQL_ROLLBACK] = "ROLLBACK",
	/* Marks of one name nest; the newest is the one that is gone back to. */
	[SQL_MARK] = "SAVEPOINT mark",
	[SQL_UNDO] = "ROLLBACK TO mark",
	[SQL_INSERT_VM] =
		"INSERT INTO vm (host, source, tracker, memory_bytes, algorithm, page_bytes,"
		" bits, keyed, domain, zero_digest, boot, epoch, hash, acked_unix_ns, name)"
		" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15)",
	[SQL_UPDATE_VM] = "UPDATE vm SET host=?1, source=?2, tracker=?3, memory_bytes=?4,"
			  " algorithm=?5, page_bytes=?6, bits=?7, keyed=?8, domain=?9,"
			  " zero_digest=?10, boot=?11, epoch=?12, hash=?13, acked_unix_ns=?14"
			  " WHERE name=?15",
	[SQL_DELETE_FRAMES] = "DELETE FROM fingerprint WHERE vm=?1",
	[SQL_INSERT_FRAME] = "INSERT INTO fingerprint (vm, seq, epoch, frame) VALUES (?1,?2,?3,?4)",
	[SQL_INSERT_HISTORY] =
		"INSERT INTO history (vm, at_unix_ns, epoch, epochs, pages, distinct_pages, zero,"
		" self, self_nonzero, changed, added, removed, unread, wire_bytes, duration_ns,"
		" cpu_ns, is_full, acked_unix_ns, tracker)"
		" VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?18,?19)",
	[SQL_INSERT_SHARING] =
		"INSERT INTO sharing (vm, at_unix_ns, epoch, acked_unix_ns, inter, partner,"
		" partner_inter) VALUES (?1,?2,?3,?4,?5,?6,?7)",
	/* In bits: an ack must not wait behind a month of rows. */
	[SQL_FORGET_HISTORY] = "DELETE FROM history WHERE rowid IN (SELECT rowid FROM history"
			       " WHERE acked_unix_ns < ?1 LIMIT 5000)",
	[SQL_FORGET_SHARING] = "DELETE FROM sharing WHERE rowid IN (SELECT rowid FROM sharing"
			       " WHERE at_unix_ns < ?1 LIMIT 5000)",
	[SQL_SELECT_VMS] =
		"SELECT vm.id, name, host, source, vm.tracker, memory_bytes, algorithm, page_bytes,"
		" bits, keyed, domain, zero_digest, boot, vm.epoch, hash, vm.acked_unix_ns,"
		" h.at_unix_ns, h.epochs, h.changed, h.unread, h.duration_ns, h.cpu_ns, h.is_full,"
		" h.wire_bytes"
		" FROM vm LEFT JOIN history h ON h.rowid ="
		"  (SELECT max(rowid) FROM history WHERE history.vm = vm.id)"
		" ORDER BY name",
	[SQL_SELECT_FRAMES] = "SELECT seq, frame FROM fingerprint WHERE vm=?1 ORDER BY seq",
	[SQL_FIND_VM] = "SELECT id FROM vm WHERE name=?1",
	[SQL_SELECT_HISTORY] =
		"SELECT * FROM (SELECT h.rowid AS n, at_unix_ns, epoch, epochs, pages, "
		"distinct_pages,"
		" zero, self, self_nonzero, changed, added, removed, unread, wire_bytes,"
		" duration_ns, cpu_ns, is_full, tracker, acked_unix_ns,"
		" (SELECT inter FROM sharing s WHERE s.vm = h.vm AND"
		"  s.acked_unix_ns = h.acked_unix_ns ORDER BY s.rowid DESC LIMIT 1) AS inter"
		" FROM history h WHERE vm=?1 ORDER BY h.rowid DESC LIMIT ?2) ORDER BY n",
};

struct mb_store {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_END];
	char *path;
};

static int fail_sql(struct mb_store *s, struct mb_err *err)
{
	int code = sqlite3_errcode(s->db) & 0xff;

	return mb_fail(err,
		       code == SQLITE_FULL  ? ENOSPC :
		       code == SQLITE_BUSY  ? EBUSY :
		       code == SQLITE_NOMEM ? ENOMEM :
					      EIO,
		       "database %s: %s", s->path, sqlite3_errmsg(s->db));
}

/* A statement ready to be bound; mb_cleanup(reset) when done with its rows. */
static sqlite3_stmt *get(struct mb_store *s, enum statement which)
{
	sqlite3_reset(s->statements[which]);
	sqlite3_clear_bindings(s->statements[which]);
	return s->statements[which];
}

static void reset(sqlite3_stmt **st)
{
	sqlite3_reset(*st);
}

/* Runs a statement that gives no rows. */
static int run(struct mb_store *s, sqlite3_stmt *st, struct mb_err *err)
{
	int r = sqlite3_step(st) == SQLITE_DONE ? 0 : fail_sql(s, err);

	sqlite3_reset(st);
	return r;
}

static void bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}

static void bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

static int prepare(struct mb_store *s, struct mb_err *err)
{
	for (int i = 0; i < SQL_END; i++)
		if (sqlite3_prepare_v3(s->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
				       &s->statements[i], NULL) != SQLITE_OK)
			return fail_sql(s, err);
	return 0;
}

static int get_int(struct mb_store *s, const char *question, int *ret, struct mb_err *err)
{
	sqlite3_stmt *st = NULL;
	int r = 0;

	if (sqlite3_prepare_v2(s->db, question, -1, &st, NULL) != SQLITE_OK ||
	    sqlite3_step(st) != SQLITE_ROW)
		r = fail_sql(s, err);
	else
		*ret = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return r;
}

/* Is it ours, or empty? Before anything is changed: a mistyped path must harm nobody. */
static int check_schema(struct mb_store *s, bool *ret_empty, struct mb_err *err)
{
	int r, version = 0, tables = 0;

	*ret_empty = false;
	if ((r = get_int(s, "PRAGMA user_version", &version, err)) < 0 ||
	    (r = get_int(s, "SELECT count(*) FROM sqlite_master", &tables, err)) < 0)
		return r;
	if (version == 0 && tables)
		return mb_fail(err, EEXIST, "database %s: belongs to another program", s->path);
	if (version != 0 && version != MB_SCHEMA_VERSION)
		return mb_fail(err, EPROTONOSUPPORT,
			       "database %s: made by another version (schema %d; this is %d)",
			       s->path, version, MB_SCHEMA_VERSION);
	*ret_empty = version == 0;
	return 0;
}

static int make_schema(struct mb_store *s, struct mb_err *err)
{
	char version[64];

	snprintf(version, sizeof(version), "PRAGMA user_version = %d", MB_SCHEMA_VERSION);
	if (sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(s->db, mb_schema, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(s->db, version, NULL, NULL, NULL) != SQLITE_OK ||
	    sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		return fail_sql(s, err);
	return 0;
}

int mb_store_open(const char *path, struct mb_store **ret, struct mb_err *err)
{
	struct mb_store *s = calloc(1, sizeof(*s));
	bool empty;
	mode_t old;
	int r;

	if (!s)
		return mb_fail_mem(err, "the store");
	s->path = strdup(path);
	old = umask(0077); /* digests are for nobody else's eyes */
	r = sqlite3_open_v2(path, &s->db,
			    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	umask(old);
	if (!s->path || !s->db) {
		r = mb_fail_mem(err, "the store");
		goto failed;
	}
	sqlite3_busy_timeout(s->db, 10000);
	r = r == SQLITE_OK ? check_schema(s, &empty, err) : fail_sql(s, err);
	if (r < 0)
		goto failed;
	if (sqlite3_exec(s->db,
			 "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
			 "PRAGMA foreign_keys = ON;",
			 NULL, NULL, NULL) != SQLITE_OK) {
		r = fail_sql(s, err);
		goto failed;
	}
	/* SQLite opens it all the same, and fails at the first epoch. */
	if (sqlite3_db_readonly(s->db, "main") == 1) {
		r = mb_fail(err, EROFS, "database %s: may not be written", path);
		goto failed;
	}
	if ((empty && (r = make_schema(s, err)) < 0) || (r = prepare(s, err)) < 0)
		goto failed;
	*ret = s;
	return 0;
failed:
	mb_store_close(s);
	return r;
}

int mb_store_lock(const char *path, int *ret_fd, struct mb_err *err)
{
	mb_autofree char *name = NULL;
	mb_autoclose int fd = -1;

	if (asprintf(&name, "%s.lock", path) < 0) {
		name = NULL;
		return mb_fail_mem(err, "the store");
	}
	fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return mb_fail(err, errno, "database %s: %s: %m", path, name);
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return mb_fail(err, errno == EWOULDBLOCK ? EBUSY : errno,
			       errno == EWOULDBLOCK ? "database %s: another server has it" :
						      "database %s: flock: %m",
			       path);
	*ret_fd = mb_take_fd(fd);
	return 0;
}

void mb_store_close(struct mb_store *s)
{
	if (!s)
		return;
	for (int i = 0; i < SQL_END; i++)
		sqlite3_finalize(s->statements[i]);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

int mb_store_begin(struct mb_store *s, struct mb_err *err)
{
	return run(s, get(s, SQL_BEGIN), err);
}

int mb_store_commit(struct mb_store *s, struct mb_err *err)
{
	int r = run(s, get(s, SQL_COMMIT), err);

	if (r < 0)
		mb_store_rollback(s);
	return r;
}

void mb_store_rollback(struct mb_store *s)
{
	/* SQLite may have rolled back by itself; then there is nothing to do. */
	if (!sqlite3_get_autocommit(s->db))
		run(s, get(s, SQL_ROLLBACK), NULL);
}

int mb_store_mark(struct mb_store *s, struct mb_err *err)
{
	return run(s, get(s, SQL_MARK), err);
}

int mb_store_undo(struct mb_store *s, struct mb_err *err)
{
	return run(s, get(s, SQL_UNDO), err);
}

static int find_vm(struct mb_store *s, const char *name, sqlite3_int64 *ret_id, struct mb_err *err)
{
	mb_cleanup(reset) sqlite3_stmt *st = get(s, SQL_FIND_VM);
	int step;

	bind_text(st, 1, name);
	step = sqlite3_step(st);
	if (step == SQLITE_DONE)
		return mb_fail(err, ENOENT, "no VM \"%s\"", name);
	if (step != SQLITE_ROW)
		return fail_sql(s, err);
	*ret_id = sqlite3_column_int64(st, 0);
	return 0;
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_hash(uint8_t to[MB_MULTISET_HASH_BYTES], struct mb_multiset_hash h)
{
	mb_put_le64(to, h.lo);
	mb_put_le64(to + 8, h.hi);
}

static int put_vm(struct mb_store *s, struct mb_vm *vm, struct mb_err *err)
{
	sqlite3_stmt *st = get(s, vm->id ? SQL_UPDATE_VM : SQL_INSERT_VM);
	uint8_t hash[MB_MULTISET_HASH_BYTES], zero[8];
	int r;

	put_hash(hash, mb_fpref_fingerprint(vm->fp)->hash);
	mb_put_le64(zero, vm->identity.zero_digest);
	bind_text(st, 1, vm->host);
	bind_text(st, 2, vm->source);
	bind_text(st, 3, vm->tracker);
	bind_u64(st, 4, vm->memory_bytes);
	sqlite3_bind_int(st, 5, (int)vm->identity.algorithm);
	bind_u64(st, 6, vm->identity.page_bytes);
	bind_u64(st, 7, vm->identity.bits);
	sqlite3_bind_int(st, 8, vm->identity.keyed);
	bind_text(st, 9, vm->identity.domain);
	sqlite3_bind_blob(st, 10, zero, sizeof(zero), SQLITE_STATIC);
	sqlite3_bind_blob(st, 11, vm->boot.id, MB_BOOT_BYTES, SQLITE_STATIC);
	bind_u64(st, 12, vm->epoch);
	sqlite3_bind_blob(st, 13, hash, sizeof(hash), SQLITE_STATIC);
	bind_u64(st, 14, vm->acked_unix_ns);
	bind_text(st, 15, vm->name);
	r = run(s, st, err);
	if (r == 0 && vm->id && !sqlite3_changes(s->db))
		return mb_fail(err, EIO, "database %s: the row of VM \"%s\" is gone", s->path,
			       vm->name);
	if (r == 0 && !vm->id)
		vm->id = sqlite3_last_insert_rowid(s->db);
	return r;
}

static int put_frame(struct mb_store *s, struct mb_vm *vm, struct mb_slice frame, bool snapshot,
		     struct mb_err *err)
{
	sqlite3_stmt *st;
	int r;

	if (snapshot) {
		st = get(s, SQL_DELETE_FRAMES);
		sqlite3_bind_int64(st, 1, vm->id);
		r = run(s, st, err);
		if (r < 0)
			return r;
		vm->snapshot_bytes = frame.len;
		vm->log_bytes = vm->log_seq = 0;
	} else {
		vm->log_bytes += frame.len;
		vm->log_seq++;
	}
	st = get(s, SQL_INSERT_FRAME);
	sqlite3_bind_int64(st, 1, vm->id);
	bind_u64(st, 2, vm->log_seq);
	bind_u64(st, 3, vm->epoch);
	sqlite3_bind_blob64(st, 4, frame.data, frame.len, SQLITE_STATIC);
	return run(s, st, err);
}

static int put_history(struct mb_store *s, const struct mb_vm *vm,
		       const struct mb_epoch_record *rec, struct mb_err *err)
{
	const uint64_t figures[] = {
		(uint64_t)vm->id,
		vm->pass.taken_unix_ns,
		vm->epoch,
		vm->pass.epochs,
		vm->sharing.pages,
		vm->sharing.distinct,
		vm->sharing.zero,
		vm->sharing.self,
		vm->sharing.self_nonzero,
		vm->pass.pages_changed,
		rec->added,
		rec->removed,
		vm->pass.pages_unread,
		vm->wire_bytes,
		vm->pass.duration_ns,
		vm->pass.cpu_ns,
		vm->pass.full,
		vm->acked_unix_ns,
	};
	sqlite3_stmt *st = get(s, SQL_INSERT_HISTORY);

	for (size_t i = 0; i < MB_ARRAY_LEN(figures); i++)
		bind_u64(st, (int)i + 1, figures[i]);
	bind_text(st, MB_ARRAY_LEN(figures) + 1, vm->tracker);
	return run(s, st, err);
}

int mb_store_put_epoch(struct mb_store *s, struct mb_vm *vm, const struct mb_epoch_record *rec,
		       struct mb_err *err)
{
	int r;

	if ((r = put_vm(s, vm, err)) < 0 ||
	    (r = put_frame(s, vm, rec->frame, rec->snapshot, err)) < 0)
		return r;
	return put_history(s, vm, rec, err);
}

int mb_store_put_snapshot(struct mb_store *s, struct mb_vm *vm, struct mb_slice frame,
			  struct mb_err *err)
{
	return put_frame(s, vm, frame, true, err);
}

int mb_store_put_sharing(struct mb_store *s, const struct mb_sharing_record *records, size_t n,
			 uint64_t at_unix_ns, struct mb_err *err)
{
	int r = mb_store_begin(s, err);

	for (size_t i = 0; r == 0 && i < n; i++) {
		sqlite3_stmt *st = get(s, SQL_INSERT_SHARING);

		sqlite3_bind_int64(st, 1, records[i].vm_id);
		bind_u64(st, 2, at_unix_ns);
		bind_u64(st, 3, records[i].epoch);
		bind_u64(st, 4, records[i].acked_unix_ns);
		bind_u64(st, 5, records[i].inter);
		if (records[i].partner)
			bind_text(st, 6, records[i].partner);
		bind_u64(st, 7, records[i].partner_inter);
		r = run(s, st, err);
	}
	if (r == 0)
		return mb_store_commit(s, err);
	mb_store_rollback(s);
	return r;
}

int mb_store_forget(struct mb_store *s, uint64_t before_unix_ns, struct mb_err *err)
{
	for (int i = SQL_FORGET_HISTORY; i <= SQL_FORGET_SHARING; i++) {
		do {
			sqlite3_stmt *st = get(s, (enum statement)i);
			int r;

			bind_u64(st, 1, before_unix_ns);
			r = run(s, st, err);
			if (r < 0)
				return r;
		} while (sqlite3_changes(s->db));
	}
	return 0;
}

int mb_store_forget_vm(struct mb_store *s, const char *name, struct mb_err *err)
{
	static const char *const tables[] = { "sharing", "history", "fingerprint", "vm" };
	sqlite3_int64 id;
	char text[128];
	int r = find_vm(s, name, &id, err);

	if (r == 0)
		r = mb_store_begin(s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < MB_ARRAY_LEN(tables); i++) {
		snprintf(text, sizeof(text), "DELETE FROM %s WHERE %s = %lld", tables[i],
			 strcmp(tables[i], "vm") == 0 ? "id" : "vm", (long long)id);
		if (sqlite3_exec(s->db, text, NULL, NULL, NULL) != SQLITE_OK)
			r = fail_sql(s, err);
	}
	if (r == 0)
		return mb_store_commit(s, err);
	mb_store_rollback(s);
	return r;
}

/* --- reading ---------------------------------------------------------------------------------- */

static uint64_t column_u64(sqlite3_stmt *st, int at)
{
	return (uint64_t)sqlite3_column_int64(st, at);
}

static void column_text(sqlite3_stmt *st, int at, char *to, size_t size)
{
	const unsigned char *text = sqlite3_column_text(st, at);

	snprintf(to, size, "%s", text ? (const char *)text : "");
}

static bool column_bytes(sqlite3_stmt *st, int at, void *to, int n)
{
	const void *blob = sqlite3_column_blob(st, at);

	if (!blob || sqlite3_column_bytes(st, at) != n)
		return false;
	memcpy(to, blob, (size_t)n);
	return true;
}

static int column_vm(sqlite3_stmt *st, struct mb_vm *vm, struct mb_multiset_hash *ret_hash,
		     struct mb_err *err)
{
	uint8_t hash[MB_MULTISET_HASH_BYTES], zero[8];

	*vm = (struct mb_vm){ .id = sqlite3_column_int64(st, 0) };
	column_text(st, 1, vm->name, sizeof(vm->name));
	column_text(st, 2, vm->host, sizeof(vm->host));
	column_text(st, 3, vm->source, sizeof(vm->source));
	column_text(st, 4, vm->tracker, sizeof(vm->tracker));
	vm->memory_bytes = column_u64(st, 5);
	vm->identity.algorithm = (enum mb_algorithm)sqlite3_column_int(st, 6);
	vm->identity.page_bytes = (uint32_t)column_u64(st, 7);
	vm->identity.bits = (uint32_t)column_u64(st, 8);
	vm->identity.keyed = sqlite3_column_int(st, 9);
	column_text(st, 10, vm->identity.domain, sizeof(vm->identity.domain));
	vm->epoch = column_u64(st, 13);
	vm->acked_unix_ns = column_u64(st, 15);
	vm->pass.taken_unix_ns = column_u64(st, 16);
	vm->pass.epochs = (uint32_t)column_u64(st, 17);
	vm->pass.pages_changed = column_u64(st, 18);
	vm->pass.pages_unread = column_u64(st, 19);
	vm->pass.duration_ns = column_u64(st, 20);
	vm->pass.cpu_ns = column_u64(st, 21);
	vm->pass.full = sqlite3_column_int(st, 22);
	vm->wire_bytes = column_u64(st, 23);
	if (!column_bytes(st, 11, zero, sizeof(zero)) ||
	    !column_bytes(st, 12, vm->boot.id, MB_BOOT_BYTES) ||
	    !column_bytes(st, 14, hash, sizeof(hash)))
		return mb_fail(err, EBADMSG, "its row has a field of the wrong length");
	vm->identity.zero_digest = mb_get_le64(zero);
	ret_hash->lo = mb_get_le64(hash);
	ret_hash->hi = mb_get_le64(hash + 8);
	return mb_identity_check(&vm->identity, err);
}

/* One stored frame onto the fingerprint so far. */
static int replay(struct mb_slice frame, uint32_t bits, struct mb_buf *raw,
		  struct mb_fingerprint *fp, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_fingerprint next;
	int r;

	if ((r = mb_frame_take(&frame, MB_FRAME_RAW_MAX, raw, err)) < 0 ||
	    (r = mb_msg_unpack(mb_buf_slice(raw), &msg, err)) < 0)
		return r;
	if (msg.type != MB_MSG_DELTA)
		return mb_fail(err, EBADMSG, "a %s message", mb_msg_type_name(msg.type));
	if ((r = mb_delta_decode(&msg.delta.fields, bits, &delta, err)) < 0 ||
	    (r = mb_delta_apply(fp, &delta, &next, err)) < 0)
		return r;
	mb_fingerprint_deinit(fp);
	*fp = next;
	return 0;
}

static int load_fingerprint(struct mb_store *s, struct mb_vm *vm, struct mb_multiset_hash hash,
			    struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(reset) sqlite3_stmt *st = get(s, SQL_SELECT_FRAMES);
	int r, step;

	sqlite3_bind_int64(st, 1, vm->id);
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		struct mb_slice frame = { sqlite3_column_blob(st, 1),
					  (size_t)sqlite3_column_bytes(st, 1) };

		vm->log_seq = column_u64(st, 0);
		if (vm->log_seq)
			vm->log_bytes += frame.len;
		else
			vm->snapshot_bytes = frame.len;
		r = replay(frame, vm->identity.bits, &raw, &fp, err);
		if (r < 0)
			return mb_fail_in(err, r, "its frame %" PRIu64, vm->log_seq);
	}
	if (step != SQLITE_DONE)
		return fail_sql(s, err);
	if (!mb_multiset_hash_equal(fp.hash, hash))
		return mb_fail(err, EBADMSG,
			       "its frames do not give the fingerprint of epoch %" PRIu64,
			       vm->epoch);
	mb_fingerprint_self_sharing(&fp, vm->identity.zero_digest, &vm->sharing);
	vm->fp = mb_fpref_new(&fp);
	return vm->fp ? 0 : mb_fail_mem(err, "a fingerprint");
}

int mb_store_load(struct mb_store *s,
		  int (*each)(void *ctx, struct mb_vm *vm, const char *damage, struct mb_err *err),
		  void *ctx, struct mb_err *err)
{
	mb_cleanup(reset) sqlite3_stmt *st = get(s, SQL_SELECT_VMS);
	int r, step;

	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		struct mb_multiset_hash hash = { 0 };
		struct mb_err damage = { 0 };
		struct mb_vm vm;

		r = column_vm(st, &vm, &hash, &damage);
		if (r == 0)
			r = load_fingerprint(s, &vm, hash, &damage);
		/* What could not be read is not damaged; starting without it would lose it. */
		if (r == -ENOMEM || r == -EIO || r == -EBUSY || r == -ENOSPC) {
			if (err)
				*err = damage;
			return mb_fail_in(err, r, "VM %s", vm.name);
		}
		if (r < 0)
			vm.epoch = 0;
		r = each(ctx, &vm, r < 0 ? damage.text : NULL, err);
		if (r < 0)
			return r;
	}
	return step == SQLITE_DONE ? 0 : fail_sql(s, err);
}

int mb_store_history(struct mb_store *s, const char *vm_name, uint32_t limit,
		     int (*each)(void *ctx, const struct mb_history_row *row), void *ctx,
		     struct mb_err *err)
{
	mb_cleanup(reset) sqlite3_stmt *st = get(s, SQL_SELECT_HISTORY);
	sqlite3_int64 id;
	int step = SQLITE_DONE, r = find_vm(s, vm_name, &id, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, id);
	bind_u64(st, 2, limit);
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct mb_history_row row = {
			.at_unix_ns = column_u64(st, 1),
			.epoch = column_u64(st, 2),
			.epochs = column_u64(st, 3),
			.sharing = { column_u64(st, 4), column_u64(st, 5), column_u64(st, 6),
				     column_u64(st, 7), column_u64(st, 8) },
			.changed = column_u64(st, 9),
			.added = column_u64(st, 10),
			.removed = column_u64(st, 11),
			.unread = column_u64(st, 12),
			.wire_bytes = column_u64(st, 13),
			.duration_ns = column_u64(st, 14),
			.cpu_ns = column_u64(st, 15),
			.full = sqlite3_column_int(st, 16),
			.tracker = (const char *)sqlite3_column_text(st, 17),
			.acked_unix_ns = column_u64(st, 18),
			.has_inter = sqlite3_column_type(st, 19) != SQLITE_NULL,
			.inter = column_u64(st, 19),
		};

		r = each(ctx, &row);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = fail_sql(s, err);
	return r;
}
