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
 * When a server begins: those of mover `dry`, which nobody waits for, are carried to their end;
 * those of `mover` (NULL: none) are left as they are, for who drives them; all others become
 * "interrupted": what was begun may be under way, and there is nobody to ask. What cannot be read
 * is ended as "unreadable".
 */
int mb_executions_resume(struct mb_store *s, const char *mover, uint64_t now_ms,
			 struct mb_err *err);

/* --- for who drives them (server/executor.h) --- */

/* One that is under way. */
struct mb_executions_open {
	int64_t id;
	char mover[MB_NAME_MAX];
};
/* Those that have not ended, the oldest first. *ret is the caller's. */
int mb_executions_open(struct mb_store *s, struct mb_executions_open **ret, size_t *ret_n,
		       struct mb_err *err);
/* *ret_restarts: how many servers have taken it up since it was made. -EINVAL: cannot be read. */
int mb_executions_load(struct mb_store *s, int64_t id, struct mb_execution *ret,
		       uint32_t *ret_restarts, struct mb_err *err);
int mb_executions_save(struct mb_store *s, int64_t id, const struct mb_execution *x,
		       const char *mover, uint32_t restarts, struct mb_err *err);
/* Ends it as "unreadable". */
int mb_executions_give_up(struct mb_store *s, int64_t id, uint64_t now_ms, struct mb_err *err);

#endif
