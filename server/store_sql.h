/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the store: its statements, prepared once, and how they are run. For store_*.c only. */
#ifndef MB_SERVER_STORE_SQL_H
#define MB_SERVER_STORE_SQL_H

#include <sqlite3.h>

#include "server/store.h"

enum mb_sql {
	SQL_BEGIN,
	SQL_COMMIT,
	SQL_ROLLBACK,
	SQL_INSERT_VM,
	SQL_UPDATE_VM,
	SQL_DELETE_FRAMES,
	SQL_INSERT_FRAME,
	SQL_INSERT_HISTORY,
	SQL_INSERT_AUDIT,
	SQL_INSERT_WHO,
	SQL_INSERT_SHARING,
	SQL_FORGET_HISTORY,
	SQL_FORGET_AUDIT,
	SQL_FORGET_WHO,
	SQL_FORGET_SHARING,
	SQL_SELECT_MOST_HERE,
	SQL_SELECT_VMS,
	SQL_SELECT_TAKEN,
	SQL_SELECT_FRAMES,
	SQL_FIND_VM,
	SQL_SELECT_HISTORY,
	SQL_SELECT_AUDIT,
	SQL_SELECT_LAST_AUDIT,
	SQL_NEWEST,
	SQL_SELECT_WHO,
	SQL_SUM_HISTORY,
	SQL_SUM_SHARING,
	SQL_SUM_WHO,
	SQL_END
};

struct mb_store {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_END];
	char *path;
};

/* -errno with SQLite's own words. */
int mb_sql_fail(struct mb_store *s, struct mb_err *err);
/* Is it ours, or empty (version 0)? Before anything is changed: a mistyped path must harm nobody.
 */
int mb_sql_check_ours(struct mb_store *s, int *ret_version, struct mb_err *err);
int mb_sql_prepare(struct mb_store *s, struct mb_err *err);
/* A statement ready to be bound; mb_cleanup(mb_sql_reset) when done with its rows. */
sqlite3_stmt *mb_sql_get(struct mb_store *s, enum mb_sql which);
void mb_sql_reset(sqlite3_stmt **st);
/* Runs a statement that gives no rows. */
int mb_sql_run(struct mb_store *s, sqlite3_stmt *st, struct mb_err *err);
/*
 * store_load.c: the fingerprint of vm->id as its frames have it; sets what `vm` knows of these.
 * `ret` is empty at first, and the caller's on error, too; *ret_sample: how it was made smaller.
 */
int mb_sql_load_frames(struct mb_store *s, struct mb_vm *vm, struct mb_fingerprint *ret,
		       struct mb_sample_of *ret_sample, struct mb_err *err);
/* store_audit.c: NAN: there is none; and by class what the audits of a history row found. */
double mb_sql_column_ratio(sqlite3_stmt *st, int at);
int mb_sql_load_audit(struct mb_store *s, sqlite3_int64 vm_id, uint64_t acked_unix_ns,
		      struct mb_audit *a, struct mb_err *err);
/* store_who.c: inside a transaction, what the history row that was just put has of it. */
int mb_store_put_who(struct mb_store *s, const struct mb_vm *vm, struct mb_slice who,
		     struct mb_err *err);
/* store_who.c: what one of the SQL_*_WHO gives; `bound` is its second parameter. */
int mb_store_sum_who(struct mb_store *s, enum mb_sql which, sqlite3_int64 vm_id, uint64_t bound,
		     int (*each)(void *ctx, const struct mb_who_row *row), void *ctx,
		     uint64_t *ret_rows, struct mb_err *err);
/*
 * store_churn.c: one stored frame onto the fingerprint so far. *msg: what is in it, the caller's,
 * also on error.
 */
int mb_store_apply(struct mb_slice frame, uint32_t bits, struct mb_buf *raw, struct mb_msg *msg,
		   struct mb_fingerprint *fp, struct mb_err *err);
/* -ENOENT: no such VM. */
int mb_sql_find_vm(struct mb_store *s, const char *name, sqlite3_int64 *ret_id, struct mb_err *err);

static inline void mb_sql_bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
	sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}

static inline void mb_sql_bind_text(sqlite3_stmt *st, int at, const char *text)
{
	sqlite3_bind_text(st, at, text, -1, SQLITE_STATIC);
}

#endif
