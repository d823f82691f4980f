// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The sessions in tests/golden/, recorded on the way between an agent and a server of their time
 * (tests/flow/tool_tap.c): what the agent said is played to today's server, what the server said to
 * today's agent. Both must come to what was come to then, also when the other side is newer: with
 * fields and flags that nobody knows yet.
 */
#include <event2/event.h>
#include <poll.h>
#include <unistd.h>

#include "agent/uplink.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"
#include "proto/frame.h"
#include "server/session.h"
#include "tests/unit/util_server.h"
#include "tests/unit/util_wire.h"

enum { FRAMES_MAX = 16, RAW_MAX = 1 << 20 };
#define PATIENCE_NS ((uint64_t)5000000000)

/* --- recordings ------------------------------------------------------------------------------- */

/* One side of a session, frame by frame, as it was and as it is understood. */
struct half {
	size_t n;
	struct mb_buf frame[FRAMES_MAX], raw[FRAMES_MAX];
	struct mb_msg msg[FRAMES_MAX];
};

static void half_close(struct half *h)
{
	for (size_t i = 0; i < h->n; i++) {
		mb_buf_deinit(&h->frame[i]);
		mb_buf_deinit(&h->raw[i]);
		mb_msg_deinit(&h->msg[i]);
	}
}

static void half_open(struct half *h, const char *name, const char *who)
{
	struct mb_buf bytes = { 0 };
	struct mb_err err = { 0 };
	struct mb_slice in;
	char path[128];

	*h = (struct half){ 0 };
	snprintf(path, sizeof(path), "tests/golden/session-%s-%s.bin", name, who);
	assert_ok(mb_file_read(path, 65536, &bytes, &err), &err);
	for (in = mb_buf_slice(&bytes); in.len; h->n++) {
		const uint8_t *from = in.data;

		assert_true(h->n < FRAMES_MAX);
		assert_ok(mb_frame_take(&in, RAW_MAX, &h->raw[h->n], &err), &err);
		mb_buf_put(&h->frame[h->n], from, (size_t)(in.data - from));
		assert_ok(mb_msg_unpack(mb_buf_slice(&h->raw[h->n]), &h->msg[h->n], &err), &err);
	}
	mb_buf_deinit(&bytes);
}

/*
 * The same message of a later time: a field more in its body, one beside it, of every wire type,
 * and all that a frame's header may have that is to be ignored.
 */
static void modernize(struct half *h)
{
	for (size_t i = 0; i < h->n; i++) {
		struct mb_slice in = mb_buf_slice(&h->raw[i]);
		struct mb_buf raw = { 0 }, body = { 0 };
		struct mb_err err = { 0 };
		uint64_t tag = 0, len = 0;

		assert_true(mb_slice_get_varint(&in, &tag) && mb_slice_get_varint(&in, &len));
		assert_int_equal(tag & 7, 2);
		assert_int_equal(len, in.len);
		mb_buf_put(&body, in.data, in.len);
		pb_uint(&body, 900, 1234567890123u);
		pb_fixed64(&body, 901, 7);
		pb_text(&body, 902, "of a later time");
		pb_message(&raw, (uint32_t)(tag >> 3), &body);
		pb_text(&raw, 999, "beside it");
		mb_buf_clear(&h->frame[i]);
		assert_ok(mb_frame_encode(mb_buf_slice(&raw), &h->frame[i], &err), &err);
		h->frame[i].data[6] = h->frame[i].data[7] = 0xff;
		mb_buf_deinit(&raw);
	}
}

struct session {
	struct half agent, server;
};

static void session_open(struct session *s, const char *name, bool modern)
{
	half_open(&s->agent, name, "agent");
	half_open(&s->server, name, "server");
	/* Hello and Welcome, then a Delta and its Ack each. */
	assert_int_equal(s->agent.n, s->server.n);
	assert_true(s->agent.n >= 3);
	if (modern) {
		modernize(&s->agent);
		modernize(&s->server);
	}
}

static void session_close(struct session *s)
{
	half_close(&s->agent);
	half_close(&s->server);
}

