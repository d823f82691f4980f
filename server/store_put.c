// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_sql.h"

#include "proto/base/cleanup.h"

static void put_hash(uint8_t to[MB_MULTISET_HASH_BYTES], struct mb_multiset_hash h)
{
	mb_put_le64(to, h.lo);
	mb_put_le64(to + 8, h.hi);
}

static int put_vm(struct mb_store *s, struct mb_vm *vm, struct mb_err *err)
{
	sqlite3_stmt *st = mb_sql_get(s, vm->id ? SQL_UPDATE_VM : SQL_INSERT_VM);
	uint8_t hash[MB_MULTISET_HASH_BYTES], zero[8];
	int r;

	put_hash(hash, mb_fpref_fingerprint(vm->fp)->hash);
	mb_put_le64(zero, vm->identity.zero_digest);
	mb_sql_bind_text(st, 1, vm->host);
	mb_sql_bind_text(st, 2, vm->source);
	mb_sql_bind_text(st, 3, vm->tracker);
	mb_sql_bind_u64(st, 4, vm->memory_bytes);
	sqlite3_bind_int(st, 5, (int)vm->identity.algorithm);
	mb_sql_bind_u64(st, 6, vm->identity.page_bytes);
	mb_sql_bind_u64(st, 7, vm->identity.bits);
	sqlite3_bind_int(st, 8, vm->identity.keyed);
	mb_sql_bind_text(st, 9, vm->identity.domain);
	sqlite3_bind_blob(st, 10, zero, sizeof(zero), SQLITE_STATIC);
	sqlite3_bind_blob(st, 11, vm->boot.id, MB_BOOT_BYTES, SQLITE_STATIC);
	mb_sql_bind_u64(st, 12, vm->epoch);
	sqlite3_bind_blob(st, 13, hash, sizeof(hash), SQLITE_STATIC);
	mb_sql_bind_u64(st, 14, vm->acked_unix_ns);
	mb_sql_bind_text(st, 15, vm->name);
	mb_sql_bind_u64(st, 16, (uint64_t)1 << vm->sample.shift);
	mb_sql_bind_u64(st, 17, vm->sample.cut_bits);
	if (*vm->writer)
		mb_sql_bind_text(st, 18, vm->writer);
	r = mb_sql_run(s, st, err);
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
		st = mb_sql_get(s, SQL_DELETE_FRAMES);
		sqlite3_bind_int64(st, 1, vm->id);
		r = mb_sql_run(s, st, err);
		if (r < 0)
			return r;
		vm->snapshot_bytes = frame.len;
		vm->log_bytes = vm->log_seq = 0;
	} else {
		vm->log_bytes += frame.len;
		vm->log_seq++;
	}
	st = mb_sql_get(s, SQL_INSERT_FRAME);
	sqlite3_bind_int64(st, 1, vm->id);
	mb_sql_bind_u64(st, 2, vm->log_seq);
	mb_sql_bind_u64(st, 3, vm->epoch);
	sqlite3_bind_blob64(st, 4, frame.data, frame.len, SQLITE_STATIC);
	return mb_sql_run(s, st, err);
}

/* NULL where there is nothing to judge by. */
static void bind_ratio(sqlite3_stmt *st, int at, double ratio, uint64_t of)
{
	if (of)
		sqlite3_bind_double(st, at, ratio);
}

static void bind_audit(sqlite3_stmt *st, int at, const struct mb_audit *a)
{
	if (!a->audits)
		return;
	bind_ratio(st, at, mb_audit_recall(a, a->follows), mb_audit_sum(a->changed, a->follows));
	bind_ratio(st, at + 1, mb_audit_recall(a, UINT32_MAX),
		   mb_audit_sum(a->changed, UINT32_MAX));
	bind_ratio(st, at + 2, mb_audit_precision(a), a->flagged);
	mb_sql_bind_u64(st, at + 3, mb_audit_sum(a->stale, UINT32_MAX));
	mb_sql_bind_u64(st, at + 4, a->flagged);
	mb_sql_bind_u64(st, at + 5, a->flagged_changed);
}

