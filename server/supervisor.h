/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What systemd is told of the server, where it waits for that (Type=notify, sd_notify(3)): that it
 * serves, what it does, that it ends. Elsewhere, without NOTIFY_SOCKET, nothing happens.
 */
#ifndef MB_SERVER_SUPERVISOR_H
#define MB_SERVER_SUPERVISOR_H

#include <stdbool.h>

#include "proto/base/err.h"

enum { MB_SUPERVISOR_BYTES = 256 };

/* Zeroed: nothing was told. One thread. */
struct mb_supervisor {
	char told[MB_SUPERVISOR_BYTES];
};

/* Somebody waits: each word takes a unix datagram socket of its own (sandbox.h). */
bool mb_supervisor_waits(void);
/* "STATUS=", if it is another one than before. What is lost is of no matter. */
void mb_supervisor_does(struct mb_supervisor *s, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* READY=1. Negative: systemd could not be told, and will take the server for one that hangs. */
int mb_supervisor_ready(struct mb_err *err);
/* STOPPING=1 */
void mb_supervisor_stops(struct mb_supervisor *s, const char *why);

#endif