/* --- a connection ----------------------------------------------------------------------------- */

/* The test's end: what is to take turns with it is called meanwhile. */
struct wire {
	int fd;
	struct mb_buf in, raw;
	void (*turn)(void *ctx);
	void *ctx;
};

static void wire_close(struct wire *w)
{
	if (w->fd >= 0)
		close(w->fd);
	mb_buf_deinit(&w->in);
	mb_buf_deinit(&w->raw);
}

static void wire_put(struct wire *w, const struct mb_buf *frame)
{
	assert_int_equal(send(w->fd, frame->data, frame->len, MSG_NOSIGNAL), (ssize_t)frame->len);
}

/* The next message; false: it hung up. */
static bool wire_take(struct wire *w, struct mb_msg *ret)
{
	uint64_t end = mb_now_ns() + PATIENCE_NS;
	struct mb_err err = { 0 };
	struct mb_slice in;
	int r;

	while (in = mb_buf_slice(&w->in), r = mb_frame_take(&in, RAW_MAX, &w->raw, &err),
	       r == -ENODATA) {
		uint8_t *to = mb_buf_reserve(&w->in, 65536);
		ssize_t n;

		assert_true(mb_now_ns() < end);
		w->turn(w->ctx);
		n = recv(w->fd, to, 65536, MSG_DONTWAIT);
		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return false;
		if (n > 0)
			w->in.len += (size_t)n;
		else
			poll(&(struct pollfd){ .fd = w->fd, .events = POLLIN }, 1, 1);
	}
	assert_ok(r, &err);
	assert_ok(mb_msg_unpack(mb_buf_slice(&w->raw), ret, &err), &err);
	memmove(w->in.data, in.data, in.len);
	w->in.len = in.len;
	return true;
}

/* --- today's server --------------------------------------------------------------------------- */

struct server {
	struct event_base *base;
	struct mb_fleet *fleet;
	struct mb_store *store;
	struct mb_ingest *ingest;
	struct mb_sessions *sessions;
	struct mb_address address;
	struct wire wire;
};

static void no_news(void *ctx, bool warning, const char *text)
{
	(void)ctx;
	(void)warning;
	(void)text;
}

static void server_turn(void *ctx)
{
	event_base_loop(((struct server *)ctx)->base, EVLOOP_NONBLOCK);
}

static void server_open(struct server *s)
{
	static int n;
	const struct mb_sessions_config c = { .max_sessions = 4,
					      .max_frame_bytes = RAW_MAX,
					      .frame_budget_bytes = 2 * RAW_MAX,
					      .say = no_news };
	struct mb_address bound;
	struct mb_err err = { 0 };
	char name[32], path[128], uri[140];

	*s = (struct server){ .wire = { .fd = -1, .turn = server_turn, .ctx = s } };
	snprintf(name, sizeof(name), "%d.db", n);
	scratch_path(name, path);
	s->base = event_base_new();
	assert_non_null(s->base);
	assert_ok(mb_fleet_create(&s->fleet, &err), &err);
	assert_ok(mb_store_open(path, &s->store, &err), &err);
	assert_ok(mb_ingest_create(s->fleet, s->store, RAW_MAX, &s->ingest, &err), &err);
	assert_ok(mb_sessions_create(s->base, s->fleet, s->ingest, &c, &s->sessions, &err), &err);
	snprintf(name, sizeof(name), "%d.sock", n++);
	scratch_path(name, path);
	snprintf(uri, sizeof(uri), "unix:%s", path);
	assert_ok(mb_uri_parse(uri, &s->address, &err), &err);
	assert_ok(mb_sessions_listen(s->sessions, &s->address, &bound, &err), &err);
}

static void server_close(struct server *s)
{
	wire_close(&s->wire);
	mb_sessions_destroy(s->sessions);
	mb_ingest_destroy(s->ingest);
	mb_store_close(s->store);
	mb_fleet_destroy(s->fleet);
	event_base_free(s->base);
}

