// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/uplink_inside.h"

#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/random.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"

/* The server's messages are small. */
enum { REPLY_RAW_MAX = 65536 };
#define CONNECT_WAIT_NS ((uint64_t)10000000000)
#define WELCOME_WAIT_NS ((uint64_t)30000000000)
#define ACK_WAIT_NS	((uint64_t)600000000000)
/* On a serial line a Hello may be lost without anybody's knowing. */
#define SERIAL_WELCOME_WAIT_NS ((uint64_t)5000000000)

void mb_uplink_say(struct mb_uplink *u, enum mb_log_level level, const char *fmt, ...)
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
	mb_uplink_drop(&u->base);
	mb_uplink_drop(&u->sent);
	mb_uplink_drop(&u->newest);
	mb_buf_deinit(&u->out);
	mb_buf_deinit(&u->in);
	mb_buf_deinit(&u->raw);
	free(u);
}

/* --- the connection --------------------------------------------------------------------------- */

static uint64_t chance(void)
{
	uint64_t v = 0;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) != sizeof(v))
		v = mb_now_ns();
	return v;
}

void mb_uplink_go_away(struct mb_uplink *u, const char *why, uint64_t pause_ns)
{
	uint64_t wait_ns = mb_backoff_next(&u->backoff, pause_ns, chance());

	/* A failure is news, the same one again is not. */
	mb_uplink_say(
		u, u->greeted || strcmp(u->last_failure, why) != 0 ? MB_LOG_WARNING : MB_LOG_DEBUG,
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
	mb_uplink_drop(&u->base);
	mb_uplink_drop(&u->sent);
	mb_uplink_drop(&u->newest);
	u->config.hello.boot = *boot;
	u->config.hello.identity = *identity;
	mb_line_close(&u->line);
	u->state = AWAY;
	u->greeted = false;
	u->retry_ns = mb_now_ns();
}

void mb_uplink_wait_for_answer(struct mb_uplink *u, uint64_t wait_ns)
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
		mb_uplink_go_away(u, err.text, 0);
	else
		mb_uplink_wait_for_answer(u, u->line.serial ? SERIAL_WELCOME_WAIT_NS :
							      u->config.welcome_wait_ns);
}

static void secure_and_greet(struct mb_uplink *u)
{
	struct mb_err err = { 0 };

	if (u->config.tls && mb_line_secure(&u->line, u->config.tls, u->config.tls_name, &err) < 0)
		mb_uplink_go_away(u, err.text, 0);
	else
		greet(u);
}

static void start_connect(struct mb_uplink *u)
{
	struct mb_err err = { 0 };

	if (mb_line_open(&u->config.address, &u->line, &err) < 0) {
		mb_uplink_go_away(u, err.text, 0);
	} else if (u->line.connecting) {
		u->state = CONNECTING;
		mb_uplink_wait_for_answer(u, CONNECT_WAIT_NS);
	} else {
		secure_and_greet(u);
	}
}

static void finish_connect(struct mb_uplink *u)
{
	struct mb_err err = { 0 };

	if (mb_line_connected(&u->line, &u->config.address, &err) < 0)
		mb_uplink_go_away(u, err.text, 0);
	else
		secure_and_greet(u);
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
			mb_uplink_go_away(u, mb_line_why(&u->line, n), 0);
			return;
		}
		u->out_at += (size_t)n;
		/* A slow link is not a silent server. */
		if (u->state == SENT)
			mb_uplink_wait_for_answer(u, u->config.ack_wait_ns);
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
		mb_uplink_go_away(u, "the server began anew", 0);
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
			mb_uplink_go_away(u, bad.text, 0);
			return 0;
		}
		r = mb_uplink_take(u, &msg, err);
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
		mb_uplink_go_away(u, n ? mb_line_why(&u->line, n) : why_closed(u), 0);
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
		return mb_uplink_send_newest(u, err);
	if (u->state != AWAY && u->state != READY && mb_now_ns() >= u->deadline_ns)
		mb_uplink_go_away(u, "no answer from the server", 0);
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
