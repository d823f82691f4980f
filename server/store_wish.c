// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_wish.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/store_sql.h"

static const char *const names[] = { "cancel", "arrived", "stayed" };

const char *mb_wish_name(enum mb_wish_kind kind)
{
	return names[kind];
}

enum mb_wish_kind mb_wish_find(const char *name)
{
	int i = 0;

	while (i < MB_WISH_KINDS && strcmp(names[i], name) != 0)
		i++;
	return (enum mb_wish_kind)i;
}

static void finalize(sqlite3_stmt **st)
{
	sqlite3_finalize(*st);
}

static int prepare(struct mb_store *s, const char *sql, sqlite3_stmt **ret, struct mb_err *err)
{
	return sqlite3_prepare_v2(s->db, sql, -1, ret, NULL) == SQLITE_OK ? 0 : mb_sql_fail(s, err);
}

static int check_open(struct mb_store *s, int64_t id, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int step, r = prepare(s, "SELECT ended_unix_ns FROM execution WHERE id=?1", &st, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, id);
	step = sqlite3_step(st);
	if (step == SQLITE_DONE)
		return mb_fail(err, ENOENT, "no execution %" PRId64, id);
	if (step != SQLITE_ROW)
		return mb_sql_fail(s, err);
	if (sqlite3_column_type(st, 0) != SQLITE_NULL)
		return mb_fail(err, EALREADY, "execution %" PRId64 " has ended", id);
	return 0;
}

static int insert(struct mb_store *s, struct mb_wish *w, uint64_t at_unix_ns, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int r = prepare(s,
			"INSERT INTO execution_wish (execution, move, wish, at_unix_ns)"
			" VALUES (?1,?2,?3,?4)",
			&st, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, w->execution);
	/* Counted from 1, as the view execution_move does. */
	mb_sql_bind_u64(st, 2, w->kind == MB_WISH_CANCEL ? 0 : (uint64_t)w->move + 1);
	mb_sql_bind_text(st, 3, mb_wish_name(w->kind));
	mb_sql_bind_u64(st, 4, at_unix_ns);
	r = mb_sql_run(s, st, err);
	if (r == 0)
		w->id = sqlite3_last_insert_rowid(s->db);
	return r;
}

int mb_store_put_wish(struct mb_store *s, struct mb_wish *wish, uint64_t at_unix_ns,
		      struct mb_err *err)
{
	int r = mb_store_begin(s, err);

	if (r < 0)
		return r;
	r = check_open(s, wish->execution, err);
	if (r == 0)
		r = insert(s, wish, at_unix_ns, err);
	if (r == 0)
		return mb_store_commit(s, err);
	mb_store_rollback(s);
	return r;
}

int mb_store_wishes(struct mb_store *s, int64_t execution,
		    int (*each)(void *ctx, const struct mb_wish *wish), void *ctx,
		    struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int step = SQLITE_DONE, r = prepare(s,
					    "SELECT id, move, wish FROM execution_wish"
					    " WHERE execution=?1 ORDER BY id",
					    &st, err);

	if (r == 0)
		sqlite3_bind_int64(st, 1, execution);
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		const char *name = (const char *)sqlite3_column_text(st, 2);
		int64_t move = sqlite3_column_int64(st, 1);
		const struct mb_wish w = { .id = sqlite3_column_int64(st, 0),
					   .execution = execution,
					   .move = move > 0 ? (uint32_t)(move - 1) : 0,
					   .kind = mb_wish_find(name ? name : "") };

		/* Of a server to come: not for us to carry out. */
		if (w.kind != MB_WISH_KINDS)
			r = each(ctx, &w);
	}
	return r == 0 && step != SQLITE_DONE ? mb_sql_fail(s, err) : r;
}

int mb_store_drop_wishes(struct mb_store *s, int64_t execution, int64_t up_to, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int r = prepare(s, "DELETE FROM execution_wish WHERE execution=?1 AND id<=?2", &st, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, execution);
	sqlite3_bind_int64(st, 2, up_to);
	return mb_sql_run(s, st, err);
}