static void server_reach(struct server *s)
{
	wire_close(&s->wire);
	s->wire.in = s->wire.raw = (struct mb_buf){ 0 };
	s->wire.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(s->wire.fd, &s->address.sa, s->address.len), 0);
	/* It sees that the one before is gone. */
	for (int i = 0; i < 5; i++)
		server_turn(s);
}

/* Welcome and Acks say what they said then. */
static void expect_as_then(struct wire *w, const struct mb_msg *then)
{
	struct mb_msg now;

	assert_true(wire_take(w, &now));
	if (now.type != then->type)
		fail_msg("%s: %s", mb_msg_type_name(now.type),
			 now.type == MB_MSG_REFUSAL ? now.refusal.reason : "");
	if (now.type == MB_MSG_WELCOME) {
		assert_int_equal(now.welcome.version, then->welcome.version);
		assert_memory_equal(&now.welcome.boot, &then->welcome.boot, MB_BOOT_BYTES);
		assert_int_equal(now.welcome.epoch, then->welcome.epoch);
		assert_true(mb_fingerprint_id_equal(&now.welcome.fingerprint,
						    &then->welcome.fingerprint));
	} else {
		assert_int_equal(now.type, MB_MSG_ACK);
		assert_int_equal(now.ack.epoch, then->ack.epoch);
		assert_true(mb_fingerprint_id_equal(&now.ack.fingerprint, &then->ack.fingerprint));
	}
	mb_msg_deinit(&now);
}

static void play_agent(struct server *s, const char *name, bool modern)
{
	struct session rec;

	session_open(&rec, name, modern);
	server_reach(s);
	for (size_t i = 0; i < rec.agent.n; i++) {
		wire_put(&s->wire, &rec.agent.frame[i]);
		expect_as_then(&s->wire, &rec.server.msg[i]);
	}
	session_close(&rec);
}

static void test_agents_of_then(void **state)
{
	struct server s;

	(void)state;
	for (int modern = 0; modern < 2; modern++) {
		server_open(&s);
		play_agent(&s, "v1-fresh", modern);
		play_agent(&s, "v1-resumed", modern);
		play_agent(&s, "v1-48-bits", modern);
		server_close(&s);
	}
}

/*
 * Recorded bytes that somebody plays again on a way without TLS: what is held stays as it is, since
 * no Delta starts from it.
 */
static void test_played_again(void **state)
{
	struct session rec;
	struct server s;
	struct mb_vm vm;
	struct mb_msg msg;

	(void)state;
	server_open(&s);
	play_agent(&s, "v1-fresh", false);
	play_agent(&s, "v1-resumed", false);
	session_open(&rec, "v1-fresh", false);
	server_reach(&s);
	/* Not the snapshot: that a stranger may send who gets in at all. */
	for (size_t i = 0; i < rec.agent.n; i++) {
		if (i == 1)
			continue;
		wire_put(&s.wire, &rec.agent.frame[i]);
		assert_true(wire_take(&s.wire, &msg));
		assert_int_equal(msg.type, i ? MB_MSG_RESYNC : MB_MSG_WELCOME);
		mb_msg_deinit(&msg);
	}
	session_close(&rec);
	mb_fleet_get(s.fleet, 0, &vm);
	assert_int_equal(vm.epoch, 6);
	mb_vm_deinit(&vm);
	server_close(&s);
}

static void expect_refused(struct server *s, const struct mb_buf *frame, uint32_t code)
{
	struct mb_msg msg;

	wire_put(&s->wire, frame);
	assert_true(wire_take(&s->wire, &msg));
	assert_int_equal(msg.type, MB_MSG_REFUSAL);
	assert_int_equal(msg.refusal.code, code);
	mb_msg_deinit(&msg);
	assert_false(wire_take(&s->wire, &msg));
}

