// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_key.h"

#include <stdio.h>

#include "proto/base/cleanup.h"
#include "server/store_sql.h"

static void finalize(sqlite3_stmt **st)
{
	sqlite3_finalize(*st);
}

/* Asked for so seldom that it need not be prepared beforehand. */
static int prepare(struct mb_store *s, const char *sql, sqlite3_stmt **ret, struct mb_err *err)
{
	return sqlite3_prepare_v2(s->db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : mb_sql_fail(s, err);
}

int mb_store_put_key_rotation(struct mb_store *s, const struct mb_key_rotation *r,
			      struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	char from[MB_KEY_ID_TEXT], to[MB_KEY_ID_TEXT];
	int e = prepare(s,
			"INSERT OR REPLACE INTO key_rotation"
			" (domain, from_key, to_key, begun_unix_ns) VALUES (?1,?2,?3,?4)",
			&st, err);

	if (e < 0)
		return e;
	mb_key_id_format(r->from, from);
	mb_key_id_format(r->to, to);
	mb_sql_bind_text(st, 1, r->domain);
	mb_sql_bind_text(st, 2, from);
	mb_sql_bind_text(st, 3, to);
	mb_sql_bind_u64(st, 4, r->begun_unix_ns);
	return mb_sql_run(s, st, err);
}

int mb_store_end_key_rotation(struct mb_store *s, const char *domain, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int r = prepare(s, "DELETE FROM key_rotation WHERE domain = ?1", &st, err);

	if (r < 0)
		return r;
	mb_sql_bind_text(st, 1, domain);
	return mb_sql_run(s, st, err);
}

static int read_row(struct mb_store *s, sqlite3_stmt *st, struct mb_key_rotation *ret,
		    struct mb_err *err)
{
	const char *domain = (const char *)sqlite3_column_text(st, 0);
	const char *from = (const char *)sqlite3_column_text(st, 1);
	const char *to = (const char *)sqlite3_column_text(st, 2);
	int r = 0;

	*ret = (struct mb_key_rotation){ .begun_unix_ns = (uint64_t)sqlite3_column_int64(st, 3) };
	/* People edit databases. */
	if (!domain || !from || !to || strlen(domain) >= sizeof(ret->domain))
		r = mb_fail(err, EBADMSG, "no domain or no keys");
	if (r == 0 && (r = mb_key_id_parse(from, &ret->from, err)) == 0)
		r = mb_key_id_parse(to, &ret->to, err);
	if (r < 0)
		return mb_fail_in(err, r, "database %s: table key_rotation", s->path);
	strcpy(ret->domain, domain);
	return 0;
}

int mb_store_key_rotations(struct mb_store *s,
			   int (*each)(void *ctx, const struct mb_key_rotation *r,
				       struct mb_err *err),
			   void *ctx, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int step, r = prepare(s,
			      "SELECT domain, from_key, to_key, begun_unix_ns FROM key_rotation"
			      " ORDER BY domain",
			      &st, err);

	while (r == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		struct mb_key_rotation row;

		if (step != SQLITE_ROW)
			return mb_sql_fail(s, err);
		r = read_row(s, st, &row, err);
		if (r == 0)
			r = each(ctx, &row, err);
	}
	return r;
}
