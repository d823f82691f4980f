// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_uplink.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"

static void on_say(void *ctx, enum mb_log_level level, const char *text)
{
	struct scene *s = ctx;

	s->said_ns = mb_now_ns();
	snprintf(s->said, sizeof(s->said), "%s", text);
	s->level = level;
	s->n_said++;
	s->n_warnings += level == MB_LOG_WARNING;
}

static void on_acked(void *ctx, uint64_t epoch, size_t wire_bytes)
{
	struct scene *s = ctx;

	s->acked_epoch = epoch;
	s->acked_bytes = wire_bytes;
	s->n_acked++;
}

void start_listening(struct scene *s)
{
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(s->path);
	assert_int_equal(bind(s->listener, &s->config.address.sa, s->config.address.len), 0);
	assert_int_equal(listen(s->listener, 5), 0);
}

void uplink_prepare(struct scene *s, uint64_t retry_min_ns, uint64_t retry_max_ns)
{
	static const uint8_t key[MB_KEY_BYTES] = { 1 };
	struct mb_digester d;

	*s = (struct scene){ .fd = -1, .listener = -1, .held = -1, .max_frame_bytes = 1 << 20 };
	strcpy(s->dir, "/tmp/mbuplink.XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/s", s->dir);
	snprintf(s->uri, sizeof(s->uri), "unix:%s", s->path);
	assert_ok(mb_uri_parse(s->uri, &s->config.address, &s->err), &s->err);
	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "d", key, &s->err), &s->err);
	s->config.uri = s->uri;
	s->config.hello = (struct mb_hello){
		.version = MB_PROTOCOL_VERSION,
		.agent = "agent of the test",
		.vm = "web1",
		.host = "host1",
		.boot.id = { 1, 2, 3 },
		.identity = d.identity,
		.memory_bytes = 1 << 30,
		.source = "fake",
	};
	s->config.who_rows = 2;
	s->config.retry_min_ns = retry_min_ns;
	s->config.retry_max_ns = retry_max_ns;
	s->config.say = on_say;
	s->config.acked = on_acked;
	s->config.ctx = s;
}

void uplink_open(struct scene *s, uint64_t retry_min_ns, uint64_t retry_max_ns)
{
	uplink_prepare(s, retry_min_ns, retry_max_ns);
	assert_ok(mb_uplink_create(&s->config, &s->uplink, &s->err), &s->err);
}

