// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/session.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "proto/break.h"
#include "proto/frame.h"
#include "server/muffle.h"
#include "server/socket_file.h"
#include "server/vm_uri.h"

enum {
	HELLO_RAW_MAX = 65536,
	HELLO_WAIT_S = 10,
	FRAME_WAIT_S = 60,
	FRAME_BYTES_PER_S = 65536, /* the slowest link that is served */
	WRITE_WAIT_S = 60,
	LINGER_S = 5,
	ACCEPT_PAUSE_S = 1,
	LISTENERS_MAX = 8,
	/* Read ahead between frames: a break may come after half a header. */
	AHEAD_BYTES = MB_FRAME_HEADER_BYTES + MB_BREAK_BYTES,
};

enum state { HELLO, IDLE, WAITING, RECEIVING, BUSY, CLOSING };

struct session {
	struct mb_sessions *all;
	struct session *next, **link;
	struct bufferevent *bev; /* NULL: hung up, but a job is still out */
	struct ssl_st *tls;	 /* the bufferevent's; NULL: in clear */
	struct event *deadline;
	enum state state;
	uint64_t id;
	uint32_t vm;
	bool greeted, peer_done;
	bool shaken;	 /* TLS stands */
	bool local;	 /* a unix socket: may be a line whose agent is not there yet */
	bool silent;	 /* no word in time; it may take its time from now on */
	bool line;	 /* began with a break: others may follow, anywhere */
	bool named;	 /* `name` is a VM's, also while it is not greeted (again) */
	size_t searched; /* bytes of the input in which no break begins */
	struct mb_boot boot;
	struct mb_sample_of agreed; /* shift and cut_bits */
	struct mb_identity identity;
	char name[MB_NAME_MAX];	 /* of the VM; of the peer until it has greeted once */
	uint64_t reserved_bytes; /* of the budget */
	uint32_t frame_bytes;	 /* of the frame under way, header included */
};

struct mb_sessions {
	struct event_base *base;
	struct mb_fleet *fleet;
	struct mb_ingest *ingest;
	struct mb_sessions_config config;
	struct event *results, *accept_again;
	struct evconnlistener *listeners[LISTENERS_MAX];
	char *socket_files[LISTENERS_MAX];
	int n_listeners;
	struct session *first;
	uint32_t n;
	uint64_t last_id, reserved_bytes;
	struct mb_muffle muffle;
};

static void say(struct session *s, bool warning, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void say(struct session *s, bool warning, const char *fmt, ...)
{
	char text[800];
	va_list ap;
	int n;

	n = snprintf(text, sizeof(text), s->named ? "VM %s: " : "agent %s: ",
		     s->named || s->tls ? s->name : "(unknown)");
	va_start(ap, fmt);
	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	va_end(ap);
	s->all->config.say(s->all->config.ctx, warning, text);
}

/* --- life and death --------------------------------------------------------------------------- */

static void advance(struct session *s);

/* Who waited for room in the budget may have it now. */
static void wake_waiting(struct mb_sessions *all)
{
	for (struct session *s = all->first, *next; s; s = next) {
		next = s->next;
		if (s->state == WAITING)
			advance(s);
	}
}

static void release(struct session *s)
{
	s->all->reserved_bytes -= s->reserved_bytes;
	s->reserved_bytes = 0;
}

static void free_session(struct session *s)
{
	*s->link = s->next;
	if (s->next)
		s->next->link = s->link;
	s->all->n--;
	free(s);
}

static void hang_up(struct session *s)
{
	struct mb_sessions *all = s->all;
	bool busy = s->state == BUSY;

	bufferevent_free(s->bev);
	s->bev = NULL;
	event_free(s->deadline);
	s->deadline = NULL;
	s->state = CLOSING;
	if (s->greeted)
		mb_fleet_leave(all->fleet, s->vm, s->id);
	release(s);
	/* Ingest still has its pointer; the result will find it without a connection. */
	if (!busy)
		free_session(s);
	wake_waiting(all);
}

/* The whole of what is awaited must be here by then; single bytes do not buy time. 0: no hurry. */
static void set_deadline(struct session *s, uint64_t seconds)
{
	struct timeval t = { .tv_sec = (time_t)seconds };

	if (seconds)
		event_add(s->deadline, &t);
	else
		event_del(s->deadline);
}

static void reply(struct session *s, const struct mb_msg *msg)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	struct mb_err err = { 0 };

	if (mb_msg_to_frame(msg, &frame, &err) < 0 ||
	    bufferevent_write(s->bev, frame.data, frame.len) < 0)
		say(s, true, "answer lost: %s", err.text);
}