/* What must be understood, and is not: refused, be it Hello or Delta, and nothing is kept. */
static void test_agent_must_be_understood(void **state)
{
	struct session rec;
	struct server s;

	(void)state;
	session_open(&rec, "v1-fresh", false);
	for (int bit = 0; bit < 8; bit++) {
		for (size_t bad = 0; bad < 3 && !(1 << bit & MB_FRAME_FLAGS); bad++) {
			struct mb_vm vm;

			server_open(&s);
			server_reach(&s);
			for (size_t i = 0; i < bad; i++) {
				wire_put(&s.wire, &rec.agent.frame[i]);
				expect_as_then(&s.wire, &rec.server.msg[i]);
			}
			rec.agent.frame[bad].data[5] = (uint8_t)(1 << bit);
			expect_refused(&s, &rec.agent.frame[bad], MB_REFUSED_MESSAGE);
			rec.agent.frame[bad].data[5] = 0;
			if (bad) {
				mb_fleet_get(s.fleet, 0, &vm);
				assert_int_equal(vm.epoch, bad - 1);
				mb_vm_deinit(&vm);
			}
			server_close(&s);
		}
	}
	session_close(&rec);
}

static void put_hello(const struct mb_msg *from, uint32_t oldest, uint32_t newest,
		      struct mb_buf *to)
{
	struct mb_msg msg = *from;
	struct mb_err err = { 0 };

	msg.hello.version = oldest;
	msg.hello.newest_version = newest;
	mb_buf_clear(to);
	assert_ok(mb_msg_to_frame(&msg, to, &err), &err);
}

static void test_agent_versions(void **state)
{
	struct mb_buf hello = { 0 };
	struct session rec;
	struct server s;

	(void)state;
	session_open(&rec, "v1-fresh", false);
	server_open(&s);
	/* One that speaks newer ones besides: they meet at ours. */
	put_hello(&rec.agent.msg[0], 1, 9, &hello);
	server_reach(&s);
	wire_put(&s.wire, &hello);
	expect_as_then(&s.wire, &rec.server.msg[0]);
	wire_put(&s.wire, &rec.agent.frame[1]);
	expect_as_then(&s.wire, &rec.server.msg[1]);
	/* One that has given ours up, one that says it speaks none. */
	put_hello(&rec.agent.msg[0], 2, 9, &hello);
	server_reach(&s);
	expect_refused(&s, &hello, MB_REFUSED_VERSION);
	put_hello(&rec.agent.msg[0], 0, 0, &hello);
	server_reach(&s);
	expect_refused(&s, &hello, MB_REFUSED_VERSION);
	server_close(&s);
	session_close(&rec);
	mb_buf_deinit(&hello);
}

/* --- today's agent ---------------------------------------------------------------------------- */

struct agent {
	struct mb_uplink *uplink;
	struct mb_uplink_config config;
	char uri[140], said[600];
	int listener;
	struct wire wire;
	struct mb_fingerprint fp; /* of the recorded agent, by what it said */
	uint64_t acked;
};

static void on_agent_say(void *ctx, enum mb_log_level level, const char *text)
{
	struct agent *a = ctx;

	(void)level;
	snprintf(a->said, sizeof(a->said), "%s", text);
}

static void on_acked(void *ctx, uint64_t epoch, size_t wire_bytes)
{
	struct agent *a = ctx;

	(void)wire_bytes;
	a->acked = epoch;
}

static void agent_turn(void *ctx)
{
	struct agent *a = ctx;
	struct mb_err err = { 0 };

	assert_ok(mb_uplink_run(a->uplink, mb_now_ns() + 1000000, -1, &err), &err);
}

static void agent_open(struct agent *a, const struct mb_hello *hello)
{
	static int n;
	struct mb_err err = { 0 };
	char name[32], path[128];

	*a = (struct agent){ .wire = { .fd = -1, .turn = agent_turn, .ctx = a } };
	snprintf(name, sizeof(name), "%d.agent", n++);
	scratch_path(name, path);
	snprintf(a->uri, sizeof(a->uri), "unix:%s", path);
	a->config = (struct mb_uplink_config){ .uri = a->uri,
					       .hello = *hello,
					       .retry_min_ns = 1000000,
					       .retry_max_ns = 4000000,
					       .say = on_agent_say,
					       .acked = on_acked,
					       .ctx = a };
	assert_ok(mb_uri_parse(a->uri, &a->config.address, &err), &err);
	a->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(a->listener, &a->config.address.sa, a->config.address.len), 0);
	assert_int_equal(listen(a->listener, 5), 0);
	assert_ok(mb_uplink_create(&a->config, &a->uplink, &err), &err);
}

