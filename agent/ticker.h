/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What ends or hastens a long-running command: SIGINT and SIGTERM stop it, SIGUSR1 asks for an
 * epoch now, SIGHUP to read files again. They arrive on a file descriptor, so that nothing
 * is interrupted in the middle.
 */
#ifndef MB_AGENT_TICKER_H
#define MB_AGENT_TICKER_H

#include <stdbool.h>

#include "proto/base/err.h"

struct mb_ticker {
	int fd; /* readable when a signal has come */
	bool stop, epoch_now, reload;
	bool reloads; /* set it where SIGHUP is to mean `reload`; else it stops, too */
};

int mb_ticker_open(struct mb_ticker *t, struct mb_err *err);
void mb_ticker_close(struct mb_ticker *t);
/* Takes what has come, without waiting. */
void mb_ticker_take(struct mb_ticker *t);

#endif