/*
 * How much is read ahead. libevent forgets what OpenSSL has of a record that did not fit: there it
 * is one record more at most (16 KiB), and switching reading off is what holds a peer back.
 */
static void read_ahead(struct session *s, size_t low, size_t high)
{
	bufferevent_setwatermark(s->bev, EV_READ, low, s->tls ? 0 : high);
}

/*
 * Says why to the peer, and hangs up when it has had time to read it: closing with input unread
 * would send a reset, which can overtake the reason.
 */
static void turn_away(struct session *s, enum mb_refusal code, const char *reason)
{
	struct mb_msg msg = { .type = MB_MSG_REFUSAL, .refusal = { (uint32_t)code, reason } };
	struct evbuffer *in = bufferevent_get_input(s->bev);
	char text[400];

	/* What travels must be printable and short (FORMAT.md, Text). */
	snprintf(text, sizeof(text), "%s", reason);
	for (char *p = text; *p; p++)
		*p = *p < 0x20 || *p > 0x7e ? '?' : *p;
	msg.refusal.reason = text;
	s->state = CLOSING;
	reply(s, &msg);
	evbuffer_drain(in, evbuffer_get_length(in));
	read_ahead(s, 0, 0);
	bufferevent_enable(s->bev, EV_READ);
	set_deadline(s, LINGER_S);
}

static void refuse(struct session *s, enum mb_refusal code, const char *reason)
{
	say(s, true, "refused: %s", reason);
	turn_away(s, code, reason);
}

/* --- certificates ----------------------------------------------------------------------------- */

/* Counts what anybody on the network can make happen, and says it, but not every time. */
static void count_refusal(struct session *s, enum mb_refused_for why, const char *text)
{
	struct mb_sessions *all = s->all;
	char peer[MB_NAME_MAX + 32], others[64] = "";
	uint64_t held_back;
	int n;

	mb_refusals_count(all->config.refusals, why);
	/* The port is another one every time. */
	n = s->named ? (int)strlen(s->name) : (int)(strrchr(s->name, ':') - s->name);
	snprintf(peer, sizeof(peer), "%.*s %s", n, s->name, mb_refused_for_name(why));
	if (!mb_muffle_pass(&all->muffle, peer, mb_now_ns(), &held_back))
		return;
	if (held_back)
		snprintf(others, sizeof(others), " (and %" PRIu64 " others before)", held_back);
	say(s, true, "refused: %s%s", text, others);
}

static bool may_write(struct session *s, const char *vm)
{
	char cn[80], text[300];

	if (!s->tls || mb_tls_peer_has_uri(s->tls, mb_vm_uri_allows, (void *)(uintptr_t)vm))
		return true;
	mb_tls_peer_name(s->tls, cn, sizeof(cn));
	snprintf(text, sizeof(text), "certificate of \"%s\" does not name VM \"%s\"", cn, vm);
	count_refusal(s, MB_FOR_OTHER_VM, text);
	turn_away(s, MB_REFUSED_RIGHT, text);
	return false;
}

static void on_read(struct bufferevent *bev, void *ctx);
static void on_written(struct bufferevent *bev, void *ctx);
static void on_event(struct bufferevent *bev, short what, void *ctx);

