// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_session.h"

#include <poll.h>
#include <sys/un.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"

static void on_say(void *ctx, bool warning, const char *text)
{
	struct scene *s = ctx;

	(void)warning;
	snprintf(s->said, sizeof(s->said), "%s", text);
	s->n_said++;
}

void scene_prepare(struct scene *s)
{
	*s = (struct scene){ .fd = -1 };
	s->config = (struct mb_sessions_config){
		.max_sessions = 4,
		.max_frame_bytes = 1 << 20,
		.frame_budget_bytes = 2 << 20,
		.waits = mb_session_waits_default,
		.refusals = &s->refusals,
		.say = on_say,
		.ctx = s,
	};
}

void scene_start(struct scene *s)
{
	static int n;
	struct mb_address bound;
	struct mb_err err = { 0 };
	char name[32], path[128], uri[140];

	snprintf(name, sizeof(name), "%d.db", n);
	scratch_path(name, s->store_path);
	s->base = event_base_new();
	assert_non_null(s->base);
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(s->store_path, &s->store, &err), &err);
	assert_ok(mb_ingest_create(s->fleet, s->store, MB_FRAME_RAW_MAX, &s->ingest, &err), &err);
	assert_ok(mb_sessions_create(s->base, s->fleet, s->ingest, &s->config, &s->sessions, &err),
		  &err);
	snprintf(name, sizeof(name), "%d.sock", n++);
	scratch_path(name, path);
	snprintf(uri, sizeof(uri), "unix:%s", path);
	assert_ok(mb_uri_parse(uri, &s->address, &err), &err);
	assert_ok(mb_sessions_listen(s->sessions, &s->address, &bound, &err), &err);
	make_hello("a", 1, &s->hello);
	make_fingerprint_of(1000, 77777777, 40, &s->fp);
	make_frame(NULL, 0, &s->fp, 1, 64, &s->delta);
}

void scene_open(struct scene *s)
{
	scene_prepare(s);
	scene_start(s);
}

void scene_close(struct scene *s)
{
	if (s->fd >= 0)
		close(s->fd);
	mb_sessions_destroy(s->sessions);
	mb_ingest_destroy(s->ingest);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	event_base_free(s->base);
	mb_fingerprint_deinit(&s->fp);
	mb_buf_deinit(&s->delta);
	mb_buf_deinit(&s->in);
	mb_buf_deinit(&s->raw);
}

void turn(struct scene *s)
{
	event_base_loop(s->base, EVLOOP_NONBLOCK);
}

void turns(struct scene *s)
{
	for (int i = 0; i < 5; i++)
		turn(s);
}

void reach(struct scene *s)
{
	if (s->fd >= 0)
		close(s->fd);
	mb_buf_clear(&s->in);
	s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(s->fd, &s->address.sa, s->address.len), 0);
	turns(s);
}

void send_bytes(struct scene *s, const void *data, size_t n)
{
	assert_int_equal(send(s->fd, data, n, MSG_NOSIGNAL), (ssize_t)n);
}

void put_greeting(struct scene *s, uint64_t token, struct mb_buf *to)
{
	struct mb_msg msg = { .type = MB_MSG_HELLO, .hello = s->hello };
	struct mb_err err = { 0 };

	if (token)
		mb_break_put(to, token);
	assert_ok(mb_msg_to_frame(&msg, to, &err), &err);
}

void send_greeting(struct scene *s, uint64_t token)
{
	struct mb_buf b = { 0 };

	put_greeting(s, token, &b);
	send_bytes(s, b.data, b.len);
	mb_buf_deinit(&b);
}

bool await(struct scene *s, size_t n)
{
	uint64_t end = mb_now_ns() + 5000000000ull;

	while (s->in.len < n) {
		uint8_t *to = mb_buf_reserve(&s->in, 4096);
		ssize_t got = recv(s->fd, to, 4096, 0);

		assert_true(mb_now_ns() < end);
		if (got == 0 || (got < 0 && errno == ECONNRESET))
			return false;
		if (got > 0) {
			s->in.len += (size_t)got;
			continue;
		}
		turn(s);
		poll(&(struct pollfd){ .fd = s->fd, .events = POLLIN }, 1, 1);
	}
	return true;
}

void drop(struct scene *s, size_t n)
{
	s->in.len -= n;
	memmove(s->in.data, s->in.data + n, s->in.len);
}

void expect_break(struct scene *s, uint64_t token)
{
	assert_true(await(s, MB_BREAK_BYTES));
	assert_memory_equal(s->in.data, mb_break_magic, MB_BREAK_MAGIC_BYTES);
	assert_int_equal(mb_break_token(s->in.data), token);
	drop(s, MB_BREAK_BYTES);
}

void expect(struct scene *s, enum mb_msg_type type, struct mb_msg *ret)
{
	struct mb_frame_header h;
	struct mb_err err = { 0 };
	struct mb_slice in;

	assert_true(await(s, MB_FRAME_HEADER_BYTES));
	assert_ok(mb_frame_header_decode(s->in.data, 65536, &h, &err), &err);
	assert_true(await(s, MB_FRAME_HEADER_BYTES + h.payload_bytes));
	in = mb_buf_slice(&s->in);
	assert_ok(mb_frame_take(&in, 65536, &s->raw, &err), &err);
	assert_ok(mb_msg_unpack(mb_buf_slice(&s->raw), ret, &err), &err);
	if (ret->type != type)
		fail_msg("%s: %s", mb_msg_type_name(ret->type), s->said);
	drop(s, s->in.len - in.len);
}

void expect_welcome(struct scene *s, uint64_t epoch)
{
	struct mb_msg msg;

	expect(s, MB_MSG_WELCOME, &msg);
	assert_int_equal(msg.welcome.epoch, epoch);
	mb_msg_deinit(&msg);
}

void expect_ack(struct scene *s, uint64_t epoch)
{
	struct mb_msg msg;

	expect(s, MB_MSG_ACK, &msg);
	assert_int_equal(msg.ack.epoch, epoch);
	mb_msg_deinit(&msg);
}

void expect_refusal(struct scene *s, uint32_t code)
{
	struct mb_msg msg;

	expect(s, MB_MSG_REFUSAL, &msg);
	assert_int_equal(msg.refusal.code, code);
	mb_msg_deinit(&msg);
}

void swap(struct scene *s, struct other *o)
{
	struct other was = { s->fd, s->in };

	s->fd = o->fd;
	s->in = o->in;
	*o = was;
}

void leave(struct other *o)
{
	if (o->fd >= 0)
		close(o->fd);
	mb_buf_deinit(&o->in);
	*o = (struct other){ .fd = -1 };
}

void bring(struct scene *s, const char *vm)
{
	make_hello(vm, 1, &s->hello);
	reach(s);
	send_greeting(s, 0);
	expect_welcome(s, 0);
	send_bytes(s, s->delta.data, s->delta.len);
	expect_ack(s, 1);
}
