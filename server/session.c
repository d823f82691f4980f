// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/session_inside.h"

#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"

/* Who does not read what it is told is not asked for more. */
enum { HELLO_RAW_MAX = 65536, UNREAD_MAX = 65536 };

/* Time to come back: a quota is given back bit by bit, a disk takes an operator. */
#define PAUSE_MIN_NS	  ((uint64_t)1000000000)
#define STORE_PAUSE_NS	  ((uint64_t)5000000000)
#define SESSIONS_PAUSE_NS ((uint64_t)30000000000)

const struct mb_session_waits mb_session_waits_default = {
	.handshake_ms = 30000,
	.pace_ms = 1000,
	.hello_ms = 10000,
	.frame_ms = 60000,
	.bytes_per_s = 65536,
	.write_ms = 60000,
	.linger_ms = 5000,
};

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

/* From now on it counts for its certificate, not for the address that it comes from. */
static bool join_by_certificate(struct mb_session *s)
{
	char cn[80], name[MB_PEER_NAME_MAX];
	struct mb_err err = { 0 };
	uint64_t now_ns = mb_now_ns();
	struct mb_peer *peer;

	if (!s->tls)
		return true;
	mb_tls_peer_name(s->tls, cn, sizeof(cn));
	snprintf(name, sizeof(name), "certificate \"%s\"", cn);
	if (strcmp(name, s->peer->name) == 0)
		return true;
	if (mb_peers_join(s->all->peers, name, false, now_ns, &peer, &err) < 0) {
		mb_fail_in(&err, -EDQUOT, "%s", name);
		mb_session_put_off(s, MB_FOR_QUOTA + MB_QUOTA_SESSIONS, err.text,
				   SESSIONS_PAUSE_NS);
		return false;
	}
	mb_peers_leave(s->all->peers, s->peer, now_ns);
	s->peer = peer;
	return true;
}

/* Its peer may write so many VMs. */
static bool claim_vm(struct mb_session *s, const char *vm, bool *ret_new)
{
	struct mb_err err = { 0 };

	if (mb_peer_claim_vm(s->peer, vm, ret_new, &err) == 0)
		return true;
	mb_fail_in(&err, -EDQUOT, "%s", s->peer->name);
	mb_session_put_off(s, MB_FOR_QUOTA + MB_QUOTA_VMS, err.text, SESSIONS_PAUSE_NS);
	return false;
}

/* The frame that is announced is within its peer's quota. */
static bool take_quota(struct mb_session *s)
{
	enum mb_quota_kind kind;
	struct mb_err err = { 0 };
	uint64_t wait_ns;

	if (!s->greeted || mb_flow_take(&s->peer->flow, s->peer->quota, s->frame_bytes, mb_now_ns(),
					&kind, &wait_ns, &err) == 0)
		return true;
	mb_fail_in(&err, -EDQUOT, "%s", s->peer->name);
	mb_session_put_off(s, MB_FOR_QUOTA + kind, err.text, MB_MAX(wait_ns, PAUSE_MIN_NS));
	return false;
}

static void greet(struct mb_session *s, const struct mb_hello *h)
{
	struct mb_msg msg = { .type = MB_MSG_WELCOME };
	struct mb_err err = { 0 };
	char text[128];
	bool new_vm;
	int r;

	snprintf(s->wanted, sizeof(s->wanted), "%s", h->vm);
	msg.welcome.version = mb_version_common(h->version, h->newest_version, MB_PROTOCOL_OLDEST,
						MB_PROTOCOL_VERSION);
	if (!msg.welcome.version) {
		snprintf(text, sizeof(text), "protocol version %" PRIu32 "; this server knows %d",
			 h->version, MB_PROTOCOL_VERSION);
		mb_session_refuse(s, MB_REFUSED_VERSION, text);
		return;
	}
	msg.welcome.server = mb_version;
	msg.welcome.max_frame_bytes = s->all->config.max_frame_bytes;
	if (!s->all->config.no_samples) {
		msg.welcome.sample_shift = h->sample_shift;
		msg.welcome.cut_bits = h->cut_bits;
	}
	/* A break in a Delta would be chance or malice; it must not speak for others. */
	if (s->named && strcmp(s->name, h->vm) != 0) {
		mb_session_refuse(s, MB_REFUSED_BUSY,
				  "this line is another VM's until it is closed");
		return;
	}
	if (!mb_session_may_write(s, h->vm) || !join_by_certificate(s) ||
	    !claim_vm(s, h->vm, &new_vm))
		return;
	r = mb_fleet_greet(s->all->fleet, h, s->id, &msg.welcome, &s->vm, &err);
	if (r < 0) {
		if (new_vm)
			mb_peer_drop_vm(s->peer, h->vm);
		if (r != -EBUSY)
			mb_fail_in(&err, r, "VM \"%s\"", h->vm);
		mb_session_refuse(s, (enum mb_refusal)code_of(r), err.text);
		return;
	}
	s->greeted = true;
	s->named = true;
	snprintf(s->name, sizeof(s->name), "%s", h->vm);
	mb_contacts_greeted(s->all->config.contacts, h->vm, s->from, mb_unix_ns());
	s->boot = h->boot;
	s->identity = h->identity;
	s->agreed.shift = msg.welcome.sample_shift;
	s->agreed.cut_bits = msg.welcome.cut_bits;
	s->state = IDLE;
	mb_session_set_deadline(s, 0);
	mb_session_say(s, false, "connected (%s), epoch %" PRIu64 " held", h->source,
		       msg.welcome.epoch);
	mb_session_reply(s, &msg);
}