/*
 * TLS has told the peer why. It lingers as in turn_away(), for the same reason; what it goes on to
 * send is not looked at.
 */
static void linger_in_clear(struct session *s)
{
	int fd = dup(bufferevent_getfd(s->bev));
	struct bufferevent *raw = NULL;

	if (fd >= 0)
		raw = bufferevent_socket_new(s->all->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!raw) {
		if (fd >= 0)
			close(fd);
		hang_up(s);
		return;
	}
	bufferevent_free(s->bev);
	s->bev = raw;
	s->tls = NULL;
	s->state = CLOSING;
	shutdown(fd, SHUT_WR);
	bufferevent_setcb(raw, on_read, on_written, on_event, s);
	bufferevent_enable(raw, EV_READ);
	set_deadline(s, LINGER_S);
}

static void fail_handshake(struct session *s)
{
	char text[300];
	enum mb_tls_fault fault;

	/* Who only knocks: health checks do. */
	if (!BIO_number_read(SSL_get_rbio(s->tls))) {
		hang_up(s);
		return;
	}
	fault = mb_tls_why(s->tls, bufferevent_get_openssl_error(s->bev), text, sizeof(text));

	count_refusal(s, mb_refused_for_fault(fault), text);
	linger_in_clear(s);
}

/* --- messages --------------------------------------------------------------------------------- */

static int code_of(int r)
{
	switch (r) {
	case -EXDEV:
		return MB_REFUSED_IDENTITY;
	case -EBUSY:
		return MB_REFUSED_BUSY;
	default:
		return MB_REFUSED_SERVER;
	}
}

static void greet(struct session *s, const struct mb_hello *h)
{
	struct mb_msg msg = { .type = MB_MSG_WELCOME };
	struct mb_err err = { 0 };
	char text[128];
	int r;

	if (h->version != MB_PROTOCOL_VERSION) {
		snprintf(text, sizeof(text), "protocol version %" PRIu32 "; this server knows %d",
			 h->version, MB_PROTOCOL_VERSION);
		refuse(s, MB_REFUSED_VERSION, text);
		return;
	}
	msg.welcome.version = MB_PROTOCOL_VERSION;
	msg.welcome.server = mb_version;
	msg.welcome.max_frame_bytes = s->all->config.max_frame_bytes;
	if (!s->all->config.no_samples) {
		msg.welcome.sample_shift = h->sample_shift;
		msg.welcome.cut_bits = h->cut_bits;
	}
	/* A break in a Delta would be chance or malice; it must not speak for others. */
	if (s->named && strcmp(s->name, h->vm) != 0) {
		refuse(s, MB_REFUSED_BUSY, "this line is another VM's until it is closed");
		return;
	}
	if (!may_write(s, h->vm))
		return;
	r = mb_fleet_greet(s->all->fleet, h, s->id, &msg.welcome, &s->vm, &err);
	if (r < 0) {
		if (r != -EBUSY)
			mb_fail_in(&err, r, "VM \"%s\"", h->vm);
		refuse(s, (enum mb_refusal)code_of(r), err.text);
		return;
	}
	s->greeted = true;
	s->named = true;
	snprintf(s->name, sizeof(s->name), "%s", h->vm);
	s->boot = h->boot;
	s->identity = h->identity;
	s->agreed.shift = msg.welcome.sample_shift;
	s->agreed.cut_bits = msg.welcome.cut_bits;
	s->state = IDLE;
	set_deadline(s, 0);
	say(s, false, "connected (%s), epoch %" PRIu64 " held", h->source, msg.welcome.epoch);
	reply(s, &msg);
}

