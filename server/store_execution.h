/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What was carried out: executions of plans, the newest kept (schema.sql.h has the table). */
#ifndef MB_SERVER_STORE_EXECUTION_H
#define MB_SERVER_STORE_EXECUTION_H

#include "server/store.h"

enum { MB_EXECUTIONS_KEPT = 100 };

struct mb_execution_record {
	int64_t id;				 /* 0: not stored yet */
	uint64_t created_unix_ms, ended_unix_ms; /* 0: has not ended */
	const char *mover, *question, *planner, *state;
	uint32_t moves, done;
	const char *plan, *execution; /* JSON; NULL in a list */
};

/*
 * A transaction of its own, durable when it returns 0. Sets rec->id when new; one that is there is
 * replaced but for its plan. Of those that have ended the oldest are forgotten.
 */
int mb_store_put_execution(struct mb_store *s, struct mb_execution_record *rec, struct mb_err *err);
/* The newest `limit`, newest first, without plan and execution. Strings are the callback's only. */
int mb_store_executions(struct mb_store *s, uint32_t limit,
			int (*each)(void *ctx, const struct mb_execution_record *rec), void *ctx,
			struct mb_err *err);
/* All of one. -ENOENT: no such execution. */
int mb_store_execution(struct mb_store *s, int64_t id,
		       int (*each)(void *ctx, const struct mb_execution_record *rec), void *ctx,
		       struct mb_err *err);

#endif
