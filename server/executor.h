/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Drives executions whose mover takes its time: a thread with a mover and a connection to the
 * database of its own, so that neither HTTP nor ingest ever waits for a migration.
 *
 * Nothing is handed to it but through the database: who wants a plan carried out, or an execution
 * ended, writes that down (server/executions.h, server/store_wish.h) and kicks. So a server that
 * was killed and one that was just asked look the same to it, what was told to an operator is never
 * lost, and a move that was begun is never begun again: it is asked for.
 */
#ifndef MB_SERVER_EXECUTOR_H
#define MB_SERVER_EXECUTOR_H

#include "server/mover.h"
#include "server/store.h"

struct mb_executor_config {
	/* Of the store, or of an execution that cannot be read; once for each in a row. Required.
	 */
	void (*warn)(void *ctx, const char *text);
	void *ctx;
};

struct mb_executor;
/*
 * `store` and `mover` are the executor's from now on, on failure too. Takes up all executions of
 * that mover which have not ended; each counts that in "restarts".
 */
int mb_executor_start(struct mb_store *store, struct mb_mover *mover,
		      const struct mb_executor_config *config, struct mb_executor **ret,
		      struct mb_err *err);
/* There is news in the database. Any thread; returns at once. */
void mb_executor_kick(struct mb_executor *e);
/* Its mover's name, for mb_executions_open.mover. */
const char *mb_executor_mover(const struct mb_executor *e);
/* Migrations that are under way go on; what is not over stays in the database as it is. */
void mb_executor_stop(struct mb_executor *e);

#endif
