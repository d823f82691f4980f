/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What lasted of a VM, told from the epochs that the store still has of it. */
#ifndef MB_SERVER_CHURN_REPLAY_H
#define MB_SERVER_CHURN_REPLAY_H

#include "proto/churn/churn.h"
#include "server/store_churn.h"

typedef int (*mb_churn_row_fn)(void *ctx, const struct mb_churn_row *row, struct mb_err *err);

/*
 * Of the last `epochs_max` epochs those taken at `since_unix_ns` or later, oldest first. None,
 * where nothing is stored yet, is no error.
 */
int mb_churn_replay(struct mb_store *s, const struct mb_vm *vm,
		    const struct mb_churn_config *config, uint64_t since_unix_ns,
		    uint64_t epochs_max, mb_churn_row_fn each, void *ctx, struct mb_err *err);

#endif