void uplink_open_serial(struct scene *s)
{
	uplink_prepare(s, 2 * MS, 8 * MS);
	s->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(s->fd >= 0 && grantpt(s->fd) == 0 && unlockpt(s->fd) == 0);
	snprintf(s->uri, sizeof(s->uri), "serial:%s", ptsname(s->fd));
	s->held = open(ptsname(s->fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(s->held >= 0);
	assert_ok(mb_uri_parse(s->uri, &s->config.address, &s->err), &s->err);
	assert_ok(mb_uplink_create(&s->config, &s->uplink, &s->err), &s->err);
}

void hang_up(struct scene *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	mb_buf_clear(&s->in);
}

void uplink_close(struct scene *s)
{
	hang_up(s);
	if (s->listener >= 0)
		close(s->listener);
	if (s->held >= 0)
		close(s->held);
	unlink(s->path);
	rmdir(s->dir);
	mb_uplink_destroy(s->uplink);
	mb_fingerprint_deinit(&s->fp);
	mb_buf_deinit(&s->in);
	mb_buf_deinit(&s->raw);
}

void uplink_turn(struct scene *s)
{
	s->result = mb_uplink_run(s->uplink, mb_now_ns() + MS, -1, &s->err);
}

void must_turn(struct scene *s)
{
	uplink_turn(s);
	assert_ok(s->result, &s->err);
}

void wait_for_agent(struct scene *s)
{
	uint64_t end = mb_now_ns() + 5000 * MS;

	hang_up(s);
	while (s->fd < 0) {
		assert_true(mb_now_ns() < end);
		must_turn(s);
		s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
}

void assert_goes_away(struct scene *s, const char *word)
{
	for (int i = 0; i < 1000 && !strstr(s->said, "trying again"); i++)
		must_turn(s);
	if (!strstr(s->said, word))
		fail_msg("%s", s->said);
	assert_non_null(strstr(s->said, "trying again"));
	s->said[0] = 0;
}

void receive(struct scene *s, enum mb_msg_type type, struct mb_msg *ret)
{
	uint64_t end = mb_now_ns() + 5000 * MS;
	struct mb_slice in;
	int r;

	for (;;) {
		uint8_t *to = mb_buf_reserve(&s->in, 65536);
		ssize_t n;

		in = mb_buf_slice(&s->in);
		r = mb_frame_take(&in, MB_FRAME_RAW_MAX, &s->raw, &s->err);
		if (r != -ENODATA)
			break;
		assert_true(mb_now_ns() < end);
		must_turn(s);
		n = read(s->fd, to, 65536);
		if (n > 0)
			s->in.len += (size_t)n;
		else
			assert_true(n < 0 && errno == EAGAIN);
	}
	assert_ok(r, &s->err);
	s->frame_bytes = s->in.len - in.len;
	memmove(s->in.data, in.data, in.len);
	s->in.len = in.len;
	assert_ok(mb_msg_unpack(mb_buf_slice(&s->raw), ret, &s->err), &s->err);
	assert_int_equal(ret->type, type);
}

void server_sends(struct scene *s, const void *data, size_t n)
{
	ssize_t done = s->held < 0 ? send(s->fd, data, n, MSG_NOSIGNAL) : write(s->fd, data, n);

	assert_int_equal(done, n);
}

void send_msg(struct scene *s, const struct mb_msg *msg)
{
	struct mb_buf b = { 0 };

	assert_ok(mb_msg_to_frame(msg, &b, &s->err), &s->err);
	server_sends(s, b.data, b.len);
	mb_buf_deinit(&b);
}

void take_hello(struct scene *s)
{
	struct mb_msg hello;

	receive(s, MB_MSG_HELLO, &hello);
	assert_string_equal(hello.hello.vm, "web1");
	assert_string_equal(hello.hello.host, "host1");
	assert_memory_equal(&hello.hello.boot, &s->config.hello.boot, MB_BOOT_BYTES);
	assert_int_equal(hello.hello.sample_shift, s->config.hello.sample_shift);
	mb_msg_deinit(&hello);
}

void welcome(struct scene *s)
{
	struct mb_msg msg = { .type = MB_MSG_WELCOME };

	msg.welcome.version = MB_PROTOCOL_VERSION;
	msg.welcome.server = "server of the test";
	msg.welcome.max_frame_bytes = s->max_frame_bytes;
	msg.welcome.boot = s->boot;
	msg.welcome.epoch = s->epoch;
	msg.welcome.sample_shift = s->sample_shift;
	msg.welcome.cut_bits = s->cut_bits;
	msg.welcome.fingerprint = mb_fingerprint_id(&s->fp);
	send_msg(s, &msg);
}

void greet(struct scene *s)
{
	wait_for_agent(s);
	take_hello(s);
	welcome(s);
}

static void take_who(struct mb_slice list, struct mb_who *ret)
{
	struct mb_who_row row;
	struct mb_err err = { 0 };
	int r;

	while ((r = mb_who_next(&list, &row, &err)) > 0)
		mb_who_put(ret, &row);
	assert_ok(r, &err);
}

struct came take_delta(struct scene *s, bool keep)
{
	const struct mb_fingerprint empty = { 0 };
	struct mb_fingerprint next;
	struct mb_delta d;
	struct came came;
	struct mb_msg msg;

	receive(s, MB_MSG_DELTA, &msg);
	came = (struct came){ .base_epoch = msg.delta.base_epoch,
			      .epoch = msg.delta.epoch,
			      .pass = msg.delta.pass,
			      .sample = msg.delta.sample };
	take_who(msg.delta.pass.who, &came.who);
	came.pass.tracker = NULL;
	came.pass.who = (struct mb_slice){ 0 };
	assert_ok(mb_delta_decode(&msg.delta.fields, mb_small_bits(&came.sample, 64), &d, &s->err),
		  &s->err);
	assert_ok(mb_delta_apply(came.base_epoch ? &s->fp : &empty, &d, &next, &s->err), &s->err);
	if (came.base_epoch)
		assert_int_equal(came.base_epoch, s->epoch);
	mb_delta_deinit(&d);
	mb_msg_deinit(&msg);
	if (keep) {
		mb_fingerprint_deinit(&s->fp);
		s->fp = next;
		s->epoch = came.epoch;
		s->boot = s->config.hello.boot;
	} else {
		mb_fingerprint_deinit(&next);
	}
	return came;
}

void ack(struct scene *s)
{
	struct mb_msg msg = { .type = MB_MSG_ACK };
	int before = s->n_acked;

	msg.ack.epoch = s->epoch;
	msg.ack.fingerprint = mb_fingerprint_id(&s->fp);
	send_msg(s, &msg);
	for (int i = 0; i < 1000 && s->n_acked == before; i++)
		must_turn(s);
	assert_int_equal(s->n_acked, before + 1);
	assert_int_equal(s->acked_epoch, s->epoch);
}

void refuse(struct scene *s, uint32_t code)
{
	struct mb_msg msg = { .type = MB_MSG_REFUSAL, .refusal = { code, "because" } };

	send_msg(s, &msg);
}

void offer_with(struct scene *s, uint64_t first, size_t n, const struct mb_audit *audit,
		const struct mb_who *who)
{
	uint64_t *digests = malloc(n * sizeof(*digests) + 1);
	struct mb_epoch e = { .info = { .taken_unix_ns = first,
					.duration_ns = 10,
					.cpu_ns = 5,
					.pages_read = n,
					.pages_changed = 2,
					.pages_unread = first,
					.epochs = 1,
					.full = first % 2,
					.tracker = "none" } };

	if (audit)
		e.info.audit = *audit;
	if (who)
		e.who = *who;
	for (size_t i = 0; i < n; i++)
		digests[i] = mb_mix64(first + i);
	assert_ok(mb_fingerprint_from_digests(&e.fingerprint, digests, n, &s->err), &s->err);
	free(digests);
	mb_uplink_offer(s->uplink, &e);
	assert_null(e.fingerprint.digests);
}

void offer_audited(struct scene *s, uint64_t first, size_t n, const struct mb_audit *audit)
{
	offer_with(s, first, n, audit, NULL);
}

void offer(struct scene *s, uint64_t first, size_t n)
{
	offer_with(s, first, n, NULL, NULL);
}

void open_with_epoch_acked(struct scene *s)
{
	uplink_open(s, 2 * MS, 8 * MS);
	start_listening(s);
	offer(s, 100, 50);
	greet(s);
	take_delta(s, true);
	ack(s);
}

void assert_works(struct scene *s, uint64_t first)
{
	offer(s, first, 50);
	take_delta(s, true);
	ack(s);
	assert_true(mb_uplink_idle(s->uplink));
	assert_int_equal(s->fp.digests != NULL, 1);
}
