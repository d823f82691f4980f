// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/uplink.h"

#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"
#include "tests/unit/util_test.h"

#define MS 1000000ull

/* An uplink and the server it talks to, in one thread: they take turns. */
struct scene {
	struct mb_uplink *uplink;
	struct mb_uplink_config config;
	int result; /* of the last mb_uplink_run() */
	struct mb_err err;
	char said[600];
	enum mb_log_level level;
	uint64_t said_ns;
	int n_said, n_warnings, n_acked;
	uint64_t acked_epoch;
	size_t acked_bytes;

	char dir[64], path[100], uri[110];
	int listener, fd;
	int held; /* the agent's end of a serial line, kept from hanging up */
	uint64_t token;
	struct mb_buf in, raw;
	size_t frame_bytes; /* of the last message that came */
	/* What the server holds. */
	struct mb_fingerprint fp;
	uint64_t epoch;
	struct mb_boot boot;
	uint32_t max_frame_bytes;
	uint32_t sample_shift, cut_bits; /* that it agrees to */
};

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

static void start_listening(struct scene *s)
{
	s->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	unlink(s->path);
	assert_int_equal(bind(s->listener, &s->config.address.sa, s->config.address.len), 0);
	assert_int_equal(listen(s->listener, 5), 0);
}

static void scene_prepare(struct scene *s, uint64_t retry_min_ns, uint64_t retry_max_ns)
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

static void scene_open(struct scene *s, uint64_t retry_min_ns, uint64_t retry_max_ns)
{
	scene_prepare(s, retry_min_ns, retry_max_ns);
	assert_ok(mb_uplink_create(&s->config, &s->uplink, &s->err), &s->err);
}

