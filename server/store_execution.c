// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_execution.h"

#include <inttypes.h>

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

static uint64_t ns(uint64_t ms)
{
	return ms * 1000000;
}

static int insert(struct mb_store *s, struct mb_execution_record *rec, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int r = prepare(s,
			"INSERT INTO execution (at_unix_ns, ended_unix_ns, mover, question,"
			" planner, state, moves, done, plan, execution)"
			" VALUES (?1,nullif(?2,0),?3,?4,?5,?6,?7,?8,?9,?10)",
			&st, err);

	if (r < 0)
		return r;
	mb_sql_bind_u64(st, 1, ns(rec->created_unix_ms));
	mb_sql_bind_u64(st, 2, ns(rec->ended_unix_ms));
	mb_sql_bind_text(st, 3, rec->mover);
	mb_sql_bind_text(st, 4, rec->question);
	mb_sql_bind_text(st, 5, rec->planner);
	mb_sql_bind_text(st, 6, rec->state);
	mb_sql_bind_u64(st, 7, rec->moves);
	mb_sql_bind_u64(st, 8, rec->done);
	mb_sql_bind_text(st, 9, rec->plan);
	mb_sql_bind_text(st, 10, rec->execution);
	r = mb_sql_run(s, st, err);
	if (r == 0)
		rec->id = sqlite3_last_insert_rowid(s->db);
	return r;
}

static int update(struct mb_store *s, const struct mb_execution_record *rec, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int r = prepare(s,
			"UPDATE execution SET ended_unix_ns=nullif(?2,0), state=?3, done=?4,"
			" execution=?5 WHERE id=?1",
			&st, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, rec->id);
	mb_sql_bind_u64(st, 2, ns(rec->ended_unix_ms));
	mb_sql_bind_text(st, 3, rec->state);
	mb_sql_bind_u64(st, 4, rec->done);
	mb_sql_bind_text(st, 5, rec->execution);
	return mb_sql_run(s, st, err);
}

/* Never the newest, so that no number is given twice. */
static int forget_old(struct mb_store *s, struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int r = prepare(s,
			"DELETE FROM execution WHERE ended_unix_ns IS NOT NULL AND id NOT IN"
			" (SELECT id FROM execution ORDER BY id DESC LIMIT ?1)",
			&st, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, MB_EXECUTIONS_KEPT);
	return mb_sql_run(s, st, err);
}

int mb_store_put_execution(struct mb_store *s, struct mb_execution_record *rec, struct mb_err *err)
{
	int64_t id = rec->id;
	int r = mb_store_begin(s, err);

	if (r < 0)
		return r;
	r = id ? update(s, rec, err) : insert(s, rec, err);
	if (r == 0)
		r = forget_old(s, err);
	if (r == 0)
		r = mb_store_commit(s, err);
	else
		mb_store_rollback(s);
	if (r < 0)
		rec->id = id;
	return r;
}

static const char *text(sqlite3_stmt *st, int at)
{
	return (const char *)sqlite3_column_text(st, at);
}

static struct mb_execution_record record(sqlite3_stmt *st)
{
	return (struct mb_execution_record){
		.id = sqlite3_column_int64(st, 0),
		.created_unix_ms = (uint64_t)sqlite3_column_int64(st, 1) / 1000000,
		.ended_unix_ms = (uint64_t)sqlite3_column_int64(st, 2) / 1000000,
		.mover = text(st, 3),
		.question = text(st, 4),
		.planner = text(st, 5),
		.state = text(st, 6),
		.moves = (uint32_t)sqlite3_column_int64(st, 7),
		.done = (uint32_t)sqlite3_column_int64(st, 8),
		.plan = text(st, 9),
		.execution = text(st, 10),
	};
}

#define COLUMNS "SELECT id, at_unix_ns, ended_unix_ns, mover, question, planner, state, moves, done"

int mb_store_executions(struct mb_store *s, uint32_t limit,
			int (*each)(void *ctx, const struct mb_execution_record *rec), void *ctx,
			struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	int step = SQLITE_DONE, r = prepare(s,
					    COLUMNS ", NULL, NULL FROM execution"
						    " ORDER BY id DESC LIMIT ?1",
					    &st, err);

	if (r == 0)
		mb_sql_bind_u64(st, 1, limit);
	while (r == 0 && (step = sqlite3_step(st)) == SQLITE_ROW) {
		struct mb_execution_record rec = record(st);

		r = each(ctx, &rec);
	}
	return r == 0 && step != SQLITE_DONE ? mb_sql_fail(s, err) : r;
}

int mb_store_execution(struct mb_store *s, int64_t id,
		       int (*each)(void *ctx, const struct mb_execution_record *rec), void *ctx,
		       struct mb_err *err)
{
	mb_cleanup(finalize) sqlite3_stmt *st = NULL;
	struct mb_execution_record rec;
	int step, r = prepare(s, COLUMNS ", plan, execution FROM execution WHERE id=?1", &st, err);

	if (r < 0)
		return r;
	sqlite3_bind_int64(st, 1, id);
	step = sqlite3_step(st);
	if (step == SQLITE_DONE)
		return mb_fail(err, ENOENT, "no execution %" PRId64, id);
	if (step != SQLITE_ROW)
		return mb_sql_fail(s, err);
	rec = record(st);
	return each(ctx, &rec);
}
