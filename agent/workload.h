/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A command that runs while it is watched.
 *
 * It may say itself when an epoch is due: it writes a byte to the descriptor in its environment's
 * MB_EPOCH_ASK_FD and reads one from MB_EPOCH_DONE_FD, which comes when the epoch has been taken.
 */
#ifndef MB_WORKLOAD_H
#define MB_WORKLOAD_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/err.h"

struct mb_workload {
	pid_t pid;	     /* 0: none was started */
	int fd;		     /* readable when it has ended; -1 */
	int ask_fd, done_fd; /* of epochs that it asks for; -1: it does not */
	bool ended;
	int exit_code; /* as shells have it: 128 + N for signal N */
};

/* What env(1) makes of it. */
enum { MB_EXIT_MEASURING = 125, MB_EXIT_NO_EXEC = 126, MB_EXIT_NOT_FOUND = 127 };

/*
 * Returns when it is the program in argv (ends with NULL) that runs. Signals are as they are by
 * default there, none is blocked. It fails with *ret_exit_code: NOT_FOUND, NO_EXEC or MEASURING.
 */
int mb_workload_start(char *const *argv, bool asks, struct mb_workload *ret, int *ret_exit_code,
		      struct mb_err *err);
/* Has it ended by now, or within so long? -1: waits for it. */
bool mb_workload_ended(struct mb_workload *w, int timeout_ms);
/* Asks it to end (SIGTERM), and kills it when it has not after so long. */
void mb_workload_stop(struct mb_workload *w, int patience_ms);
/* Takes what it asks for; true: an epoch. Closes ask_fd when there is nobody to ask any more. */
bool mb_workload_asks(struct mb_workload *w);
void mb_workload_answer(struct mb_workload *w);
/* Kills what still runs. */
void mb_workload_close(struct mb_workload *w);

#endif