static void submit(struct session *s, struct mb_buf *frame)
{
	struct mb_ingest_job *job = calloc(1, sizeof(*job));

	if (!job) {
		mb_buf_deinit(frame);
		refuse(s, MB_REFUSED_SERVER, "out of memory");
		return;
	}
	job->session = s;
	job->vm = s->vm;
	job->boot = s->boot;
	job->identity = s->identity;
	job->agreed = s->agreed;
	job->frame = *frame;
	s->state = BUSY;
	bufferevent_disable(s->bev, EV_READ);
	mb_ingest_submit(s->all->ingest, job);
}

static void take_frame(struct session *s)
{
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_buf frame = { 0 };
	struct mb_err err = { 0 };
	struct mb_slice in;
	int r;

	if (!mb_buf_reserve(&frame, s->frame_bytes)) {
		refuse(s, MB_REFUSED_SERVER, "out of memory");
		return;
	}
	frame.len = s->frame_bytes;
	evbuffer_remove(bufferevent_get_input(s->bev), frame.data, frame.len);
	s->frame_bytes = 0;
	s->searched = 0;
	if (s->greeted) {
		submit(s, &frame);
		return;
	}
	in = mb_buf_slice(&frame);
	r = mb_frame_take(&in, HELLO_RAW_MAX, &raw, &err);
	if (r == 0)
		r = mb_msg_unpack(mb_buf_slice(&raw), &msg, &err);
	if (r == 0 && msg.type != MB_MSG_HELLO)
		r = mb_fail(&err, EBADMSG, "a %s message, where a Hello belongs",
			    mb_msg_type_name(msg.type));
	mb_buf_deinit(&frame);
	if (r < 0)
		refuse(s, MB_REFUSED_MESSAGE, err.text);
	else
		greet(s, &msg.hello);
}

/* Room for the frame that is announced; false: not now. */
static bool reserve(struct session *s)
{
	struct mb_sessions *all = s->all;

	if (all->reserved_bytes + s->frame_bytes > all->config.frame_budget_bytes)
		return false;
	all->reserved_bytes += s->frame_bytes;
	s->reserved_bytes = s->frame_bytes;
	return true;
}

/* The input ends in what may become a break. */
static bool ends_in_break(struct evbuffer *in)
{
	uint8_t bytes[AHEAD_BYTES];
	ev_ssize_t len = evbuffer_copyout(in, bytes, sizeof(bytes));

	for (ev_ssize_t n = MB_MIN(len, MB_BREAK_MAGIC_BYTES - 1); n > 0; n--)
		if (memcmp(bytes + len - n, mb_break_magic, (size_t)n) == 0)
			return true;
	return false;
}

static bool read_header(struct session *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);
	uint8_t header[MB_FRAME_HEADER_BYTES];
	struct mb_frame_header h;
	struct mb_err err = { 0 };
	int r;

	if (evbuffer_copyout(in, header, sizeof(header)) < (ev_ssize_t)sizeof(header))
		return false;
	r = mb_frame_header_decode(
		header, s->greeted ? s->all->config.max_frame_bytes : HELLO_RAW_MAX, &h, &err);
	if (r == 0 &&
	    MB_FRAME_HEADER_BYTES + (uint64_t)h.payload_bytes > s->all->config.frame_budget_bytes)
		r = mb_fail(&err, EMSGSIZE,
			    "frame of %" PRIu32 " bytes exceeds the server's budget",
			    h.payload_bytes);
	if (r < 0 && s->line && ends_in_break(in))
		return false;
	if (r < 0) {
		refuse(s, MB_REFUSED_MESSAGE, err.text);
		return false;
	}
	s->frame_bytes = MB_FRAME_HEADER_BYTES + h.payload_bytes;
	return true;
}

/* --- lines (FORMAT.md, 3.1) ------------------------------------------------------------------- */

static void send_break(struct session *s, uint64_t token)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf bytes = { 0 };

	mb_break_put(&bytes, token);
	if (bytes.failed || bufferevent_write(s->bev, bytes.data, bytes.len) < 0)
		say(s, true, "answer lost: out of memory");
}

