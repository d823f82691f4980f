/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Between an execution, which only thinks, and a mover, which only does. */
#ifndef MB_SERVER_EXECUTION_DRIVE_H
#define MB_SERVER_EXECUTION_DRIVE_H

#include "server/execution.h"

/* Makes it durable; when it fails nothing is begun. */
typedef int (*mb_execution_save)(void *ctx, const struct mb_execution *x, struct mb_err *err);

/*
 * Asks all that is due at now_ms, with one save before each begin and one at the end if anything
 * changed. *ret_wake_ms: when to call again; UINT64_MAX: it has ended. A save that fails is told
 * (its error is returned), and what was to begin then is tried again later.
 */
int mb_execution_drive(struct mb_execution *x, struct mb_mover *mover, mb_execution_save save,
		       void *ctx, uint64_t now_ms, uint64_t *ret_wake_ms, struct mb_err *err);

/*
 * The same to the end, time passing as fast as it is asked for: for the dry mover. -ELOOP: it does
 * not end within `steps_max` waits.
 */
int mb_execution_rush(struct mb_execution *x, struct mb_mover *mover, uint64_t now_ms,
		      uint64_t steps_max, struct mb_err *err);

#endif
