/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The uplink: brings epochs to the server and keeps its word about what arrived.
 *
 *	          connected            Welcome: same base        Ack
 *	  AWAY ------------> GREETING ------------------> READY <------ SENT
 *	   ^  \_ jittered wait             \_ other: base = empty --^  \____^ Resync: base = empty
 *	   |__________ any error ______________________________________________|
 *
 * It holds at most three fingerprints: `base` (acked), `sent` (in flight), `newest` (not sent).
 *When an epoch comes while another waits, the newer one takes its place: the delta that goes out is
 *the net change since the last ack. So memory is bounded however long the server is away.
 *
 * Where the server agrees to less (proto/small.h), that is what is sent and acked; all that it
 * is of is kept until then, for a server that does not.
 *
 * On a serial line (line.h) the greeting starts with a break and goes on at its echo: FORMAT.md,
 * 3.1.
 */
#ifndef MB_UPLINK_H
#define MB_UPLINK_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/pass.h"
#include "proto/base/log.h"
#include "proto/base/tls.h"
#include "proto/base/uri.h"
#include "proto/msg.h"

struct mb_uplink_config {
	const char *uri;
	struct mb_address address;
	struct mb_tls *tls;    /* NULL: in clear */
	const char *tls_name;  /* of the server, in its certificate; with `tls` */
	struct mb_hello hello; /* strings borrowed */
	uint64_t retry_min_ns, retry_max_ns; /* proto/base/backoff.h */
	/* How long an answer may take before the connection is given up; 0: 30 s and 10 min. */
	uint64_t welcome_wait_ns, ack_wait_ns;
	uint32_t who_rows; /* of who dirtied frames so many names go out, the rest in one */
	/* What happened, for the program's log; required. */
	void (*say)(void *ctx, enum mb_log_level level, const char *text);
	void (*acked)(void *ctx, uint64_t epoch, size_t wire_bytes); /* required */
	void *ctx;
};

struct mb_uplink;
int mb_uplink_create(const struct mb_uplink_config *config, struct mb_uplink **ret,
		     struct mb_err *err);
void mb_uplink_destroy(struct mb_uplink *u);

/* Takes the epoch's fingerprint over (leaves it empty); gives it the next number. */
void mb_uplink_offer(struct mb_uplink *u, struct mb_epoch *epoch);
/*
 * Epochs from now on have nothing in common with those before, which are dropped: another `boot`
 * and `identity`. Starts over with a Hello that says so.
 */
void mb_uplink_begin_anew(struct mb_uplink *u, const struct mb_boot *boot,
			  const struct mb_identity *identity);
/* Nothing waits for an ack. */
bool mb_uplink_idle(const struct mb_uplink *u);
/*
 * Does what can be done without waiting, then waits until `until_ns` (monotonic), the next thing to
 * do, or `wake_fd` (-1: none) gets readable. Fails only when going on makes no sense: the server
 * refused this agent for good.
 */
int mb_uplink_run(struct mb_uplink *u, uint64_t until_ns, int wake_fd, struct mb_err *err);

#endif