static void agent_close(struct agent *a)
{
	wire_close(&a->wire);
	close(a->listener);
	mb_uplink_destroy(a->uplink);
	mb_fingerprint_deinit(&a->fp);
}

/* The server hangs up, the agent comes again. */
static void agent_accept(struct agent *a)
{
	uint64_t end = mb_now_ns() + PATIENCE_NS;

	wire_close(&a->wire);
	a->wire.in = a->wire.raw = (struct mb_buf){ 0 };
	for (a->wire.fd = -1; a->wire.fd < 0;) {
		assert_true(mb_now_ns() < end);
		agent_turn(a);
		a->wire.fd = accept4(a->listener, NULL, NULL, SOCK_CLOEXEC);
	}
}

/* The agent has the epoch that the recorded one had when it said this. */
static void agent_offer(struct agent *a, const struct mb_delta_msg *then)
{
	const struct mb_fingerprint empty = { 0 };
	struct mb_epoch epoch = { .info = then->pass };
	struct mb_fingerprint next;
	struct mb_delta d = { 0 };
	struct mb_err err = { 0 };

	assert_ok(mb_delta_decode(&then->fields, a->config.hello.identity.bits, &d, &err), &err);
	assert_ok(mb_delta_apply(then->base_epoch ? &a->fp : &empty, &d, &next, &err), &err);
	mb_fingerprint_deinit(&a->fp);
	a->fp = next;
	mb_delta_deinit(&d);
	assert_ok(mb_fingerprint_init(&epoch.fingerprint, next.n_distinct, next.n_multi, &err),
		  &err);
	for (uint32_t rank = 0, at = 0; rank < next.n_distinct; rank++)
		mb_fingerprint_push(&epoch.fingerprint, next.digests[rank],
				    mb_fingerprint_copies(&next, &at, rank));
	epoch.info.who = (struct mb_slice){ 0 };
	mb_uplink_offer(a->uplink, &epoch);
}

/* Today's agent says the same as then, in its own way. */
static void expect_said(struct agent *a, const struct mb_msg *then)
{
	struct mb_msg now;

	assert_true(wire_take(&a->wire, &now));
	assert_int_equal(now.type, then->type);
	if (now.type == MB_MSG_DELTA) {
		assert_int_equal(now.delta.base_epoch, then->delta.base_epoch);
		assert_int_equal(now.delta.epoch, then->delta.epoch);
		assert_true(
			mb_fingerprint_id_equal(&now.delta.fields.base, &then->delta.fields.base));
		assert_true(mb_fingerprint_id_equal(&now.delta.fields.result,
						    &then->delta.fields.result));
	} else {
		assert_int_equal(now.type, MB_MSG_HELLO);
		assert_string_equal(now.hello.vm, then->hello.vm);
	}
	mb_msg_deinit(&now);
}

static void play_server(struct agent *a, const struct session *rec)
{
	agent_accept(a);
	for (size_t i = 0; i < rec->server.n; i++) {
		const struct mb_msg *then = &rec->agent.msg[i];
		uint64_t end = mb_now_ns() + PATIENCE_NS;

		if (then->type == MB_MSG_DELTA)
			agent_offer(a, &then->delta);
		expect_said(a, then);
		wire_put(&a->wire, &rec->server.frame[i]);
		while (then->type == MB_MSG_DELTA && a->acked != then->delta.epoch) {
			assert_true(mb_now_ns() < end);
			agent_turn(a);
		}
	}
	assert_true(mb_uplink_idle(a->uplink));
}