/* A terminal is the line. */
static void scene_open_serial(struct scene *s)
{
	scene_prepare(s, 2 * MS, 8 * MS);
	s->fd = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	assert_true(s->fd >= 0 && grantpt(s->fd) == 0 && unlockpt(s->fd) == 0);
	snprintf(s->uri, sizeof(s->uri), "serial:%s", ptsname(s->fd));
	s->held = open(ptsname(s->fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(s->held >= 0);
	assert_ok(mb_uri_parse(s->uri, &s->config.address, &s->err), &s->err);
	assert_ok(mb_uplink_create(&s->config, &s->uplink, &s->err), &s->err);
}

static void hang_up(struct scene *s)
{
	if (s->fd >= 0)
		close(s->fd);
	s->fd = -1;
	mb_buf_clear(&s->in);
}

static void scene_close(struct scene *s)
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

/* One step of the uplink; it may wait a moment. */
static void turn(struct scene *s)
{
	s->result = mb_uplink_run(s->uplink, mb_now_ns() + MS, -1, &s->err);
}

static void must_turn(struct scene *s)
{
	turn(s);
	assert_ok(s->result, &s->err);
}

static void wait_for_agent(struct scene *s)
{
	uint64_t end = mb_now_ns() + 5000 * MS;

	hang_up(s);
	while (s->fd < 0) {
		assert_true(mb_now_ns() < end);
		must_turn(s);
		s->fd = accept4(s->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	}
}

/* By its own decision: the server has not hung up, or has said something before. */
static void assert_goes_away(struct scene *s, const char *word)
{
	for (int i = 0; i < 1000 && !strstr(s->said, "trying again"); i++)
		must_turn(s);
	if (!strstr(s->said, word))
		fail_msg("%s", s->said);
	assert_non_null(strstr(s->said, "trying again"));
	s->said[0] = 0;
}

/* The next message from the agent; mb_msg_deinit() it. */
static void receive(struct scene *s, enum mb_msg_type type, struct mb_msg *ret)
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

static void send_bytes(struct scene *s, const void *data, size_t n)
{
	ssize_t done = s->held < 0 ? send(s->fd, data, n, MSG_NOSIGNAL) : write(s->fd, data, n);

	assert_int_equal(done, n);
}

static void send_msg(struct scene *s, const struct mb_msg *msg)
{
	struct mb_buf b = { 0 };

	assert_ok(mb_msg_to_frame(msg, &b, &s->err), &s->err);
	send_bytes(s, b.data, b.len);
	mb_buf_deinit(&b);
}

static void take_hello(struct scene *s)
{
	struct mb_msg hello;

	receive(s, MB_MSG_HELLO, &hello);
	assert_string_equal(hello.hello.vm, "web1");
	assert_string_equal(hello.hello.host, "host1");
	assert_memory_equal(&hello.hello.boot, &s->config.hello.boot, MB_BOOT_BYTES);
	assert_int_equal(hello.hello.sample_shift, s->config.hello.sample_shift);
	mb_msg_deinit(&hello);
}

static void welcome(struct scene *s)
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

/* Accepts, takes the Hello, and says what the server holds. */
static void greet(struct scene *s)
{
	wait_for_agent(s);
	take_hello(s);
	welcome(s);
}

struct came {
	uint64_t base_epoch, epoch;
	struct mb_pass_info pass;
	struct mb_who who;
	struct mb_sample_of sample;
};

static void take_who(struct mb_slice list, struct mb_who *ret)
{
	struct mb_who_row row;
	struct mb_err err = { 0 };
	int r;

	while ((r = mb_who_next(&list, &row, &err)) > 0)
		mb_who_put(ret, &row);
	assert_ok(r, &err);
}

/* Takes a Delta; `keep`: as a server that has made it durable. */
static struct came take_delta(struct scene *s, bool keep)
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

static void ack(struct scene *s)
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

static void refuse(struct scene *s, uint32_t code)
{
	struct mb_msg msg = { .type = MB_MSG_REFUSAL, .refusal = { code, "because" } };

	send_msg(s, &msg);
}

/* The agent has an epoch of digests first .. first + n - 1, what it may know of it besides. */
static void offer_with(struct scene *s, uint64_t first, size_t n, const struct mb_audit *audit,
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

static void offer_audited(struct scene *s, uint64_t first, size_t n, const struct mb_audit *audit)
{
	offer_with(s, first, n, audit, NULL);
}

static void offer(struct scene *s, uint64_t first, size_t n)
{
	offer_with(s, first, n, NULL, NULL);
}

static void open_with_epoch_acked(struct scene *s)
{
	scene_open(s, 2 * MS, 8 * MS);
	start_listening(s);
	offer(s, 100, 50);
	greet(s);
	take_delta(s, true);
	ack(s);
}

/* The whole conversation works from here on. */
static void assert_works(struct scene *s, uint64_t first)
{
	offer(s, first, 50);
	take_delta(s, true);
	ack(s);
	assert_true(mb_uplink_idle(s->uplink));
	assert_int_equal(s->fp.digests != NULL, 1);
}

static void test_first_and_next(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	assert_true(mb_uplink_idle(s.uplink));
	offer(&s, 100, 50);
	assert_false(mb_uplink_idle(s.uplink));
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 1);
	assert_int_equal(c.pass.epochs, 1);
	assert_false(mb_uplink_idle(s.uplink));
	ack(&s);
	assert_int_equal(s.acked_bytes, s.frame_bytes);
	assert_true(mb_uplink_idle(s.uplink));
	/* Now only what changed. */
	offer(&s, 110, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_int_equal(c.epoch, 2);
	ack(&s);
	/* An epoch without a page is one, too. */
	offer(&s, 0, 0);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_int_equal(s.fp.n_pages, 0);
	ack(&s);
	assert_works(&s, 5);
	assert_int_equal(s.n_warnings, 0);
	scene_close(&s);
}

static void test_net_delta_while_away(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	offer(&s, 100, 50);
	must_turn(&s);
	offer(&s, 200, 60);
	offer(&s, 301, 70);
	must_turn(&s);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 3);
	/* Sums ... */
	assert_int_equal(c.pass.epochs, 3);
	assert_int_equal(c.pass.pages_read, 50 + 60 + 70);
	assert_int_equal(c.pass.pages_changed, 6);
	assert_int_equal(c.pass.duration_ns, 30);
	assert_int_equal(c.pass.cpu_ns, 15);
	/* ... but for what is dated. */
	assert_int_equal(c.pass.taken_unix_ns, 301);
	assert_int_equal(c.pass.pages_unread, 301);
	assert_true(c.pass.full);
	assert_int_equal(s.fp.n_pages, 70);
	ack(&s);
	/* While one is in flight, the same; what was sent is not counted twice. */
	offer(&s, 400, 10);
	take_delta(&s, true);
	offer(&s, 500, 10);
	offer(&s, 600, 10);
	must_turn(&s);
	ack(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 4);
	assert_int_equal(c.epoch, 6);
	assert_int_equal(c.pass.epochs, 2);
	ack(&s);
	scene_close(&s);
}

static void assert_audits(const struct came *c, uint32_t audits, uint32_t doubted, uint32_t follows,
			  uint64_t changed, uint64_t stale, uint64_t flagged)
{
	const struct mb_audit *a = &c->pass.audit;

	assert_int_equal(a->audits, audits);
	assert_int_equal(a->doubted, doubted);
	assert_int_equal(a->follows, follows);
	assert_int_equal(a->changed[MB_CLASS_ANON], changed);
	assert_int_equal(a->stale[MB_CLASS_ANON], stale);
	assert_int_equal(a->flagged, flagged);
	assert_int_equal(a->flagged_changed, flagged);
}

/* None is lost, none is counted twice, and the last one says what is followed. */
static void test_audits_are_summed(void **state)
{
	static const struct mb_audit first = { .audits = 1,
					       .doubted = 1,
					       .follows = 2,
					       .changed = { 0, 10 },
					       .stale = { 0, 3 },
					       .flagged = 8,
					       .flagged_changed = 8 };
	static const struct mb_audit last = { .audits = 1,
					      .follows = 6,
					      .changed = { 0, 100 },
					      .stale = { 0, 40 },
					      .flagged = 70,
					      .flagged_changed = 70 };
	struct came c;
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	offer_audited(&s, 100, 50, &first);
	offer(&s, 200, 50);
	offer_audited(&s, 300, 50, &last);
	offer(&s, 400, 50);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 4);
	assert_audits(&c, 2, 1, 6, 110, 43, 78);
	ack(&s);
	/* None, one, and one that was in flight when the connection broke. */
	offer(&s, 500, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.audit.audits, 0);
	ack(&s);
	offer_audited(&s, 600, 50, &last);
	c = take_delta(&s, false);
	assert_audits(&c, 1, 0, 6, 100, 40, 70);
	offer_audited(&s, 700, 50, &first);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 2);
	assert_audits(&c, 2, 1, 2, 110, 43, 78);
	ack(&s);
	scene_close(&s);
}

/* An epoch in which one of several programs has rewritten so many frames. */
static void offer_who(struct scene *s, uint64_t first, const char *process, uint64_t frames)
{
	struct mb_who_row row = { .cgroup = "/", .frames[MB_WHO_REWRITE] = frames };
	struct mb_who who = { 0 };

	snprintf(row.process, sizeof(row.process), "%s", process);
	mb_who_put(&who, &row);
	offer_with(s, first, 50, NULL, &who);
}

static uint64_t frames_of(const struct came *c, const char *process)
{
	for (uint32_t i = 0; i < c->who.n; i++)
		if (strcmp(c->who.rows[i].process, process) == 0)
			return mb_who_frames(c->who.rows[i].frames);
	return 0;
}

/* The same for who dirtied memory: as many names as are asked for, the rest in one. */
static void test_who_is_summed(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	offer_who(&s, 100, "a", 10);
	offer_who(&s, 200, "b", 20);
	offer(&s, 300, 50);
	offer_who(&s, 400, "c", 25);
	offer_who(&s, 500, "a", 11);
	start_listening(&s);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.pass.epochs, 5);
	assert_int_equal(c.who.n, 2);
	assert_int_equal(frames_of(&c, "a"), 21);
	assert_int_equal(frames_of(&c, "c"), 25);
	assert_int_equal(c.who.others[MB_WHO_REWRITE], 20);
	ack(&s);
	/* Nobody counted. */
	offer(&s, 600, 50);
	c = take_delta(&s, true);
	assert_false(c.who.counted);
	ack(&s);
	/* One that was in flight when the connection broke, and did not arrive ... */
	offer_who(&s, 700, "a", 1);
	c = take_delta(&s, false);
	assert_int_equal(frames_of(&c, "a"), 1);
	offer_who(&s, 800, "a", 2);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(frames_of(&c, "a"), 3);
	/* ... and one that did, though its ack was lost. */
	offer_who(&s, 900, "a", 4);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(frames_of(&c, "a"), 4);
	ack(&s);
	scene_close(&s);
}

