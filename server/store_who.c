// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/store_sql.h"

enum { FIRST_KIND_PUT = 6, FIRST_KIND_GOT = 3 };

static int put_row(struct mb_store *s, const struct mb_vm *vm, const struct mb_who_row *row,
		   struct mb_err *err)
{
	sqlite3_stmt *st = mb_sql_get(s, SQL_INSERT_WHO);

	sqlite3_bind_int64(st, 1, vm->id);
	mb_sql_bind_u64(st, 2, vm->acked_unix_ns);
	mb_sql_bind_text(st, 3, row->process);
	mb_sql_bind_text(st, 4, row->cgroup);
	mb_sql_bind_u64(st, 5, mb_who_frames(row->frames));
	for (int k = 0; k < MB_WHO_KINDS; k++)
		mb_sql_bind_u64(st, FIRST_KIND_PUT + k, row->frames[k]);
	return mb_sql_run(s, st, err);
}

int mb_store_put_who(struct mb_store *s, const struct mb_vm *vm, struct mb_slice who,
		     struct mb_err *err)
{
	struct mb_who_row row;
	int r;

	while ((r = mb_who_next(&who, &row, err)) > 0) {
		r = put_row(s, vm, &row, err);
		if (r < 0)
			return r;
	}
	return r;
}

static void get_row(sqlite3_stmt *st, struct mb_who_row *ret)
{
	const char *process = (const char *)sqlite3_column_text(st, 0);
	const char *cgroup = (const char *)sqlite3_column_text(st, 1);

	*ret = (struct mb_who_row){ 0 };
	snprintf(ret->process, sizeof(ret->process), "%s", process ? process : "");
	snprintf(ret->cgroup, sizeof(ret->cgroup), "%s", cgroup ? cgroup : "");
	for (int k = 0; k < MB_WHO_KINDS; k++)
		ret->frames[k] = (uint64_t)sqlite3_column_int64(st, FIRST_KIND_GOT + k);
}

int mb_store_sum_who(struct mb_store *s, enum mb_sql which, sqlite3_int64 vm_id, uint64_t bound,
		     int (*each)(void *ctx, const struct mb_who_row *row), void *ctx,
		     uint64_t *ret_rows, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, which);
	int step = SQLITE_DONE, r = 0;

	*ret_rows = 0;
	sqlite3_bind_int64(st, 1, vm_id);
	mb_sql_bind_u64(st, 2, bound);
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct mb_who_row row;

		get_row(st, &row);
		if (!*row.process)
			*ret_rows = (uint64_t)sqlite3_column_int64(st, 2);
		r = each(ctx, &row);
	}
	if (r == 0 && step != SQLITE_DONE)
		r = mb_sql_fail(s, err);
	return r;
}

int mb_store_who(struct mb_store *s, const char *vm_name, uint32_t limit,
		 int (*each)(void *ctx, const struct mb_who_row *row), void *ctx,
		 uint64_t *ret_rows, struct mb_err *err)
{
	sqlite3_int64 id;
	int r = mb_sql_find_vm(s, vm_name, &id, err);

	*ret_rows = 0;
	return r < 0 ? r : mb_store_sum_who(s, SQL_SELECT_WHO, id, limit, each, ctx, ret_rows, err);
}
