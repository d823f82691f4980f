/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the execution: how moves change their state. For execution*.c only. */
#ifndef MB_SERVER_EXECUTION_INSIDE_H
#define MB_SERVER_EXECUTION_INSIDE_H

#include "server/execution.h"

static inline bool mb_move_has_ended(const struct mb_execution_move *m)
{
	return m->ended_ms != 0;
}

static inline bool mb_move_is_active(const struct mb_execution_move *m)
{
	return !m->ended_ms && (m->state == MB_MOVE_RUNNING || m->state == MB_MOVE_LOST);
}

/* -EINVAL names the option. */
int mb_execution_options_check(const struct mb_execution_options *o, struct mb_err *err);
/* From hosts and moves: all that follows from them. */
int mb_execution_derive(struct mb_execution *x, struct mb_err *err);
/* Frees its slots; `state` is how it ended. Its room is settled by the next two. */
void mb_execution_end_move(struct mb_execution *x, struct mb_execution_move *m,
			   enum mb_move_state state, uint64_t now_ms);
/* Nothing of it is on its destination. */
void mb_execution_release(struct mb_execution *x, struct mb_execution_move *m);
/* Back to those that wait. */
void mb_execution_wait(struct mb_execution *x, struct mb_execution_move *m, uint64_t due_ms);
/* Cut and made printable. */
void mb_execution_reason(struct mb_execution_move *m, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* How long one try may take. */
uint64_t mb_execution_deadline_ms(const struct mb_execution *x, const struct mb_execution_move *m);
/* For the n-th time in vain: doubles up to the longest. */
uint64_t mb_execution_backoff_ms(uint64_t first_ms, uint64_t max_ms, uint32_t n);

#endif