/* A server that has lost what it acked gets it again, as a snapshot: but not who, who was counted.
 */
static void test_who_is_not_counted_twice(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	offer_who(&s, 100, "a", 10);
	greet(&s);
	take_delta(&s, true);
	ack(&s);
	s.boot.id[0]++;
	s.epoch++;
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 1);
	assert_false(c.who.counted);
	ack(&s);
	scene_close(&s);
}

static void test_lost_ack(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	offer(&s, 200, 50);
	take_delta(&s, true);
	/* Durable, but nobody told the agent. */
	greet(&s);
	for (int i = 0; i < 1000 && s.n_acked < 2; i++)
		must_turn(&s);
	assert_int_equal(s.acked_epoch, 2);
	assert_true(mb_uplink_idle(s.uplink));
	offer(&s, 300, 50);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_int_equal(c.pass.epochs, 1);
	ack(&s);
	/* The same with another epoch that waits. */
	offer(&s, 400, 50);
	take_delta(&s, true);
	offer(&s, 500, 50);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 4);
	assert_int_equal(c.epoch, 5);
	assert_int_equal(c.pass.epochs, 1);
	ack(&s);
	scene_close(&s);
}

static void test_lost_delta(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	offer(&s, 200, 50);
	take_delta(&s, false);
	greet(&s);
	c = take_delta(&s, false);
	assert_int_equal(c.base_epoch, 1);
	assert_int_equal(c.epoch, 2);
	assert_int_equal(c.pass.epochs, 1);
	/* Lost again, and meanwhile there is a newer one: they go as one. */
	offer(&s, 300, 50);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_int_equal(c.epoch, 3);
	assert_int_equal(c.pass.epochs, 2);
	assert_int_equal(c.pass.pages_read, 100);
	ack(&s);
	scene_close(&s);
}

static void resync(struct scene *s)
{
	struct mb_msg msg = { .type = MB_MSG_RESYNC, .resync_reason = "not what I hold" };

	send_msg(s, &msg);
}

static void test_resync(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	offer(&s, 200, 50);
	take_delta(&s, false);
	resync(&s);
	c = take_delta(&s, false);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 2);
	assert_int_equal(c.pass.epochs, 1);
	assert_non_null(strstr(s.said, "not what I hold"));
	/* Who wants a snapshot instead of a snapshot would want one for ever. */
	s.said[0] = 0;
	resync(&s);
	assert_goes_away(&s, "asked for a snapshot, but got one");
	greet(&s);
	c = take_delta(&s, true);
	assert_non_null(strstr(s.said, "sending a snapshot"));
	assert_int_equal(c.base_epoch, 0);
	ack(&s);
	/* With another epoch that waits: that one is the snapshot. */
	offer(&s, 300, 50);
	take_delta(&s, false);
	offer(&s, 400, 50);
	resync(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 4);
	assert_int_equal(c.pass.epochs, 2);
	ack(&s);
	assert_works(&s, 9);
	scene_close(&s);
}

enum loss { LOST_ALL, OTHER_BOOT, OTHER_FINGERPRINT, OLDER, NEWER, LOSSES };

