// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/uplink.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/random.h>

#include "agent/line.h"
#include "proto/base/backoff.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"

enum state {
	AWAY,	    /* no connection; `retry_ns` says when to try again */
	CONNECTING, /* connect() under way */
	GREETING,   /* Hello sent, Welcome awaited */
	READY,	    /* nothing in flight */
	SENT,	    /* a delta in flight, its Ack awaited */
};

/* The server's messages are small. */
enum { REPLY_RAW_MAX = 65536 };
#define CONNECT_WAIT_NS ((uint64_t)10000000000)
#define WELCOME_WAIT_NS ((uint64_t)30000000000)
#define ACK_WAIT_NS	((uint64_t)600000000000)
/* A server may ask for a pause, but not for ever. */
enum { PAUSE_MAX_MS = 3600000 };
/* On a serial line a Hello may be lost without anybody's knowing. */
#define SERIAL_WELCOME_WAIT_NS ((uint64_t)5000000000)

struct held {
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
	enum state state;
	struct mb_line line;
	uint64_t token;			/* of our break, on a serial line */
	bool heard;			/* the server has echoed it: what comes now is for us */
	struct held base, sent, newest; /* sent and newest: epoch 0 = none */
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

static void say(struct mb_uplink *u, enum mb_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static void say(struct mb_uplink *u, enum mb_log_level level, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	u->config.say(u->config.ctx, level, text);
}

int mb_uplink_create(const struct mb_uplink_config *config, struct mb_uplink **ret,
		     struct mb_err *err)
{
	struct mb_uplink *u;
	int r = mb_line_check(&config->address, err);

	if (r < 0)
		return r;
	u = calloc(1, sizeof(*u));
	if (!u)
		return mb_fail_mem(err, "the uplink");
	u->config = *config;
	if (!u->config.welcome_wait_ns)
		u->config.welcome_wait_ns = WELCOME_WAIT_NS;
	if (!u->config.ack_wait_ns)
		u->config.ack_wait_ns = ACK_WAIT_NS;
	u->line.fd = -1;
	u->backoff = (struct mb_backoff){ .min_ns = config->retry_min_ns,
					  .max_ns = config->retry_max_ns };
	mb_backoff_reset(&u->backoff);
	*ret = u;
	return 0;
}

void mb_uplink_destroy(struct mb_uplink *u)
{
	if (!u)
		return;
	mb_line_close(&u->line);
	mb_fingerprint_deinit(&u->base.fp);
	mb_fingerprint_deinit(&u->sent.fp);
	mb_fingerprint_deinit(&u->sent.whole);
	mb_fingerprint_deinit(&u->newest.fp);
	mb_buf_deinit(&u->out);
	mb_buf_deinit(&u->in);
	mb_buf_deinit(&u->raw);
	free(u);
}

/* --- what is held ----------------------------------------------------------------------------- */

static void drop(struct held *h)
{
	mb_fingerprint_deinit(&h->fp);
	mb_fingerprint_deinit(&h->whole);
	*h = (struct held){ 0 };
}

/* `older` was never seen by the server: its passes count with those of what replaces it. */
static void add_passes(struct held *h, const struct held *older)
{
	struct mb_pass_info *to = &h->info;
	struct mb_audit audit = older->info.audit;

	/* In this order: the newer one says what is followed. */
	mb_audit_add(&audit, &to->audit);
	to->audit = audit;
	to->duration_ns += older->info.duration_ns;
	to->cpu_ns += older->info.cpu_ns;
	to->pages_read += older->info.pages_read;
	to->pages_changed += older->info.pages_changed;
	to->epochs += older->info.epochs;
	to->guest.swapped_bytes += to->guest.swapped_ns ? older->info.guest.swapped_bytes : 0;
	to->guest.swapped_ns += to->guest.swapped_ns ? older->info.guest.swapped_ns : 0;
	mb_who_add(&h->who, &older->who);
}

void mb_uplink_offer(struct mb_uplink *u, struct mb_epoch *epoch)
{
	struct held h = { .fp = epoch->fingerprint,
			  .epoch = ++u->last_epoch,
			  .info = epoch->info,
			  .who = epoch->who };

	if (u->newest.epoch)
		add_passes(&h, &u->newest);
	drop(&u->newest);
	u->newest = h;
	epoch->fingerprint = (struct mb_fingerprint){ 0 };
}

bool mb_uplink_idle(const struct mb_uplink *u)
{
	return !u->sent.epoch && !u->newest.epoch;
}

/* What was in flight was not acked: it waits again, unless something newer does. */
static void unsend(struct mb_uplink *u)
{
	if (!u->sent.epoch)
		return;
	if (u->newest.epoch) {
		add_passes(&u->newest, &u->sent);
		drop(&u->sent);
	} else {
		u->newest = u->sent;
		u->sent = (struct held){ 0 };
		/* The next server may want all of it. */
		if (u->newest.whole.digests) {
			mb_fingerprint_deinit(&u->newest.fp);
			u->newest.fp = u->newest.whole;
			u->newest.whole = (struct mb_fingerprint){ 0 };
			u->newest.sample = (struct mb_sample_of){ 0 };
		}
	}
}

static void acked(struct mb_uplink *u)
{
	uint64_t epoch = u->sent.epoch;

	drop(&u->base);
	u->base = u->sent;
	mb_fingerprint_deinit(&u->base.whole);
	/* The server has counted it: whatever else is sent of this epoch, not that. */
	u->base.who = (struct mb_who){ 0 };
	u->sent = (struct held){ 0 };
	u->state = READY;
	mb_backoff_reset(&u->backoff);
	u->last_failure[0] = 0;
	u->config.acked(u->config.ctx, epoch, u->sent_bytes);
}

/* --- the connection --------------------------------------------------------------------------- */

static uint64_t chance(void)
{
	uint64_t v = 0;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		v = mb_now_ns();
	return v;
}

/* For `pause_ns` at least, when the server has said so. */
static void go_away_for(struct mb_uplink *u, const char *why, uint64_t pause_ns)
{
	uint64_t wait_ns = mb_backoff_next(&u->backoff, pause_ns, chance());

	/* A failure is news, the same one again is not. */
	say(u, u->greeted || strcmp(u->last_failure, why) != 0 ? MB_LOG_WARNING : MB_LOG_DEBUG,
	    "%s: %s; trying again in %.1f s", u->config.uri, why, (double)wait_ns / 1e9);
	snprintf(u->last_failure, sizeof(u->last_failure), "%s", why);
	mb_line_close(&u->line); /* the reason may be the line's */
	u->state = AWAY;
	u->greeted = false;
	u->retry_ns = mb_now_ns() + wait_ns;
}

void mb_uplink_begin_anew(struct mb_uplink *u, const struct mb_boot *boot,
			  const struct mb_identity *identity)
{
	drop(&u->base);
	drop(&u->sent);
	drop(&u->newest);
	u->config.hello.boot = *boot;
	u->config.hello.identity = *identity;
	mb_line_close(&u->line);
	u->state = AWAY;
	u->greeted = false;
	u->retry_ns = mb_now_ns();
}

static void go_away(struct mb_uplink *u, const char *why)
{
	go_away_for(u, why, 0);
}

static void wait_for_answer(struct mb_uplink *u, uint64_t wait_ns)
{
	u->deadline_ns = mb_now_ns() + wait_ns;
}

static uint64_t make_token(void)
{
	uint64_t v = chance();

	return v ? v : 1; /* 0 is the server's */
}

static void greet(struct mb_uplink *u)
{
	struct mb_msg msg = { .type = MB_MSG_HELLO, .hello = u->config.hello };
	struct mb_err err = { 0 };

	mb_buf_clear(&u->in);
	u->state = GREETING;
	mb_buf_clear(&u->out);
	u->out_at = 0;
	u->heard = !u->line.serial;
	if (u->line.serial) {
		u->token = make_token();
		mb_break_put(&u->out, u->token);
	}
	if (mb_msg_to_frame(&msg, &u->out, &err) < 0)
		go_away(u, err.text);
	else
		wait_for_answer(u, u->line.serial ? SERIAL_WELCOME_WAIT_NS :
						    u->config.welcome_wait_ns);
}

static void secure_and_greet(struct mb_uplink *u)
{
	struct mb_err err = { 0 };

	if (u->config.tls && mb_line_secure(&u->line, u->config.tls, u->config.tls_name, &err) < 0)
		go_away(u, err.text);
	else
		greet(u);
}

static void start_connect(struct mb_uplink *u)
{
	struct mb_err err = { 0 };

	if (mb_line_open(&u->config.address, &u->line, &err) < 0) {
		go_away(u, err.text);
	} else if (u->line.connecting) {
		u->state = CONNECTING;
		wait_for_answer(u, CONNECT_WAIT_NS);
	} else {
		secure_and_greet(u);
	}
}

static void finish_connect(struct mb_uplink *u)
{
	struct mb_err err = { 0 };

	if (mb_line_connected(&u->line, &u->config.address, &err) < 0)
		go_away(u, err.text);
	else
		secure_and_greet(u);
}

/* --- messages --------------------------------------------------------------------------------- */

static int pack_delta(struct mb_uplink *u, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf fields = { 0 }, who = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };
	int r;

	msg.delta.base_epoch = u->base.epoch;
	msg.delta.epoch = u->newest.epoch;
	msg.delta.pass = u->newest.info;
	msg.delta.sample = u->newest.sample;
	mb_who_encode(&u->newest.who, u->config.who_rows, &who);
	msg.delta.pass.who = mb_buf_slice(&who);
	mb_buf_clear(&u->out);
	u->out_at = 0;
	if ((r = mb_buf_check(&who, "who dirtied frames", err)) < 0 ||
	    (r = mb_delta_make(&u->base.fp, &u->newest.fp, &delta, err)) < 0 ||
	    (r = mb_delta_encode(&delta,
				 mb_small_bits(&u->newest.sample, u->config.hello.identity.bits),
				 &fields, &msg.delta.fields, err)) < 0 ||
	    (r = mb_msg_pack(&msg, &raw, err)) < 0)
		return r;
	if (raw.len > u->max_raw_bytes)
		return mb_fail(err, EMSGSIZE,
			       "epoch %" PRIu64 " takes %zu bytes; the server accepts %" PRIu32,
			       u->newest.epoch, raw.len, u->max_raw_bytes);
	return mb_frame_encode_flags(mb_buf_slice(&raw), mb_msg_must_understand(&msg), &u->out,
				     err);
}

/* Makes it as small as was agreed. One that is sent again is that already. */
static int make_newest_small(struct mb_uplink *u, struct mb_err *err)
{
	struct held *h = &u->newest;
	struct mb_fingerprint small;
	struct mb_sample_of of;
	int r;

	if (mb_small_alike(&h->sample, &u->agreed))
		return 0;
	r = mb_small_make(&h->fp, &u->config.hello.identity, &u->agreed, &small, &of, err);
	if (r < 0)
		return r;
	h->sample = of;
	h->whole = h->fp;
	h->fp = small;
	return 0;
}

static int send_newest(struct mb_uplink *u, struct mb_err *err)
{
	int r;

	if ((r = make_newest_small(u, err)) < 0 || (r = pack_delta(u, err)) < 0)
		return r;
	u->sent_bytes = u->out.len;
	u->sent = u->newest;
	u->newest = (struct held){ 0 };
	u->state = SENT;
	wait_for_answer(u, u->config.ack_wait_ns);
	return 0;
}

/* It must be one that we have offered. */
static bool agree(struct mb_uplink *u, const struct mb_welcome *w)
{
	const struct mb_hello *h = &u->config.hello;
	char why[80];

	if (w->version >= h->version && w->version <= MB_MAX(h->version, h->newest_version))
		return true;
	snprintf(why, sizeof(why), "server wants to speak protocol version %" PRIu32, w->version);
	go_away(u, why);
	return false;
}

/* What was acked and is gone at the server is in what we send next, if there is a next. */
static void send_base_again(struct mb_uplink *u)
{
	if (!u->newest.epoch && u->base.epoch)
		u->newest = (struct held){ .fp = u->base.fp,
					   .sample = u->base.sample,
					   .epoch = u->base.epoch,
					   .info = u->base.info };
	else
		mb_fingerprint_deinit(&u->base.fp);
	u->base = (struct held){ 0 };
	/* It has not what a server wants that agrees to something else: the next epoch will. */
	if (!mb_small_is_all(&u->newest.sample) && !mb_small_alike(&u->newest.sample, &u->agreed)) {
		char text[MB_SMALL_TEXT];

		mb_small_text(&u->newest.sample, text);
		say(u, MB_LOG_INFO, "%s: of epoch %" PRIu64 " only %s is held here", u->config.uri,
		    u->newest.epoch, text);
		drop(&u->newest);
	}
}

static void take_welcome(struct mb_uplink *u, const struct mb_welcome *w)
{
	struct mb_fingerprint_id id = mb_fingerprint_id(&u->base.fp);
	bool same_boot = memcmp(&w->boot, &u->config.hello.boot, sizeof(w->boot)) == 0;
	const struct mb_sample_of offered = { .shift = u->config.hello.sample_shift,
					      .cut_bits = u->config.hello.cut_bits };
	const struct mb_sample_of agreed = { .shift = w->sample_shift, .cut_bits = w->cut_bits };

	if (!mb_small_is_all(&agreed) && !mb_small_alike(&agreed, &offered)) {
		go_away(u, "server agreed to what was not offered");
		return;
	}
	if (!mb_small_alike(&agreed, &offered)) {
		char text[MB_SMALL_TEXT];

		mb_small_text(&offered, text);
		say(u, MB_LOG_WARNING, "%s: server does not take %s: it gets all", u->config.uri,
		    text);
	}
	u->agreed = agreed;
	u->greeted = true;
	/* With something to send, the server has yet to show that it takes it. */
	if (mb_uplink_idle(u))
		mb_backoff_reset(&u->backoff);
	u->max_raw_bytes = w->max_frame_bytes;
	u->state = READY;
	if (same_boot && w->epoch == u->base.epoch && mb_small_alike(&u->base.sample, &u->agreed) &&
	    mb_fingerprint_id_equal(&w->fingerprint, &id)) {
		say(u, MB_LOG_INFO, "%s: connected; server holds epoch %" PRIu64, u->config.uri,
		    w->epoch);
		unsend(u);
		return;
	}
	/* What was in flight may have arrived, and only its ack was lost. */
	id = mb_fingerprint_id(&u->sent.fp);
	if (same_boot && u->sent.epoch && w->epoch == u->sent.epoch &&
	    mb_small_alike(&u->sent.sample, &u->agreed) &&
	    mb_fingerprint_id_equal(&w->fingerprint, &id)) {
		say(u, MB_LOG_INFO, "%s: connected; server already has epoch %" PRIu64,
		    u->config.uri, w->epoch);
		acked(u);
		return;
	}
	unsend(u);
	if (u->base.epoch || w->epoch)
		say(u, MB_LOG_INFO,
		    "%s: connected; server holds %s epoch %" PRIu64 ", not our %" PRIu64
		    ": sending a snapshot",
		    u->config.uri, same_boot ? "our" : "another source's", w->epoch, u->base.epoch);
	else
		say(u, MB_LOG_INFO, "%s: connected", u->config.uri);
	send_base_again(u);
}

static void take_ack(struct mb_uplink *u, const struct mb_ack *a)
{
	struct mb_fingerprint_id id = mb_fingerprint_id(&u->sent.fp);

	if (u->state != SENT || a->epoch != u->sent.epoch)
		go_away(u, "server acked an epoch that was not sent");
	else if (!mb_fingerprint_id_equal(&a->fingerprint, &id))
		go_away(u, "server acked another fingerprint than was sent");
	else
		acked(u);
}

static int take_refusal(struct mb_uplink *u, const struct mb_refusal_msg *m, struct mb_err *err)
{
	char why[500];

	/* On a serial line it was perhaps noise that the server did not understand. */
	if (m->code == MB_REFUSED_BUSY || m->code == MB_REFUSED_SERVER ||
	    (m->code == MB_REFUSED_MESSAGE && u->line.serial)) {
		snprintf(why, sizeof(why), "server refused for now: %s", m->reason);
		go_away_for(u, why, MB_MIN(m->retry_after_ms, PAUSE_MAX_MS) * 1000000ull);
		return 0;
	}
	return mb_fail(err, EPERM, "server refused this agent: %s", m->reason);
}

static int take_message(struct mb_uplink *u, const struct mb_msg *msg, struct mb_err *err)
{
	switch (msg->type) {
	case MB_MSG_WELCOME:
		if (u->state == GREETING) {
			if (agree(u, &msg->welcome))
				take_welcome(u, &msg->welcome);
			return 0;
		}
		break;
	case MB_MSG_ACK:
		take_ack(u, &msg->ack);
		return 0;
	case MB_MSG_RESYNC:
		if (u->state == SENT && !u->base.epoch) {
			go_away(u, "server asked for a snapshot, but got one");
			return 0;
		}
		if (u->state == SENT) {
			say(u, MB_LOG_WARNING, "%s: server asks for a snapshot: %s", u->config.uri,
			    msg->resync_reason);
			unsend(u);
			drop(&u->base);
			u->state = READY;
			return 0;
		}
		break;
	case MB_MSG_REFUSAL:
		return take_refusal(u, &msg->refusal, err);
	default:
		break;
	}
	go_away(u, "server sent a message out of turn");
	return 0;
}

/* --- moving bytes ----------------------------------------------------------------------------- */

static void write_some(struct mb_uplink *u)
{
	while (u->out_at < u->out.len) {
		ssize_t n =
			mb_line_write(&u->line, u->out.data + u->out_at, u->out.len - u->out_at);

		if (n == -EAGAIN)
			return;
		if (n == -EPIPE) {
			/* What the server said before it hung up is still to be read. */
			u->out_at = u->out.len;
			return;
		}
		if (n < 0) {
			go_away(u, mb_line_why(&u->line, n));
			return;
		}
		u->out_at += (size_t)n;
		/* A slow link is not a silent server. */
		if (u->state == SENT)
			wait_for_answer(u, u->config.ack_wait_ns);
	}
}

/*
 * On a serial line: what comes before the echo of our break was meant for another, and another
 * break means that whoever is at the other end does not know us (any more).
 */
static void follow_breaks(struct mb_uplink *u, struct mb_slice *in)
{
	uint64_t token;

	while (!u->heard && mb_break_take(in, &token))
		u->heard = token == u->token;
	if (u->heard && mb_break_take_if_any(in, &token))
		go_away(u, "the server began anew");
}

/* Takes whole frames off the front of `in`. */
static int take_frames(struct mb_uplink *u, struct mb_err *err)
{
	struct mb_slice in = mb_buf_slice(&u->in);
	int r = 0;

	if (u->line.serial)
		follow_breaks(u, &in);
	while (r == 0 && u->line.fd >= 0 && u->heard) {
		mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
		struct mb_err bad = { 0 };

		r = mb_frame_take(&in, REPLY_RAW_MAX, &u->raw, &bad);
		if (r == -ENODATA) {
			r = 0;
			break;
		}
		if (r == 0)
			r = mb_msg_unpack(mb_buf_slice(&u->raw), &msg, &bad);
		if (r < 0) {
			mb_fail_in(&bad, r, "server's answer");
			go_away(u, bad.text);
			return 0;
		}
		r = take_message(u, &msg, err);
	}
	memmove(u->in.data, in.data, in.len);
	u->in.len = in.len;
	return r;
}

static const char *why_closed(const struct mb_uplink *u)
{
	int family = u->config.address.sa.sa_family;

	if (u->line.serial)
		return "nobody at the other end of the line";
	if (u->state == GREETING && !u->config.tls && (family == AF_INET || family == AF_INET6))
		return "server closed the connection without a word: does it want TLS "
		       "(--tls-cert)?";
	return "server closed the connection";
}

static int read_some(struct mb_uplink *u, struct mb_err *err)
{
	uint8_t *to = mb_buf_reserve(&u->in, 16384);
	ssize_t n;

	if (!to)
		return mb_fail_mem(err, "the server's answer");
	n = mb_line_read(&u->line, to, 16384);
	if (n == -EAGAIN)
		return 0;
	if (n <= 0) {
		go_away(u, n ? mb_line_why(&u->line, n) : why_closed(u));
		return 0;
	}
	u->in.len += (size_t)n;
	return take_frames(u, err);
}

static uint64_t next_ns(const struct mb_uplink *u)
{
	switch (u->state) {
	case AWAY:
		return u->retry_ns;
	case READY:
		return UINT64_MAX;
	default:
		return u->deadline_ns;
	}
}

static int step(struct mb_uplink *u, struct mb_err *err)
{
	if (u->state == AWAY && mb_now_ns() >= u->retry_ns)
		start_connect(u);
	if (u->state == READY && u->newest.epoch)
		return send_newest(u, err);
	if (u->state != AWAY && u->state != READY && mb_now_ns() >= u->deadline_ns)
		go_away(u, "no answer from the server");
	return 0;
}

int mb_uplink_run(struct mb_uplink *u, uint64_t until_ns, int wake_fd, struct mb_err *err)
{
	int r = step(u, err);
	bool writing = u->line.fd >= 0 && (u->state == CONNECTING || u->line.wants_write ||
					   (u->out_at < u->out.len && !u->line.stalled));
	struct pollfd fds[2] = {
		{ .fd = wake_fd, .events = POLLIN },
		{ .fd = u->line.fd, .events = (short)(POLLIN | (writing ? POLLOUT : 0)) },
	};
	uint64_t now, until = MB_MIN(until_ns, next_ns(u));
	int wait_ms;

	if (r < 0)
		return r;
	now = mb_now_ns();
	/* Rounded up: waking too early would only spin. */
	wait_ms = until <= now ? 0 : (int)MB_MIN((until - now) / 1000000 + 1, 3600000u);
	if (poll(fds, 2, wait_ms) <= 0 || !fds[1].revents || u->line.fd < 0)
		return 0;
	if (u->state == CONNECTING) {
		finish_connect(u);
		return 0;
	}
	if (fds[1].revents & POLLOUT || u->line.stalled)
		write_some(u);
	if (u->line.fd >= 0 &&
	    (u->line.wants_write || fds[1].revents & (POLLIN | POLLHUP | POLLERR)))
		return read_some(u, err);
	return 0;
}