/* Who was there is gone, with what it had begun to say. */
static void forget_agent(struct session *s, size_t cut_bytes)
{
	if (s->greeted)
		say(s, false, "agent began anew on its line, %zu bytes of a frame dropped",
		    cut_bytes);
	if (s->greeted)
		mb_fleet_leave(s->all->fleet, s->vm, s->id);
	s->greeted = false;
	s->state = HELLO;
	s->frame_bytes = 0;
	read_ahead(s, 0, AHEAD_BYTES);
	bufferevent_enable(s->bev, EV_READ);
	set_deadline(s, HELLO_WAIT_S);
	if (s->reserved_bytes) {
		release(s);
		wake_waiting(s->all);
	}
}

/* Takes the breaks that are there. False: one is, but not the whole of it yet. */
static bool take_breaks(struct session *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);
	const char *magic = (const char *)mb_break_magic;
	uint8_t bytes[MB_BREAK_BYTES];
	struct evbuffer_ptr at;

	if (s->state == HELLO && !s->line)
		s->line =
			evbuffer_copyout(in, bytes, MB_BREAK_MAGIC_BYTES) == MB_BREAK_MAGIC_BYTES &&
			memcmp(bytes, mb_break_magic, MB_BREAK_MAGIC_BYTES) == 0;
	while (s->line) {
		evbuffer_ptr_set(in, &at, s->searched, EVBUFFER_PTR_SET);
		at = evbuffer_search(in, magic, MB_BREAK_MAGIC_BYTES, &at);
		if (at.pos < 0) {
			size_t n = evbuffer_get_length(in);

			s->searched = n < MB_BREAK_MAGIC_BYTES ? 0 : n - MB_BREAK_MAGIC_BYTES + 1;
			break;
		}
		evbuffer_drain(in, (size_t)at.pos);
		s->searched = 0;
		if (s->state != HELLO || s->frame_bytes)
			forget_agent(s, (size_t)at.pos);
		if (evbuffer_copyout(in, bytes, sizeof(bytes)) < (ev_ssize_t)sizeof(bytes))
			return false;
		evbuffer_drain(in, sizeof(bytes));
		send_break(s, mb_break_token(bytes));
	}
	return true;
}

/* Does what the bytes that are there allow. */
static void advance(struct session *s)
{
	struct evbuffer *in = bufferevent_get_input(s->bev);

	if (s->silent) {
		s->silent = false;
		set_deadline(s, HELLO_WAIT_S);
	}
	if (!take_breaks(s))
		return;
	if (s->state == HELLO || s->state == IDLE) {
		if (!read_header(s)) {
			if (s->state == IDLE)
				set_deadline(s, evbuffer_get_length(in) ? FRAME_WAIT_S : 0);
			return;
		}
		s->state = WAITING;
	}
	if (s->state == WAITING) {
		if (!reserve(s)) {
			bufferevent_disable(s->bev, EV_READ);
			return;
		}
		s->state = RECEIVING;
		set_deadline(s, s->greeted ? FRAME_WAIT_S + s->frame_bytes / FRAME_BYTES_PER_S :
					     HELLO_WAIT_S);
		/* Not more than this frame is buffered. A break may cut it anywhere, and end
		   behind it. */
		read_ahead(s, s->line ? 0 : s->frame_bytes,
			   s->frame_bytes + (s->line ? AHEAD_BYTES : 0));
		bufferevent_enable(s->bev, EV_READ);
	}
	if (s->state == RECEIVING && evbuffer_get_length(in) >= s->frame_bytes) {
		read_ahead(s, 0, AHEAD_BYTES);
		take_frame(s);
		if (s->state != BUSY)
			release(s);
		/* What was read ahead. */
		if (s->state == IDLE)
			advance(s);
	}
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct session *s = ctx;
	struct evbuffer *in = bufferevent_get_input(bev);

	if (s->state == CLOSING)
		evbuffer_drain(in, evbuffer_get_length(in));
	else
		advance(s);
}