static void submit(struct mb_session *s, struct mb_buf *frame)
{
	struct mb_ingest_job *job = calloc(1, sizeof(*job));

	if (!job) {
		mb_buf_deinit(frame);
		mb_session_refuse(s, MB_REFUSED_SERVER, "out of memory");
		return;
	}
	job->session = s;
	job->vm = s->vm;
	snprintf(job->writer, sizeof(job->writer), "%s", s->peer->name);
	job->boot = s->boot;
	job->identity = s->identity;
	job->agreed = s->agreed;
	job->frame = *frame;
	s->state = BUSY;
	/* It has kept its time; from here on it is we who are slow. */
	mb_session_set_deadline(s, 0);
	bufferevent_disable(s->bev, EV_READ);
	mb_ingest_submit(s->all->ingest, job);
}

static void take_frame(struct mb_session *s)
{
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_buf frame = { 0 };
	struct mb_err err = { 0 };
	struct mb_slice in;
	int r;

	if (!mb_buf_reserve(&frame, s->frame_bytes)) {
		mb_session_refuse(s, MB_REFUSED_SERVER, "out of memory");
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
		mb_session_refuse(s, MB_REFUSED_MESSAGE, err.text);
	else
		greet(s, &msg.hello);
}

/* Room for the frame that is announced; false: not now. */
static bool reserve(struct mb_session *s)
{
	struct mb_sessions *all = s->all;

	/* Who came first is served first, however much it needs. */
	if (!TAILQ_EMPTY(&all->waiting) && TAILQ_FIRST(&all->waiting) != s)
		return false;
	if (all->reserved_bytes + s->frame_bytes > all->config.frame_budget_bytes)
		return false;
	all->reserved_bytes += s->frame_bytes;
	s->reserved_bytes = s->frame_bytes;
	return true;
}

static bool read_header(struct mb_session *s)
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
	if (r < 0 && s->line && mb_session_ends_in_break(in))
		return false;
	if (r < 0) {
		mb_session_refuse(s, MB_REFUSED_MESSAGE, err.text);
		return false;
	}
	s->frame_bytes = MB_FRAME_HEADER_BYTES + h.payload_bytes;
	return true;
}

void mb_session_advance(struct mb_session *s)
{
	const struct mb_session_waits *w = &s->all->config.waits;
	struct evbuffer *in = bufferevent_get_input(s->bev);

	if (s->silent) {
		s->silent = false;
		mb_session_set_deadline(s, w->hello_ms);
	}
	if (!mb_session_take_breaks(s))
		return;
	if (s->state == HELLO || s->state == IDLE) {
		if (!read_header(s)) {
			if (s->state == IDLE)
				mb_session_set_deadline(s,
							evbuffer_get_length(in) ? w->frame_ms : 0);
			return;
		}
		if (!take_quota(s))
			return;
		mb_session_wait(s);
	}
	if (s->state == WAITING) {
		if (!reserve(s)) {
			/* Now it is we who are slow. */
			mb_session_set_deadline(s, 0);
			bufferevent_disable(s->bev, EV_READ);
			return;
		}
		mb_session_wait_no_more(s);
		s->state = RECEIVING;
		mb_session_set_deadline(s, s->greeted ? w->frame_ms + s->frame_bytes * 1000ull /
									      w->bytes_per_s :
							w->hello_ms);
		/* Not more than this frame is buffered. A break may cut it anywhere, and end
		   behind it. */
		mb_session_read_ahead(s, s->line ? 0 : s->frame_bytes,
				      s->frame_bytes + (s->line ? AHEAD_BYTES : 0));
		bufferevent_enable(s->bev, EV_READ);
	}
	if (s->state == RECEIVING && evbuffer_get_length(in) >= s->frame_bytes) {
		mb_session_read_ahead(s, 0, AHEAD_BYTES);
		take_frame(s);
		if (s->state != BUSY)
			mb_session_release(s);
		/* What was read ahead. */
		if (s->state == IDLE)
			mb_session_advance(s);
	}
}

void mb_session_on_read(struct bufferevent *bev, void *ctx)
{
	struct mb_session *s = ctx;
	struct evbuffer *in = bufferevent_get_input(bev);

	if (s->state == CLOSING) {
		evbuffer_drain(in, evbuffer_get_length(in));
		return;
	}
	mb_session_advance(s);
	if (evbuffer_get_length(bufferevent_get_output(bev)) > UNREAD_MAX)
		bufferevent_disable(bev, EV_READ);
}

