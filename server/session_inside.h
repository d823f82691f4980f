/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Inside of sessions, for session*.c only:
 *
 *	session_listen.c	who comes
 *	session_tls.c		whether its certificate is good
 *	session_line.c		breaks
 *	session.c		what it says, frame by frame
 *	session_end.c		what it is told, and how it ends
 *
 * One thread, the event loop's.
 */
#ifndef MB_SERVER_SESSION_INSIDE_H
#define MB_SERVER_SESSION_INSIDE_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <sys/queue.h>

#include "proto/break.h"
#include "proto/frame.h"
#include "server/muffle.h"
#include "server/peers.h"
#include "server/session.h"

enum {
	LISTENERS_MAX = 8,
	/* Read ahead between frames: a break may come after half a header. */
	AHEAD_BYTES = MB_FRAME_HEADER_BYTES + MB_BREAK_BYTES,
};

enum session_state { HELLO, IDLE, WAITING, RECEIVING, BUSY, CLOSING };

struct mb_session {
	struct mb_sessions *all;
	struct mb_session *next, **link;
	struct bufferevent *bev; /* NULL: hung up, but a job is still out */
	struct ssl_st *tls;	 /* the bufferevent's; NULL: in clear */
	struct event *deadline;
	struct mb_peer *peer;		 /* NULL: hung up */
	TAILQ_ENTRY(mb_session) in_line; /* while WAITING */
	enum session_state state;
	uint64_t id;
	uint32_t vm;
	bool greeted, peer_done;
	bool shaken;	 /* TLS stands */
	bool paced;	 /* it does not yet, and others wait for it */
	bool local;	 /* a unix socket: may be a line whose agent is not there yet */
	bool silent;	 /* no word in time; it may take its time from now on */
	bool line;	 /* began with a break: others may follow, anywhere */
	bool named;	 /* `name` is a VM's, also while it is not greeted (again) */
	size_t searched; /* bytes of the input in which no break begins */
	struct mb_boot boot;
	struct mb_identity identity;
	struct mb_sample_of agreed; /* shift and cut_bits */
	char name[MB_NAME_MAX];	    /* of the VM; of the peer until it has greeted once */
	char from[MB_NAME_MAX];	    /* where it came from */
	char wanted[MB_NAME_MAX];   /* the VM of its last Hello, taken or not; "": none yet */
	uint64_t reserved_bytes;    /* of the budget */
	uint32_t frame_bytes;	    /* of the frame under way, header included */
};

struct mb_sessions {
	struct event_base *base;
	struct mb_fleet *fleet;
	struct mb_ingest *ingest;
	struct mb_sessions_config config;
	struct event *results, *accept_again;
	struct evconnlistener *listeners[LISTENERS_MAX];
	char *socket_files[LISTENERS_MAX];
	bool is_tls[LISTENERS_MAX]; /* what comes there shakes hands first */
	int n_listeners;
	uint32_t n_paced;
	bool failing; /* accept() fails: not now */
	struct mb_session *first;
	uint32_t n;
	uint64_t last_id, reserved_bytes;
	struct mb_muffle muffle;
	struct mb_peers *peers;
	TAILQ_HEAD(, mb_session) waiting; /* for room in the budget; first come, first served */
};

/* --- session_end.c ---------------------------------------------------------------------------- */

/* To the program's log, with the VM's or the peer's name in front. */
void mb_session_say(struct mb_session *s, bool warning, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void mb_session_reply(struct mb_session *s, const struct mb_msg *msg);
/*
 * Says why to the peer, and hangs up when it has had time to read it: closing with input unread
 * would send a reset, which can overtake the reason.
 */
void mb_session_turn_away(struct mb_session *s, enum mb_refusal code, const char *reason,
			  uint64_t retry_after_ns);
/* The same, and logs it. */
void mb_session_refuse(struct mb_session *s, enum mb_refusal code, const char *reason);
/* Not now, for a reason that is counted; logged once a minute per peer and reason. */
void mb_session_put_off(struct mb_session *s, enum mb_refused_for why, const char *reason,
			uint64_t retry_after_ns);
/* Counts what anybody on the network can make happen, and says it, but not every time. */
void mb_session_count_refusal(struct mb_session *s, enum mb_refused_for why, const char *reason);
/* The same of one who never got a session. */
void mb_sessions_count_refusal(struct mb_sessions *all, const char *peer, enum mb_refused_for why,
			       const char *reason);
/* `s` is gone when it returns, unless ingest has a job of it. */
void mb_session_hang_up(struct mb_session *s);
void mb_session_free(struct mb_session *s);
/* The whole of what is awaited must be here by then; single bytes do not buy time. 0: no hurry. */
void mb_session_set_deadline(struct mb_session *s, uint64_t ms);
/*
 * How much is read ahead. libevent forgets what OpenSSL has of a record that did not fit: there it
 * is one record more at most (16 KiB), and switching reading off is what holds a peer back.
 */
void mb_session_read_ahead(struct mb_session *s, size_t low, size_t high);
/* Gives back what it has of the budget, ... */
void mb_session_release(struct mb_session *s);
/* ... which those who wait for room may have now. */
void mb_sessions_wake_waiting(struct mb_sessions *all);
/* Into the line of those who wait, where it is not in it yet; and out of it. */
void mb_session_wait(struct mb_session *s);
void mb_session_wait_no_more(struct mb_session *s);

/* --- session_listen.c ------------------------------------------------------------------------- */

/* Nobody waits for its handshake any more. */
void mb_session_end_pace(struct mb_session *s);

/* --- session_tls.c ---------------------------------------------------------------------------- */

/* Its certificate names the VM, or it needs none. False: it was turned away. */
bool mb_session_may_write(struct mb_session *s, const char *vm);
void mb_session_fail_handshake(struct mb_session *s);

/* --- session_line.c --------------------------------------------------------------------------- */

void mb_session_send_break(struct mb_session *s, uint64_t token);
/* Takes the breaks that are there. False: one is, but not the whole of it yet. */
bool mb_session_take_breaks(struct mb_session *s);
/* The input ends in what may become a break. */
bool mb_session_ends_in_break(struct evbuffer *in);

/* --- session.c -------------------------------------------------------------------------------- */

/* Does what the bytes that are there allow. */
void mb_session_advance(struct mb_session *s);
/* Callbacks of the bufferevent, the deadline's timer, and ingest's results. */
void mb_session_on_read(struct bufferevent *bev, void *ctx);
void mb_session_on_written(struct bufferevent *bev, void *ctx);
void mb_session_on_event(struct bufferevent *bev, short what, void *ctx);
void mb_session_on_deadline(evutil_socket_t fd, short what, void *ctx);
void mb_sessions_on_results(evutil_socket_t fd, short what, void *ctx);

#endif