static void test_server_holds_something_else(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	for (int loss = 0; loss < LOSSES; loss++) {
		for (int waiting = 0; waiting < 2; waiting++) {
			open_with_epoch_acked(&s);
			switch (loss) {
			case LOST_ALL:
				mb_fingerprint_deinit(&s.fp);
				s.epoch = 0;
				s.boot = (struct mb_boot){ 0 };
				break;
			case OTHER_BOOT:
				s.boot.id[0]++;
				break;
			case OTHER_FINGERPRINT:
				s.fp.hash.hi++;
				break;
			case OLDER:
				s.epoch = 0;
				break;
			case NEWER:
				s.epoch = 77;
				break;
			}
			hang_up(&s);
			if (waiting)
				offer(&s, 200, 60);
			greet(&s);
			c = take_delta(&s, true);
			assert_int_equal(c.base_epoch, 0);
			assert_int_equal(c.epoch, 1 + waiting);
			assert_int_equal(c.pass.epochs, 1);
			assert_int_equal(s.fp.n_pages, waiting ? 60 : 50);
			ack(&s);
			assert_works(&s, 300);
			scene_close(&s);
		}
	}
}

static void test_server_restarts_with_all(void **state)
{
	struct scene s;

	(void)state;
	open_with_epoch_acked(&s);
	hang_up(&s);
	greet(&s);
	for (int i = 0; i < 20; i++)
		must_turn(&s);
	assert_non_null(strstr(s.said, "server holds epoch 1"));
	assert_true(mb_uplink_idle(s.uplink));
	assert_int_equal(s.n_acked, 1);
	assert_works(&s, 300);
	scene_close(&s);
}

/* An agent that offers 1 in 4, and has an epoch; the server agrees to `agreed`. */
static void open_with_offer(struct scene *s, uint32_t agreed)
{
	scene_prepare(s, 2 * MS, 8 * MS);
	s->config.hello.sample_shift = 2;
	s->sample_shift = agreed;
	assert_ok(mb_uplink_create(&s->config, &s->uplink, &s->err), &s->err);
	start_listening(s);
	offer(s, 100, 500);
	greet(s);
}

/* What the server holds is all digests of offer(first, n), or those in the first quarter. */
static void assert_holds(const struct scene *s, uint64_t first, size_t n, uint32_t shift)
{
	uint32_t light = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t digest = mb_mix64(first + i);
		bool in = digest <= UINT64_MAX >> shift;

		light += in;
		assert_int_equal(mb_fingerprint_find(&s->fp, digest), in);
	}
	assert_int_equal(s->fp.n_distinct, light);
	assert_true(shift == 0 || light < n / 2);
}

static void assert_is_sample(struct came c, size_t n)
{
	assert_int_equal(c.sample.shift, 2);
	assert_int_equal(c.sample.pages, n);
	assert_int_equal(c.sample.distinct, n);
	assert_int_equal(c.sample.zero, 0);
}

static void test_sample(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_offer(&s, 2);
	c = take_delta(&s, true);
	assert_int_equal(s.in.len, 0);
	assert_is_sample(c, 500);
	assert_holds(&s, 100, 500, 2);
	ack(&s);
	/* From sample to sample. */
	offer(&s, 200, 600);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 1);
	assert_is_sample(c, 600);
	assert_holds(&s, 200, 600, 2);
	/* Arrived, but the ack is lost. */
	greet(&s);
	for (int i = 0; i < 1000 && s.n_acked < 2; i++)
		must_turn(&s);
	assert_int_equal(s.acked_epoch, 2);
	/* Never arrived: the sample is taken anew. */
	offer(&s, 300, 500);
	take_delta(&s, false);
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 2);
	assert_is_sample(c, 500);
	assert_holds(&s, 300, 500, 2);
	ack(&s);
	/* Lost by the server, with none that waits: the same sample again. */
	mb_fingerprint_deinit(&s.fp);
	s.epoch = 0;
	s.boot = (struct mb_boot){ 0 };
	greet(&s);
	c = take_delta(&s, true);
	assert_int_equal(c.base_epoch, 0);
	assert_int_equal(c.epoch, 3);
	assert_is_sample(c, 500);
	assert_holds(&s, 300, 500, 2);
	ack(&s);
	assert_int_equal(s.n_warnings, 3); /* each lost connection */
	scene_close(&s);
}

static void test_server_takes_no_sample(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	open_with_offer(&s, 0);
	c = take_delta(&s, true);
	assert_non_null(strstr(s.said, "connected"));
	assert_int_equal(s.n_warnings, 1);
	assert_int_equal(c.sample.shift, 0);
	assert_holds(&s, 100, 500, 0);
	ack(&s);
	assert_works(&s, 200);
	scene_close(&s);
	/* One that agrees to what nobody offered knows not what it says. */
	open_with_offer(&s, 3);
	assert_goes_away(&s, "agreed to what was not offered");
	s.sample_shift = 2;
	greet(&s);
	c = take_delta(&s, true);
	assert_is_sample(c, 500);
	ack(&s);
	scene_close(&s);
}

static void test_cut_digests(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	scene_prepare(&s, 2 * MS, 8 * MS);
	s.config.hello.cut_bits = s.cut_bits = 20;
	assert_ok(mb_uplink_create(&s.config, &s.uplink, &s.err), &s.err);
	start_listening(&s);
	for (uint64_t i = 0; i < 3; i++) {
		offer(&s, 100 + 50 * i, 500);
		if (i != 1)
			greet(&s);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, i);
		assert_int_equal(c.sample.shift, 0);
		assert_int_equal(c.sample.cut_bits, 20);
		assert_int_equal(c.sample.distinct, 500);
		for (size_t k = 0; k < 500; k++)
			assert_int_equal(
				mb_fingerprint_find(&s.fp, mb_mix64(100 + 50 * i + k) >> 44), 1);
		assert_in_range(s.fp.n_distinct, 490, 500);
		ack(&s);
	}
	/* Offered one way, agreed in the other. */
	hang_up(&s);
	s.cut_bits = 0;
	s.sample_shift = 2;
	greet(&s);
	s.said[0] = 0;
	assert_goes_away(&s, "agreed to what was not offered");
	scene_close(&s);
}

