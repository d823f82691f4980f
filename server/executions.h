/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Executions between the store and JSON (docs/json.md). */
#ifndef MB_SERVER_EXECUTIONS_H
#define MB_SERVER_EXECUTIONS_H

#include "server/apply.h"
#include "server/store_execution.h"

struct mb_executions_keeper {
	struct mb_store *store;
	int64_t id; /* 0 at first */
};
/* Of type mb_apply_keep: `ctx` is a keeper; sets "id". */
int mb_executions_keep(void *ctx, const struct mb_execution *x, const json_t *report, json_t *json,
		       struct mb_err *err);

/* { "executions": [ ... ] }: the newest `limit`, newest first. */
int mb_executions_list(struct mb_store *s, uint32_t limit, json_t **ret, struct mb_err *err);
/* The plan's report with its "execution", as it was answered. -ENOENT: no such one. */
int mb_executions_get(struct mb_store *s, int64_t id, json_t **ret, struct mb_err *err);

/*
 * Carries those to their end that a server left behind. What cannot be read is ended as
 * "unreadable".
 */
int mb_executions_resume(struct mb_store *s, uint64_t now_ms, struct mb_err *err);

#endif