static void on_written(struct bufferevent *bev, void *ctx)
{
	struct session *s = ctx;

	if (s->state != CLOSING)
		return;
	if (s->peer_done) {
		hang_up(s);
		return;
	}
	/* Its last word, in TLS; should it not fit now, the end comes all the same. */
	if (s->tls && SSL_shutdown(s->tls) < 0)
		ERR_clear_error();
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct session *s = ctx;
	bool in_frame = s->state == RECEIVING || evbuffer_get_length(bufferevent_get_input(bev));
	const char *why = in_frame ? "agent hung up in the middle of a frame" : "agent hung up";

	if (what & BEV_EVENT_CONNECTED) {
		s->shaken = true;
		return;
	}
	if (s->tls && !s->shaken && !(what & BEV_EVENT_EOF)) {
		fail_handshake(s);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		why = "agent does not read what it is told";
	else if (what & BEV_EVENT_ERROR)
		why = evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR());
	/* The end of a refused agent is no news, nor is who only knocks: health checks do. */
	if (s->state != CLOSING && (s->greeted || in_frame))
		say(s, in_frame || what & BEV_EVENT_TIMEOUT, "%s", why);
	/* It may have stopped talking only, and still be reading. */
	if (what & BEV_EVENT_EOF && evbuffer_get_length(bufferevent_get_output(bev))) {
		s->state = CLOSING;
		s->peer_done = true;
		return;
	}
	hang_up(s);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct session *s = ctx;

	(void)fd;
	(void)what;
	/*
	 * A VM without an agent is no fault. One may also be there that has greeted the server of
	 * before, and does not know that there is another: it is asked.
	 */
	if (s->local && s->state == HELLO && !s->named && !s->line &&
	    !evbuffer_get_length(bufferevent_get_input(s->bev))) {
		s->silent = true;
		send_break(s, 0);
		return;
	}
	if (s->state != CLOSING)
		say(s, true,
		    s->greeted ? "agent takes too long to send a frame" : "no Hello in time");
	hang_up(s);
}

static void take_result(struct mb_sessions *all, struct mb_ingest_job *job)
{
	struct session *s = job->session;
	struct mb_msg msg = { 0 };

	release(s);
	if (!s->bev) {
		free_session(s);
		return;
	}
	s->state = IDLE;
	switch (job->verdict) {
	case MB_INGEST_DURABLE:
		msg.type = MB_MSG_ACK;
		msg.ack.epoch = job->epoch;
		msg.ack.fingerprint = job->fingerprint;
		reply(s, &msg);
		break;
	case MB_INGEST_RESYNC:
		say(s, false, "asked for a snapshot: %s", job->reason.text);
		msg.type = MB_MSG_RESYNC;
		job->reason.text[400] = 0;
		msg.resync_reason = job->reason.text;
		reply(s, &msg);
		break;
	case MB_INGEST_BAD:
		refuse(s, MB_REFUSED_MESSAGE, job->reason.text);
		break;
	case MB_INGEST_FOREIGN:
		refuse(s, MB_REFUSED_IDENTITY, job->reason.text);
		break;
	case MB_INGEST_FAILED:
		refuse(s, MB_REFUSED_SERVER, job->reason.text);
		break;
	}
	bufferevent_enable(s->bev, EV_READ);
	if (s->state == IDLE)
		advance(s);
	wake_waiting(all);
}

static void on_results(evutil_socket_t fd, short what, void *ctx)
{
	struct mb_sessions *all = ctx;

	(void)fd;
	(void)what;
	for (struct mb_ingest_job *job = mb_ingest_take(all->ingest), *next; job; job = next) {
		next = job->next;
		take_result(all, job);
		mb_ingest_job_free(job);
	}
}

/* --- accepting -------------------------------------------------------------------------------- */