void mb_session_on_written(struct bufferevent *bev, void *ctx)
{
	struct mb_session *s = ctx;

	if (s->state == HELLO || s->state == IDLE || s->state == RECEIVING)
		bufferevent_enable(bev, EV_READ);
	if (s->state != CLOSING)
		return;
	if (s->peer_done) {
		mb_session_hang_up(s);
		return;
	}
	/* Its last word, in TLS; should it not fit now, the end comes all the same. */
	if (s->tls && SSL_shutdown(s->tls) < 0)
		ERR_clear_error();
	shutdown(bufferevent_getfd(bev), SHUT_WR);
}

void mb_session_on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct mb_session *s = ctx;
	bool in_frame = s->state == RECEIVING || evbuffer_get_length(bufferevent_get_input(bev));
	const char *why = in_frame ? "agent hung up in the middle of a frame" : "agent hung up";

	if (what & BEV_EVENT_CONNECTED) {
		s->shaken = true;
		mb_session_end_pace(s);
		mb_session_set_deadline(s, s->all->config.waits.hello_ms);
		return;
	}
	if (s->tls && !s->shaken && !(what & BEV_EVENT_EOF)) {
		mb_session_fail_handshake(s);
		return;
	}
	if (what & BEV_EVENT_TIMEOUT)
		why = "agent does not read what it is told";
	else if (what & BEV_EVENT_ERROR)
		why = evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR());
	/* The end of a refused agent is no news, nor is who only knocks: health checks do. */
	if (s->state != CLOSING && (s->greeted || in_frame || what & BEV_EVENT_TIMEOUT))
		mb_session_say(s, in_frame || what & BEV_EVENT_TIMEOUT, "%s", why);
	/* It may have stopped talking only, and still be reading. */
	if (what & BEV_EVENT_EOF && evbuffer_get_length(bufferevent_get_output(bev))) {
		s->state = CLOSING;
		s->peer_done = true;
		return;
	}
	mb_session_hang_up(s);
}

void mb_session_on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct mb_session *s = ctx;

	(void)fd;
	(void)what;
	/*
	 * A VM without an agent is no fault. One may also be there that has greeted the server of
	 * before, and does not know that there is another: it is asked.
	 */
	if (s->local && s->state == HELLO && !s->named && !s->line &&
	    !evbuffer_get_length(bufferevent_get_input(s->bev))) {
		s->silent = true;
		mb_session_send_break(s, 0);
		return;
	}
	if (s->paced) {
		const struct mb_session_waits *w = &s->all->config.waits;

		mb_session_end_pace(s);
		mb_session_set_deadline(s,
					w->handshake_ms - MB_MIN(w->pace_ms, w->handshake_ms - 1));
		return;
	}
	if (s->state != CLOSING)
		mb_session_say(s, true,
			       s->greeted	    ? "agent takes too long to send a frame" :
			       s->tls && !s->shaken ? "no TLS in time" :
						      "no Hello in time");
	mb_session_hang_up(s);
}

static void take_result(struct mb_sessions *all, struct mb_ingest_job *job)
{
	struct mb_session *s = job->session;
	struct mb_msg msg = { 0 };

	if (all->config.health &&
	    (job->verdict == MB_INGEST_DURABLE || job->verdict == MB_INGEST_FAILED))
		mb_health_stored(all->config.health, job->verdict == MB_INGEST_DURABLE);
	if (*job->news)
		all->config.say(all->config.ctx, false, job->news);
	mb_session_release(s);
	if (!s->bev) {
		mb_session_free(s);
		return;
	}
	s->state = IDLE;
	switch (job->verdict) {
	case MB_INGEST_DURABLE:
		msg.type = MB_MSG_ACK;
		msg.ack.epoch = job->epoch;
		msg.ack.fingerprint = job->fingerprint;
		mb_session_reply(s, &msg);
		break;
	case MB_INGEST_RESYNC:
		mb_session_say(s, false, "asked for a snapshot: %s", job->reason.text);
		msg.type = MB_MSG_RESYNC;
		job->reason.text[400] = 0;
		msg.resync_reason = job->reason.text;
		mb_session_reply(s, &msg);
		break;
	case MB_INGEST_BAD:
		mb_session_refuse(s, MB_REFUSED_MESSAGE, job->reason.text);
		break;
	case MB_INGEST_FOREIGN:
		mb_session_refuse(s, MB_REFUSED_IDENTITY, job->reason.text);
		break;
	case MB_INGEST_FAILED:
		mb_session_put_off(s, MB_FOR_STORE, job->reason.text, STORE_PAUSE_NS);
		break;
	}
	bufferevent_enable(s->bev, EV_READ);
	if (s->state == IDLE)
		mb_session_advance(s);
	mb_sessions_wake_waiting(all);
}

void mb_sessions_on_results(evutil_socket_t fd, short what, void *ctx)
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