static void test_servers_of_then(void **state)
{
	(void)state;
	for (int modern = 0; modern < 2; modern++) {
		struct session fresh, resumed, short_digests;
		struct agent a;

		session_open(&fresh, "v1-fresh", modern);
		session_open(&resumed, "v1-resumed", modern);
		session_open(&short_digests, "v1-48-bits", modern);
		agent_open(&a, &fresh.agent.msg[0].hello);
		play_server(&a, &fresh);
		play_server(&a, &resumed);
		assert_int_equal(a.acked, 6);
		agent_close(&a);
		agent_open(&a, &short_digests.agent.msg[0].hello);
		play_server(&a, &short_digests);
		agent_close(&a);
		session_close(&fresh);
		session_close(&resumed);
		session_close(&short_digests);
	}
}

static void expect_gone(struct agent *a, const char *word)
{
	uint64_t end = mb_now_ns() + PATIENCE_NS;

	while (!strstr(a->said, "trying again")) {
		assert_true(mb_now_ns() < end);
		agent_turn(a);
	}
	if (!strstr(a->said, word))
		fail_msg("%s", a->said);
}

/* The agent hangs up, keeps what it has, and brings it to a server that it understands. */
static void test_server_must_be_understood(void **state)
{
	(void)state;
	for (size_t bad = 0; bad < 2; bad++) {
		struct session rec;
		struct agent a;

		session_open(&rec, "v1-fresh", false);
		agent_open(&a, &rec.agent.msg[0].hello);
		agent_accept(&a);
		agent_offer(&a, &rec.agent.msg[1].delta);
		for (size_t i = 0; i < bad; i++) {
			expect_said(&a, &rec.agent.msg[i]);
			wire_put(&a.wire, &rec.server.frame[i]);
		}
		expect_said(&a, &rec.agent.msg[bad]);
		rec.server.frame[bad].data[5] = 0x10;
		wire_put(&a.wire, &rec.server.frame[bad]);
		expect_gone(&a, "must-understand flags 0x10");
		assert_int_equal(a.acked, 0);
		agent_accept(&a);
		rec.server.frame[bad].data[5] = 0;
		for (size_t i = 0; i < 2; i++) {
			expect_said(&a, &rec.agent.msg[i]);
			wire_put(&a.wire, &rec.server.frame[i]);
		}
		for (int i = 0; i < 1000 && !a.acked; i++)
			agent_turn(&a);
		assert_int_equal(a.acked, 1);
		agent_close(&a);
		session_close(&rec);
	}
}

/* A server may choose among what was offered, nothing else. */
static void test_server_versions(void **state)
{
	static const struct {
		uint32_t newest, answer;
		bool good;
	} cases[] = {
		{ 0, 1, true }, { 0, 2, false }, { 0, 0, false }, { 3, 3, true }, { 3, 4, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mb_buf welcome = { 0 };
		struct mb_err err = { 0 };
		struct session rec;
		struct mb_msg msg;
		struct agent a;

		session_open(&rec, "v1-fresh", false);
		rec.agent.msg[0].hello.newest_version = cases[i].newest;
		agent_open(&a, &rec.agent.msg[0].hello);
		agent_offer(&a, &rec.agent.msg[1].delta);
		agent_accept(&a);
		expect_said(&a, &rec.agent.msg[0]);
		msg = rec.server.msg[0];
		msg.welcome.version = cases[i].answer;
		assert_ok(mb_msg_to_frame(&msg, &welcome, &err), &err);
		wire_put(&a.wire, &welcome);
		if (cases[i].good)
			expect_said(&a, &rec.agent.msg[1]);
		else
			expect_gone(&a, "wants to speak protocol version");
		mb_buf_deinit(&welcome);
		agent_close(&a);
		session_close(&rec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agents_of_then),
		cmocka_unit_test(test_played_again),
		cmocka_unit_test(test_agent_must_be_understood),
		cmocka_unit_test(test_agent_versions),
		cmocka_unit_test(test_servers_of_then),
		cmocka_unit_test(test_server_must_be_understood),
		cmocka_unit_test(test_server_versions),
	};

	return cmocka_run_group_tests_name("golden_session", tests, NULL, NULL);
}