static void name_peer(struct session *s, const struct sockaddr *peer, int len)
{
	struct mb_address a = { .len = (socklen_t)len };

	memcpy(&a.storage, peer, MB_MIN((size_t)len, sizeof(a.storage)));
	mb_uri_format(&a, s->name, sizeof(s->name));
}

static bool is_tcp(const struct sockaddr *a)
{
	return a->sa_family == AF_INET || a->sa_family == AF_INET6;
}

static struct bufferevent *new_bufferevent(struct mb_sessions *all, evutil_socket_t fd,
					   const struct sockaddr *peer, struct ssl_st **ret_tls)
{
	struct bufferevent *bev;
	struct ssl_st *tls;

	if (!all->config.tls || !is_tcp(peer))
		return bufferevent_socket_new(all->base, fd, BEV_OPT_CLOSE_ON_FREE);
	tls = mb_tls_accept(all->config.tls);
	if (!tls)
		return NULL;
	bev = bufferevent_openssl_socket_new(all->base, fd, tls, BUFFEREVENT_SSL_ACCEPTING,
					     BEV_OPT_CLOSE_ON_FREE);
	if (bev)
		*ret_tls = tls;
	else
		SSL_free(tls);
	return bev;
}

static void on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *peer, int len,
		      void *ctx)
{
	const struct timeval write_wait = { .tv_sec = WRITE_WAIT_S };
	struct mb_sessions *all = ctx;
	struct session *s = NULL;

	(void)l;
	if (all->n < all->config.max_sessions)
		s = calloc(1, sizeof(*s));
	if (s)
		s->deadline = evtimer_new(all->base, on_deadline, s);
	if (s && s->deadline)
		s->bev = new_bufferevent(all, fd, peer, &s->tls);
	if (!s || !s->bev) {
		all->config.say(all->config.ctx, true,
				"an agent was turned away: too many connections");
		if (s && s->deadline)
			event_free(s->deadline);
		free(s);
		close(fd);
		return;
	}
	name_peer(s, peer, len);
	mb_socket_tune(fd, peer);
	s->local = peer->sa_family == AF_UNIX;
	s->all = all;
	s->id = ++all->last_id;
	s->next = all->first;
	s->link = &all->first;
	if (s->next)
		s->next->link = &s->next;
	all->first = s;
	all->n++;
	bufferevent_setcb(s->bev, on_read, on_written, on_event, s);
	read_ahead(s, 0, AHEAD_BYTES);
	bufferevent_set_timeouts(s->bev, NULL, &write_wait);
	set_deadline(s, HELLO_WAIT_S);
	bufferevent_enable(s->bev, EV_READ | EV_WRITE);
}

static void on_accept_error(struct evconnlistener *l, void *ctx)
{
	struct mb_sessions *all = ctx;
	const struct timeval pause = { .tv_sec = ACCEPT_PAUSE_S };
	char text[200];

	snprintf(text, sizeof(text), "accept: %s; no new agents for %d s",
		 evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()), ACCEPT_PAUSE_S);
	all->config.say(all->config.ctx, true, text);
	/* Out of descriptors or memory: the next try would fail at once, and the next, ... */
	evconnlistener_disable(l);
	event_add(all->accept_again, &pause);
}

static void on_accept_again(evutil_socket_t fd, short what, void *ctx)
{
	struct mb_sessions *all = ctx;

	(void)fd;
	(void)what;
	for (int i = 0; i < all->n_listeners; i++)
		evconnlistener_enable(all->listeners[i]);
}

unsigned int mb_sessions_recheck(struct mb_sessions *all)
{
	struct mb_err err = { 0 };
	unsigned int n = 0;

	for (struct session *s = all->first, *next; s; s = next) {
		next = s->next;
		if (!s->bev || !s->tls || !s->shaken || s->state == CLOSING ||
		    mb_tls_recheck(all->config.tls, s->tls, &err) == 0)
			continue;
		n++;
		mb_fail_in(&err, -EACCES, "its certificate, by the files read now");
		mb_refusals_count(all->config.refusals, MB_FOR_REVOKED);
		say(s, true, "cut: %s", err.text);
		/* What is under way is not acked any more. */
		if (s->state == BUSY)
			hang_up(s);
		else
			turn_away(s, MB_REFUSED_RIGHT, err.text);
	}
	return n;
}

