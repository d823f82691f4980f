/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions: agents' connections on the event loop.
 *
 *	HELLO --Hello ok--> IDLE --frame complete--> BUSY --durable--> IDLE
 *	  \ bad, busy, wrong key                       \ bad, store failed
 *	   `---------> CLOSING (Refusal, then hang up) <'
 *
 * Memory is bounded: before its Hello an agent may send little; after it, one frame at a time, and
 *only while the frames of all agents together fit the budget. An agent that finds no room waits
 *unread; who came first is served first.
 *
 * What cannot be had now (a quota is used up, the store takes nothing) is refused with the time to
 * come back; until then the agent makes one net delta, so nothing is lost.
 *
 * By TCP, where there is a `tls`, TLS comes first: a certificate of our CA, which must name the VM
 *of the Hello (vm_uri.h). Other ways are as safe as the machine itself and stay as they are.
 *
 * When a fleet comes back at once, hands are shaken with a few at a time, and the others stay in
 *the kernel's queue: all at once would end together, late, and be too late together. Who dawdles is
 *not waited for, so silence keeps nobody out.
 *
 * A connection that starts with a break is a line (FORMAT.md, 3.1): a further break ends what was
 * under way, and leads from any state but CLOSING back to HELLO; from BUSY when the result is told.
 */
#ifndef MB_SERVER_SESSION_H
#define MB_SERVER_SESSION_H

#include <event2/event.h>

#include "proto/base/tls.h"
#include "proto/base/uri.h"
#include "server/contacts.h"
#include "server/fleet.h"
#include "server/health.h"
#include "server/ingest.h"
#include "server/quota.h"
#include "server/refusals.h"

/* How long a peer may take; single bytes do not buy time. */
struct mb_session_waits {
	uint32_t handshake_ms; /* from the connection until TLS stands */
	uint32_t pace_ms;      /* of this, while others wait for it (max_handshakes) */
	uint32_t hello_ms;     /* from then, or in clear from the connection, to a whole Hello */
	uint32_t frame_ms;     /* from a frame's first byte to its last, ... */
	uint32_t bytes_per_s; /* ... and a second for so many bytes: the slowest link that is served
			       */
	uint32_t write_ms;    /* without taking a byte of what it is told */
	uint32_t linger_ms;   /* to read why it is refused */
};
extern const struct mb_session_waits mb_session_waits_default;

struct mb_sessions_config {
	uint32_t max_sessions;
	uint32_t max_handshakes;      /* of TLS, under way at a time; 0: the default */
	uint32_t max_frame_bytes;     /* raw */
	uint64_t frame_budget_bytes;  /* compressed, all sessions together; at least max_frame_bytes
				       */
	struct mb_tls *tls;	      /* NULL: TCP in clear, on loopback only ... */
	bool insecure;		      /* ... or anywhere: the operator has a tunnel */
	bool no_samples;	      /* agents that offer less are to send all */
	struct mb_refusals *refusals; /* required */
	struct mb_contacts *contacts; /* told who came, and who was refused; may be NULL */
	struct mb_health *health;     /* told whether epochs can be kept; may be NULL */
	struct mb_quota quota, quota_local; /* of each peer (peers.h); all zero: none */
	struct mb_session_waits waits;	    /* all zero: the default */
	/* What happened, for the program's log: "VM web1: ..."; required. */
	void (*say)(void *ctx, bool warning, const char *text);
	void *ctx;
};

struct mb_sessions;
int mb_sessions_create(struct event_base *base, struct mb_fleet *fleet, struct mb_ingest *ingest,
		       const struct mb_sessions_config *config, struct mb_sessions **ret,
		       struct mb_err *err);
/* Hangs up on everybody. */
/* Who is behind them; for before any comes. */
struct mb_peers *mb_sessions_peers(struct mb_sessions *s);
void mb_sessions_destroy(struct mb_sessions *s);

/*
 * Listens on one more address; *ret_bound says where (port 0: a free one). A socket file that
 * nobody listens on is replaced.
 */
int mb_sessions_listen(struct mb_sessions *s, const struct mb_address *address,
		       struct mb_address *ret_bound, struct mb_err *err);

/*
 * After mb_tls_reload(): cuts the sessions that would be refused now. Returns how many that were.
 */
unsigned int mb_sessions_recheck(struct mb_sessions *s);

#endif
