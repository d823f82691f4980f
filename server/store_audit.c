// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_audit.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "server/store_sql.h"

double mb_sql_column_ratio(sqlite3_stmt *st, int at)
{
	return sqlite3_column_type(st, at) == SQLITE_NULL ? NAN : sqlite3_column_double(st, at);
}

/* By its name; one that is not known is that, too. */
static unsigned int column_class(sqlite3_stmt *st, int at)
{
	const char *name = (const char *)sqlite3_column_text(st, at);

	for (unsigned int i = 0; name && i < MB_CLASS_END; i++)
		if (strcmp(name, mb_class_name(i)) == 0)
			return i;
	return MB_CLASS_UNKNOWN;
}

int mb_sql_load_audit(struct mb_store *s, sqlite3_int64 vm_id, uint64_t acked_unix_ns,
		      struct mb_audit *a, struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = mb_sql_get(s, SQL_SELECT_AUDIT);
	int step;

	sqlite3_bind_int64(st, 1, vm_id);
	mb_sql_bind_u64(st, 2, acked_unix_ns);
	while ((step = sqlite3_step(st)) == SQLITE_ROW) {
		unsigned int cls = column_class(st, 0);

		a->follows |= (sqlite3_column_int(st, 1) ? 1u : 0) << cls;
		a->changed[cls] += (uint64_t)sqlite3_column_int64(st, 2);
		a->stale[cls] += (uint64_t)sqlite3_column_int64(st, 3);
	}
	return step == SQLITE_DONE ? 0 : mb_sql_fail(s, err);
}

int mb_store_last_audit(struct mb_store *s, const char *vm_name, struct mb_last_audit *ret,
			struct mb_err *err)
{
	mb_cleanup(mb_sql_reset) sqlite3_stmt *st = NULL;
	sqlite3_int64 id;
	int step, r = mb_sql_find_vm(s, vm_name, &id, err);

	*ret = (struct mb_last_audit){ .recall = NAN, .recall_all = NAN, .precision = NAN };
	if (r < 0)
		return r;
	st = mb_sql_get(s, SQL_SELECT_LAST_AUDIT);
	sqlite3_bind_int64(st, 1, id);
	step = sqlite3_step(st);
	if (step != SQLITE_ROW)
		return step == SQLITE_DONE ? 0 : mb_sql_fail(s, err);
	ret->at_unix_ns = (uint64_t)sqlite3_column_int64(st, 0);
	ret->epoch = (uint64_t)sqlite3_column_int64(st, 1);
	ret->audit.audits = (uint32_t)sqlite3_column_int64(st, 2);
	ret->audit.doubted = (uint32_t)sqlite3_column_int64(st, 3);
	ret->audit.flagged = (uint64_t)sqlite3_column_int64(st, 4);
	ret->audit.flagged_changed = (uint64_t)sqlite3_column_int64(st, 5);
	ret->recall = mb_sql_column_ratio(st, 6);
	ret->recall_all = mb_sql_column_ratio(st, 7);
	ret->precision = mb_sql_column_ratio(st, 8);
	return mb_sql_load_audit(s, id, (uint64_t)sqlite3_column_int64(st, 9), &ret->audit, err);
}
