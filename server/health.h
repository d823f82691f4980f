/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Is the server alive, and of use? For those who restart it (GET /healthz) or send it work (GET
 * /readyz).
 *
 *	alive	the event loop has come round lately
 *	ready	alive, and the last epoch that came could be made durable
 *
 * Told by the threads that know, asked by any.
 */
#ifndef MB_SERVER_HEALTH_H
#define MB_SERVER_HEALTH_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

enum { MB_HEALTH_BEAT_S = 1, MB_HEALTH_DEAD_S = 30 };

struct mb_health {
	_Atomic uint64_t beat_ns; /* monotonic; 0: the loop has not begun */
	_Atomic int failed;	  /* the last epoch could not be kept */
	_Atomic uint64_t failures; /* epochs that could not be kept */
};

static inline void mb_health_beat(struct mb_health *h, uint64_t now_ns)
{
	atomic_store(&h->beat_ns, now_ns);
}

/* An epoch is durable, or could not be made so: the program's log says why. */
void mb_health_stored(struct mb_health *h, bool durable);

/* -ETIME: not alive; the reason says for how long. */
int mb_health_alive(const struct mb_health *h, uint64_t now_ns, struct mb_err *err);
/* As above; -EAGAIN: epochs cannot be kept for now. */
int mb_health_ready(const struct mb_health *h, uint64_t now_ns, struct mb_err *err);

#endif