/* The server is another one now: what was not acked goes as it wants it. */
static void test_server_takes_no_sample_any_more(void **state)
{
	struct came c;
	struct scene s;

	(void)state;
	for (int acked = 0; acked < 2; acked++) {
		open_with_offer(&s, 2);
		take_delta(&s, acked);
		if (acked)
			ack(&s);
		mb_fingerprint_deinit(&s.fp);
		s.epoch = 0;
		s.boot = (struct mb_boot){ 0 };
		s.sample_shift = 0;
		greet(&s);
		for (int i = 0; acked && i < 20; i++)
			must_turn(&s);
		/* Of what was acked only the sample is left: nothing to send. */
		assert_int_equal(mb_uplink_idle(s.uplink), acked);
		if (acked)
			offer(&s, 100, 500);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_int_equal(c.epoch, 1 + acked);
		assert_int_equal(c.sample.shift, 0);
		assert_int_equal(c.pass.epochs, 1);
		assert_holds(&s, 100, 500, 0);
		ack(&s);
		/* And back. */
		s.sample_shift = 2;
		s.epoch = 0;
		mb_fingerprint_deinit(&s.fp);
		s.boot = (struct mb_boot){ 0 };
		greet(&s);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 0);
		assert_is_sample(c, 500);
		assert_holds(&s, 100, 500, 2);
		ack(&s);
		scene_close(&s);
	}
}

static void test_refusals(void **state)
{
	static const uint32_t final[] = { MB_REFUSED_VERSION, MB_REFUSED_IDENTITY,
					  MB_REFUSED_MESSAGE };
	static const uint32_t passing[] = { MB_REFUSED_BUSY, MB_REFUSED_SERVER };
	struct mb_msg hello;
	struct scene s;

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(final); i++) {
		scene_open(&s, 2 * MS, 8 * MS);
		start_listening(&s);
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		mb_msg_deinit(&hello);
		refuse(&s, final[i]);
		for (int k = 0; k < 1000 && s.result == 0; k++)
			turn(&s);
		assert_fails(s.result, EPERM, &s.err, "because");
		scene_close(&s);
	}
	for (size_t i = 0; i < MB_ARRAY_LEN(passing); i++) {
		scene_open(&s, 2 * MS, 8 * MS);
		start_listening(&s);
		offer(&s, 100, 50);
		/* Instead of a Welcome, then instead of an Ack. */
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		mb_msg_deinit(&hello);
		refuse(&s, passing[i]);
		greet(&s);
		take_delta(&s, false);
		refuse(&s, passing[i]);
		greet(&s);
		assert_int_equal(take_delta(&s, true).pass.epochs, 1);
		ack(&s);
		scene_close(&s);
	}
}

static void test_refusal_is_read_though_the_server_has_hung_up(void **state)
{
	struct mb_msg hello;
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	wait_for_agent(&s);
	receive(&s, MB_MSG_HELLO, &hello);
	mb_msg_deinit(&hello);
	refuse(&s, MB_REFUSED_IDENTITY);
	hang_up(&s);
	for (int k = 0; k < 1000 && s.result == 0; k++)
		turn(&s);
	assert_fails(s.result, EPERM, &s.err, "because");
	scene_close(&s);
}

enum misbehaviour {
	GARBAGE,
	HALF_A_FRAME,
	HUGE_FRAME,
	NOT_A_MESSAGE,
	A_HELLO,
	WELCOME_AGAIN,
	OTHER_EPOCH,
	OTHER_RESULT,
	SILENT_END,
	MISBEHAVIOURS
};

/* While a Delta is in flight. */
static void misbehave(struct scene *s, enum misbehaviour how)
{
	static const uint8_t huge[16] = { 'M', 'B', 'F', '1', 1, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 9 };
	struct mb_msg msg = { .type = MB_MSG_ACK };
	struct mb_buf b = { 0 };

	switch (how) {
	case GARBAGE:
		send_bytes(s, "HTTP/1.1 400 Bad Request\r\n\r\n", 28);
		break;
	case HALF_A_FRAME:
		assert_ok(mb_msg_to_frame(&msg, &b, &s->err), &s->err);
		send_bytes(s, b.data, b.len - 1);
		hang_up(s);
		break;
	case HUGE_FRAME:
		send_bytes(s, huge, sizeof(huge));
		break;
	case NOT_A_MESSAGE:
		assert_ok(mb_frame_encode((struct mb_slice){ (const uint8_t *)"\xff\xff", 2 }, &b,
					  &s->err),
			  &s->err);
		send_bytes(s, b.data, b.len);
		break;
	case A_HELLO:
		msg = (struct mb_msg){ .type = MB_MSG_HELLO, .hello = s->config.hello };
		send_msg(s, &msg);
		break;
	case WELCOME_AGAIN:
		msg = (struct mb_msg){ .type = MB_MSG_WELCOME };
		msg.welcome.version = 1;
		msg.welcome.server = "";
		msg.welcome.max_frame_bytes = 1000;
		send_msg(s, &msg);
		break;
	case OTHER_EPOCH:
		msg.ack.epoch = s->epoch;
		msg.ack.fingerprint = mb_fingerprint_id(&s->fp);
		send_msg(s, &msg);
		break;
	case OTHER_RESULT:
		msg.ack.epoch = s->epoch + 1;
		msg.ack.fingerprint = mb_fingerprint_id(&s->fp);
		send_msg(s, &msg);
		break;
	default:
		hang_up(s);
	}
	mb_buf_deinit(&b);
}