static int put_audit(struct mb_store *s, const struct mb_vm *vm, struct mb_err *err)
{
	const struct mb_audit *a = &vm->pass.audit;
	int r = 0;

	for (unsigned int i = 0; r == 0 && a->audits && i < MB_CLASS_END; i++) {
		bool followed = a->follows >> i & 1;
		sqlite3_stmt *st = mb_sql_get(s, SQL_INSERT_AUDIT);

		if (!followed && !a->changed[i])
			continue;
		sqlite3_bind_int64(st, 1, vm->id);
		mb_sql_bind_u64(st, 2, vm->acked_unix_ns);
		mb_sql_bind_text(st, 3, mb_class_name(i));
		sqlite3_bind_int(st, 4, followed);
		mb_sql_bind_u64(st, 5, a->changed[i]);
		mb_sql_bind_u64(st, 6, a->stale[i]);
		r = mb_sql_run(s, st, err);
	}
	return r;
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
		vm->pass.pages_read,
		vm->pass.audit.audits,
		vm->pass.audit.doubted,
	};
	sqlite3_stmt *st = mb_sql_get(s, SQL_INSERT_HISTORY);
	int r;

	for (size_t i = 0; i < MB_ARRAY_LEN(figures); i++)
		mb_sql_bind_u64(st, (int)i + 1, figures[i]);
	mb_sql_bind_text(st, MB_ARRAY_LEN(figures) + 1, vm->tracker);
	bind_audit(st, MB_ARRAY_LEN(figures) + 2, &vm->pass.audit);
	r = mb_sql_run(s, st, err);
	return r < 0 ? r : put_audit(s, vm, err);
}

int mb_store_put_epoch(struct mb_store *s, struct mb_vm *vm, const struct mb_epoch_record *rec,
		       struct mb_err *err)
{
	int r;

	if ((r = put_vm(s, vm, err)) < 0 ||
	    (r = put_frame(s, vm, rec->frame, rec->snapshot, err)) < 0)
		return r;
	r = put_history(s, vm, rec, err);
	return r < 0 ? r : mb_store_put_who(s, vm, rec->who, err);
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
		sqlite3_stmt *st = mb_sql_get(s, SQL_INSERT_SHARING);

		sqlite3_bind_int64(st, 1, records[i].vm_id);
		mb_sql_bind_u64(st, 2, at_unix_ns);
		mb_sql_bind_u64(st, 3, records[i].epoch);
		mb_sql_bind_u64(st, 4, records[i].acked_unix_ns);
		mb_sql_bind_u64(st, 5, records[i].inter);
		if (records[i].partner)
			mb_sql_bind_text(st, 6, records[i].partner);
		mb_sql_bind_u64(st, 7, records[i].partner_inter);
		if (records[i].host) {
			mb_sql_bind_text(st, 8, records[i].host);
			mb_sql_bind_u64(st, 9, records[i].here);
		}
		mb_sql_bind_u64(st, 10, records[i].error);
		mb_sql_bind_u64(st, 11, records[i].partner_error);
		mb_sql_bind_u64(st, 12, records[i].here_error);
		r = mb_sql_run(s, st, err);
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
			sqlite3_stmt *st = mb_sql_get(s, (enum mb_sql)i);
			int r;

			mb_sql_bind_u64(st, 1, before_unix_ns);
			r = mb_sql_run(s, st, err);
			if (r < 0)
				return r;
		} while (sqlite3_changes(s->db));
	}
	return 0;
}

int mb_store_forget_vm(struct mb_store *s, const char *name, struct mb_err *err)
{
	static const char *const tables[] = { "sharing", "who",		"audit",
					      "history", "fingerprint", "vm" };
	sqlite3_int64 id;
	char text[128];
	int r = mb_sql_find_vm(s, name, &id, err);

	if (r == 0)
		r = mb_store_begin(s, err);
	if (r < 0)
		return r;
	for (size_t i = 0; r == 0 && i < MB_ARRAY_LEN(tables); i++) {
		snprintf(text, sizeof(text), "DELETE FROM %s WHERE %s = %lld", tables[i],
			 strcmp(tables[i], "vm") == 0 ? "id" : "vm", (long long)id);
		if (sqlite3_exec(s->db, text, NULL, NULL, NULL) != SQLITE_OK)
			r = mb_sql_fail(s, err);
	}
	if (r == 0)
		return mb_store_commit(s, err);
	mb_store_rollback(s);
	return r;
}
