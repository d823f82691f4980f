/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The historian: a thread that has the matrix computed now and then, also when nobody asks, so that
 * the history of inter-VM sharing has no holes; and that forgets what is too old.
 */
#ifndef MB_SERVER_HISTORIAN_H
#define MB_SERVER_HISTORIAN_H

#include "server/sharing.h"
#include "server/store.h"

struct mb_historian_config {
	uint64_t interval_ns;	/* between computations */
	uint64_t keep_ns;	/* of history; 0: all of it */
	const char *fleet_path; /* says where VMs run, where agents do not; NULL: none */
	void (*warn)(void *ctx, const char *text); /* required; from this thread */
	void *ctx;
};

struct mb_historian;
/* `store` is this thread's from now on, and closed at its end; not if it did not start. */
int mb_historian_start(struct mb_sharing *sharing, struct mb_store *store,
		       const struct mb_historian_config *config, struct mb_historian **ret,
		       struct mb_err *err);
void mb_historian_stop(struct mb_historian *h); /* NULL is fine */

#endif