static void test_server_misbehaves(void **state)
{
	static const char *const words[MISBEHAVIOURS] = {
		[GARBAGE] = "server's answer",
		[HALF_A_FRAME] = "closed the connection",
		[HUGE_FRAME] = "server's answer",
		[NOT_A_MESSAGE] = "server's answer",
		[A_HELLO] = "out of turn",
		[WELCOME_AGAIN] = "out of turn",
		[OTHER_EPOCH] = "an epoch that was not sent",
		[OTHER_RESULT] = "another fingerprint",
		[SILENT_END] = "closed the connection",
	};
	struct came c;
	struct scene s;

	(void)state;
	for (int how = 0; how < MISBEHAVIOURS; how++) {
		int n_acked;

		open_with_epoch_acked(&s);
		offer(&s, 200, 50);
		take_delta(&s, false);
		n_acked = s.n_acked;
		s.said[0] = 0;
		misbehave(&s, (enum misbehaviour)how);
		assert_goes_away(&s, words[how]);
		/* It comes again, believes nothing, and sends the same. */
		greet(&s);
		assert_int_equal(s.n_acked, n_acked);
		assert_int_equal(s.n_warnings, 1);
		c = take_delta(&s, true);
		assert_int_equal(c.base_epoch, 1);
		assert_int_equal(c.epoch, 2);
		ack(&s);
		scene_close(&s);
	}
}

static void test_messages_out_of_turn(void **state)
{
	struct mb_msg hello, msg;
	struct scene s;

	(void)state;
	for (int i = 0; i < 3; i++) {
		scene_open(&s, 2 * MS, 8 * MS);
		start_listening(&s);
		wait_for_agent(&s);
		receive(&s, MB_MSG_HELLO, &hello);
		mb_msg_deinit(&hello);
		msg = (struct mb_msg){ .type = i == 0 ? MB_MSG_ACK : MB_MSG_RESYNC };
		if (i)
			msg.resync_reason = "";
		if (i == 2) {
			/* Nothing was sent that could be done again. */
			greet(&s);
			for (int k = 0; k < 20; k++)
				must_turn(&s);
		}
		s.said[0] = 0;
		send_msg(&s, &msg);
		assert_goes_away(&s, i ? "out of turn" : "not sent");
		greet(&s);
		assert_int_equal(s.n_acked, 0);
		assert_works(&s, 100);
		scene_close(&s);
	}
}

/* Bytes come one by one, and several messages at once. */
static void test_any_segmentation(void **state)
{
	struct mb_msg hello, msg = { .type = MB_MSG_WELCOME };
	struct mb_buf b = { 0 };
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	wait_for_agent(&s);
	receive(&s, MB_MSG_HELLO, &hello);
	mb_msg_deinit(&hello);
	msg.welcome.version = 1;
	msg.welcome.server = "slow";
	msg.welcome.max_frame_bytes = 1 << 20;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	for (size_t i = 0; i < b.len; i++) {
		send_bytes(&s, b.data + i, 1);
		must_turn(&s);
	}
	assert_works(&s, 100);
	/* Refused in the same breath. */
	mb_buf_clear(&b);
	offer(&s, 200, 10);
	take_delta(&s, true);
	msg = (struct mb_msg){ .type = MB_MSG_ACK };
	msg.ack.epoch = s.epoch;
	msg.ack.fingerprint = mb_fingerprint_id(&s.fp);
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	msg = (struct mb_msg){ .type = MB_MSG_REFUSAL,
			       .refusal = { MB_REFUSED_SERVER, "disk full" } };
	s.said[0] = 0;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	send_bytes(&s, b.data, b.len);
	assert_goes_away(&s, "disk full");
	greet(&s);
	assert_int_equal(s.acked_epoch, 2);
	assert_works(&s, 300);
	mb_buf_deinit(&b);
	scene_close(&s);
}

static void test_frame_too_large(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	s.max_frame_bytes = 1000;
	offer(&s, 1, 500);
	greet(&s);
	for (int k = 0; k < 1000 && s.result == 0; k++)
		turn(&s);
	assert_fails(s.result, EMSGSIZE, &s.err, "the server accepts 1000");
	scene_close(&s);
}

static void test_backoff_grows(void **state)
{
	uint64_t at[6], full = 8 * MS, start = mb_now_ns();
	struct scene s;
	int n = 0;

	(void)state;
	scene_open(&s, 8 * MS, 32 * MS);
	/* Nobody listens. */
	while (n < 6) {
		int before = s.n_said;

		assert_true(mb_now_ns() - start < 5000 * MS);
		must_turn(&s);
		if (s.n_said == before)
			continue;
		/* The first is news, the others are not. */
		assert_int_equal(s.level, n ? MB_LOG_DEBUG : MB_LOG_WARNING);
		at[n++] = s.said_ns;
	}
	for (int i = 1; i < n; i++, full = MB_MIN(2 * full, 32 * MS))
		assert_true(at[i] - at[i - 1] >= full / 2);
	scene_close(&s);
}