int mb_sessions_create(struct event_base *base, struct mb_fleet *fleet, struct mb_ingest *ingest,
		       const struct mb_sessions_config *config, struct mb_sessions **ret,
		       struct mb_err *err)
{
	struct mb_sessions *s = calloc(1, sizeof(*s));

	if (!s)
		return mb_fail_mem(err, "sessions");
	s->base = base;
	s->fleet = fleet;
	s->ingest = ingest;
	s->config = *config;
	s->results = event_new(base, mb_ingest_fd(ingest), EV_READ | EV_PERSIST, on_results, s);
	s->accept_again = evtimer_new(base, on_accept_again, s);
	if (!s->results || !s->accept_again || event_add(s->results, NULL) < 0) {
		mb_sessions_destroy(s);
		return mb_fail_mem(err, "sessions");
	}
	*ret = s;
	return 0;
}

void mb_sessions_destroy(struct mb_sessions *s)
{
	if (!s)
		return;
	for (int i = 0; i < s->n_listeners; i++) {
		evconnlistener_free(s->listeners[i]);
		if (s->socket_files[i])
			unlink(s->socket_files[i]);
		free(s->socket_files[i]);
	}
	while (s->first) {
		struct session *gone = s->first;

		if (gone->bev) {
			bufferevent_free(gone->bev);
			event_free(gone->deadline);
		}
		free_session(gone);
	}
	if (s->results)
		event_free(s->results);
	if (s->accept_again)
		event_free(s->accept_again);
	free(s);
}

int mb_sessions_listen(struct mb_sessions *s, const struct mb_address *address,
		       struct mb_address *ret_bound, struct mb_err *err)
{
	int i = s->n_listeners, r = mb_socket_file_clear(address, err);
	mode_t old;

	if (r < 0)
		return r;
	if (address->sa.sa_family == MB_AF_SERIAL)
		return mb_fail(
			err, EINVAL,
			"a serial line ends at a unix: address on this side (QEMU's -chardev "
			"socket,path=...,reconnect=1)");
	if (is_tcp(&address->sa) && !mb_address_is_local(address) && !s->config.tls &&
	    !s->config.insecure)
		return mb_fail(
			err, EPERM,
			"other machines can reach it: needs TLS (--tls-cert; mbctl pki makes "
			"certificates), or --insecure where a tunnel does that");
	if (i == LISTENERS_MAX)
		return mb_fail(err, ENOSPC, "more than %d addresses to listen on", LISTENERS_MAX);
	old = umask(
		0177); /* a socket file is for this user's agents, unless its folder says more */
	s->listeners[i] = evconnlistener_new_bind(s->base, on_accept, s,
						  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC |
							  LEV_OPT_REUSEABLE,
						  -1, &address->sa, (int)address->len);
	r = errno;
	umask(old);
	if (!s->listeners[i]) {
		char text[200], why[200];

		mb_uri_format(address, text, sizeof(text));
		mb_address_explain(address, r, why, sizeof(why));
		return mb_fail(err, r, "cannot listen on %s: %s", text, why);
	}
	evconnlistener_set_error_cb(s->listeners[i], on_accept_error);
	*ret_bound = (struct mb_address){ .len = sizeof(ret_bound->storage) };
	getsockname(evconnlistener_get_fd(s->listeners[i]), &ret_bound->sa, &ret_bound->len);
	if (address->sa.sa_family == AF_UNIX)
		s->socket_files[i] = strdup(address->un.sun_path);
	s->n_listeners++;
	return 0;
}
