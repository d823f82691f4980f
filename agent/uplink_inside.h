/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of the uplink, for uplink*.c only:
 *
 *	uplink.c	the connection, and bytes
 *	uplink_talk.c	what is held, what is sent of it, and what the server says to that
 */
#ifndef MB_UPLINK_INSIDE_H
#define MB_UPLINK_INSIDE_H

#include "agent/line.h"
#include "agent/uplink.h"
#include "proto/base/backoff.h"

enum mb_uplink_state {
	AWAY,	    /* no connection; `retry_ns` says when to try again */
	CONNECTING, /* connect() under way */
	GREETING,   /* Hello sent, Welcome awaited */
	READY,	    /* nothing in flight */
	SENT,	    /* a delta in flight, its Ack awaited */
};

struct mb_held {
	struct mb_fingerprint fp;
	/* How fp was made smaller, and what of; and all of that, until it is acked. */
	struct mb_sample_of sample;
	struct mb_fingerprint whole;
	uint64_t epoch; /* 0: the empty fingerprint, which every server has */
	struct mb_pass_info info;
	struct mb_who who;
};

struct mb_uplink {
	struct mb_uplink_config config;
	enum mb_uplink_state state;
	struct mb_line line;
	uint64_t token;			   /* of our break, on a serial line */
	bool heard;			   /* the server has echoed it: what comes now is for us */
	struct mb_held base, sent, newest; /* sent and newest: epoch 0 = none */
	uint64_t last_epoch;
	uint64_t retry_ns, deadline_ns;
	struct mb_backoff backoff;
	bool greeted; /* since the last loss of connection */
	char last_failure[512];
	uint32_t max_raw_bytes;
	struct mb_sample_of agreed; /* shift and cut_bits, as Welcome says */
	struct mb_buf out, in, raw;
	size_t out_at, sent_bytes;
};

/* --- uplink.c --------------------------------------------------------------------------------- */

/* To the program's log. */
void mb_uplink_say(struct mb_uplink *u, enum mb_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Hangs up, and tries again later: in `pause_ns` at least, when the server has said so. */
void mb_uplink_go_away(struct mb_uplink *u, const char *why, uint64_t pause_ns);
void mb_uplink_wait_for_answer(struct mb_uplink *u, uint64_t wait_ns);

/* --- uplink_talk.c ---------------------------------------------------------------------------- */

void mb_uplink_drop(struct mb_held *h);
/* What waits goes out, as the net change since the last ack. */
int mb_uplink_send_newest(struct mb_uplink *u, struct mb_err *err);
/* Fails when the server refuses this agent for good. */
int mb_uplink_take(struct mb_uplink *u, const struct mb_msg *msg, struct mb_err *err);

#endif