static void test_backoff_is_jittered(void **state)
{
	double least = 1e9, most = 0;
	struct scene s;

	(void)state;
	for (int i = 0; i < 200; i++) {
		const char *text;
		double wait;

		scene_open(&s, 100000 * MS, 200000 * MS);
		must_turn(&s);
		text = strstr(s.said, "trying again in ");
		assert_non_null(text);
		wait = strtod(text + 16, NULL);
		assert_true(wait >= 50 && wait <= 100);
		least = MB_MIN(least, wait);
		most = MB_MAX(most, wait);
		scene_close(&s);
	}
	assert_true(least < 60 && most > 90);
}

/* A server that greets everybody and then cannot store is not to be hammered at. */
static void test_backoff_survives_a_welcome(void **state)
{
	uint64_t refused_ns;
	struct scene s;

	(void)state;
	scene_open(&s, 1 * MS, 64 * MS);
	start_listening(&s);
	offer(&s, 100, 10);
	for (int i = 0; i < 8; i++) {
		greet(&s);
		take_delta(&s, false);
		refuse(&s, MB_REFUSED_SERVER);
	}
	refused_ns = mb_now_ns();
	greet(&s);
	assert_true(mb_now_ns() - refused_ns >= 31 * MS);
	take_delta(&s, true);
	ack(&s);
	/* All is well again. */
	assert_works(&s, 500);
	scene_close(&s);
}

static void test_wakes(void **state)
{
	uint64_t start = mb_now_ns();
	struct scene s;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	open_with_epoch_acked(&s);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	assert_ok(mb_uplink_run(s.uplink, start + 60000 * MS, pipe_fds[0], &s.err), &s.err);
	assert_ok(mb_uplink_run(s.uplink, start, -1, &s.err), &s.err);
	assert_true(mb_now_ns() - start < 10000 * MS);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	scene_close(&s);
}

size_t __attribute__((weak)) __sanitizer_get_current_allocated_bytes(void);

static size_t allocated(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void test_memory_is_bounded(void **state)
{
	enum { PAGES = 20000, FP_BYTES = PAGES * 8 };
	size_t start, full;
	struct scene s;

	(void)state;
	scene_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	start = allocated();
	offer(&s, 1, PAGES);
	greet(&s);
	take_delta(&s, true);
	ack(&s);
	offer(&s, 2 * PAGES, PAGES);
	take_delta(&s, false);
	offer(&s, 4 * PAGES, PAGES);
	/* base, sent, newest; the frame; and the server's own fingerprint and buffers. */
	full = allocated();
	assert_true(full >= start + 3 * FP_BYTES);
	assert_true(full <= start + 12 * FP_BYTES);
	hang_up(&s);
	for (uint64_t i = 0; i < 40; i++) {
		offer(&s, (6 + i) * PAGES, PAGES);
		must_turn(&s);
	}
	assert_true(allocated() <= full + 65536);
	greet(&s);
	assert_int_equal(take_delta(&s, true).pass.epochs, 42);
	ack(&s);
	/* One is left. */
	assert_true(allocated() <= full - FP_BYTES);
	scene_close(&s);
}

static void test_destroy_at_any_time(void **state)
{
	struct scene s;

	(void)state;
	mb_uplink_destroy(NULL);
	scene_open(&s, 2 * MS, 8 * MS);
	offer(&s, 1, 10);
	scene_close(&s);
	scene_open(&s, 2 * MS, 8 * MS);
	start_listening(&s);
	offer(&s, 1, 10);
	greet(&s);
	take_delta(&s, false);
	offer(&s, 2, 10);
	scene_close(&s);
}

/* --- a serial line ---------------------------------------------------------------------------- */

/* Waits for the agent's next break and the Hello behind it. */
static void take_greeting(struct scene *s)
{
	uint64_t end = mb_now_ns() + 8000 * MS, before = s->token;
	struct mb_slice in = { 0 };

	while (!mb_break_take(&in, &s->token)) {
		uint8_t *to = mb_buf_reserve(&s->in, 65536);
		ssize_t n;

		assert_true(mb_now_ns() < end);
		must_turn(s);
		n = read(s->fd, to, 65536);
		if (n > 0)
			s->in.len += (size_t)n;
		in = mb_buf_slice(&s->in);
	}
	memmove(s->in.data, in.data, in.len);
	s->in.len = in.len;
	assert_true(s->token != 0 && s->token != before);
	take_hello(s);
}

static void send_break(struct scene *s, uint64_t token)
{
	struct mb_buf b = { 0 };

	mb_break_put(&b, token);
	send_bytes(s, b.data, b.len);
	mb_buf_deinit(&b);
}

static void greet_serial(struct scene *s)
{
	take_greeting(s);
	send_break(s, s->token);
	welcome(s);
}

static void turns(struct scene *s, int n)
{
	while (n--)
		must_turn(s);
}

static void test_serial(void **state)
{
	struct scene s;

	(void)state;
	scene_open_serial(&s);
	greet_serial(&s);
	assert_works(&s, 100);
	assert_works(&s, 200);
	assert_int_equal(s.n_warnings, 0);
	scene_close(&s);
}

/* All that may be left on the line from the agent before, and for it. */
static void test_serial_stale_bytes(void **state)
{
	struct mb_msg stale = { .type = MB_MSG_ACK, .ack.epoch = 7 };
	struct mb_msg refusal = { .type = MB_MSG_REFUSAL,
				  .refusal = { MB_REFUSED_IDENTITY, "not you" } };
	struct mb_buf b = { 0 };
	struct scene s;

	(void)state;
	scene_open_serial(&s);
	assert_ok(mb_msg_to_frame(&stale, &b, &s.err), &s.err);
	scene_close(&s);
	for (size_t from = 0; from <= b.len; from++)
		for (int both = 0; both < 2; both++) {
			scene_open_serial(&s);
			take_greeting(&s);
			/* The rest of an answer, whole ones, another's greeting, half an answer. */
			send_bytes(&s, b.data + from, b.len - from);
			send_msg(&s, &refusal);
			if (both)
				must_turn(&s);
			send_break(&s, s.token + 1);
			welcome(&s);
			send_bytes(&s, b.data, from);
			if (both)
				turns(&s, 2);
			send_break(&s, s.token);
			welcome(&s);
			assert_works(&s, 100);
			assert_int_equal(s.n_warnings, 0);
			scene_close(&s);
		}
	mb_buf_deinit(&b);
}

/* The other end is another server now; nobody has told the agent but the new one. */
static void test_serial_server_begins_anew(void **state)
{
	struct mb_msg msg = { .type = MB_MSG_ACK };
	struct mb_buf b = { 0 };
	struct scene s;

	(void)state;
	scene_open_serial(&s);
	greet_serial(&s);
	assert_works(&s, 100);
	send_break(&s, 0);
	assert_goes_away(&s, "began anew");
	greet_serial(&s);
	/* In the middle of an ack, and what was acked is sent again. */
	offer(&s, 300, 50);
	take_delta(&s, false);
	msg.ack.epoch = 2;
	assert_ok(mb_msg_to_frame(&msg, &b, &s.err), &s.err);
	send_bytes(&s, b.data, b.len - 5);
	send_break(&s, 0);
	assert_goes_away(&s, "began anew");
	greet_serial(&s);
	take_delta(&s, true);
	ack(&s);
	assert_works(&s, 400);
	mb_buf_deinit(&b);
	scene_close(&s);
}

static void test_serial_refusals(void **state)
{
	struct scene s;

	(void)state;
	scene_open_serial(&s);
	take_greeting(&s);
	send_break(&s, s.token);
	/* Noise, perhaps. */
	refuse(&s, MB_REFUSED_MESSAGE);
	assert_goes_away(&s, "because");
	greet_serial(&s);
	assert_works(&s, 100);
	refuse(&s, MB_REFUSED_BUSY);
	assert_goes_away(&s, "because");
	/* This one is meant. */
	take_greeting(&s);
	send_break(&s, s.token);
	refuse(&s, MB_REFUSED_IDENTITY);
	for (int k = 0; k < 1000 && s.result == 0; k++)
		turn(&s);
	assert_fails(s.result, EPERM, &s.err, "because");
	scene_close(&s);
}

static void test_serial_lost_greeting(void **state)
{
	uint64_t start = mb_now_ns();
	uint64_t first;
	struct scene s;

	(void)state;
	scene_open_serial(&s);
	take_greeting(&s);
	/* A server that is busy with the agent before answers both. */
	first = s.token;
	take_greeting(&s);
	assert_true(mb_now_ns() - start >= 5000 * MS);
	send_break(&s, first);
	welcome(&s);
	send_break(&s, s.token);
	welcome(&s);
	assert_works(&s, 100);
	scene_close(&s);
}

static void test_serial_hang_up(void **state)
{
	struct scene s;

	(void)state;
	scene_open_serial(&s);
	greet_serial(&s);
	assert_works(&s, 100);
	close(s.held);
	s.held = -1;
	hang_up(&s);
	assert_goes_away(&s, "nobody at the other end");
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_and_next),
		cmocka_unit_test(test_net_delta_while_away),
		cmocka_unit_test(test_audits_are_summed),
		cmocka_unit_test(test_who_is_summed),
		cmocka_unit_test(test_who_is_not_counted_twice),
		cmocka_unit_test(test_lost_ack),
		cmocka_unit_test(test_lost_delta),
		cmocka_unit_test(test_resync),
		cmocka_unit_test(test_server_holds_something_else),
		cmocka_unit_test(test_server_restarts_with_all),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_cut_digests),
		cmocka_unit_test(test_server_takes_no_sample),
		cmocka_unit_test(test_server_takes_no_sample_any_more),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_refusal_is_read_though_the_server_has_hung_up),
		cmocka_unit_test(test_server_misbehaves),
		cmocka_unit_test(test_messages_out_of_turn),
		cmocka_unit_test(test_any_segmentation),
		cmocka_unit_test(test_frame_too_large),
		cmocka_unit_test(test_backoff_grows),
		cmocka_unit_test(test_backoff_is_jittered),
		cmocka_unit_test(test_backoff_survives_a_welcome),
		cmocka_unit_test(test_wakes),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_destroy_at_any_time),
		cmocka_unit_test(test_serial),
		cmocka_unit_test(test_serial_stale_bytes),
		cmocka_unit_test(test_serial_server_begins_anew),
		cmocka_unit_test(test_serial_refusals),
		cmocka_unit_test(test_serial_lost_greeting),
		cmocka_unit_test(test_serial_hang_up),
	};

	return cmocka_run_group_tests_name("uplink", tests, NULL, NULL);
}
