// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is slow, silent, greedy or one too many. */
#include <fcntl.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/break.h"
#include "proto/frame.h"
#include "tests/unit/util_pki.h"
#include "tests/unit/util_session.h"

#define S 1000000000ull

/* Another one of those that talk: swaps who is meant by the scene's functions. */
struct other {
	int fd;
	struct mb_buf in;
};

static void swap(struct scene *s, struct other *o)
{
	struct other was = { s->fd, s->in };

	s->fd = o->fd;
	s->in = o->in;
	*o = was;
}

static void leave(struct other *o)
{
	if (o->fd >= 0)
		close(o->fd);
	mb_buf_deinit(&o->in);
	*o = (struct other){ .fd = -1 };
}

static void expect_pause(struct scene *s, const char *word, enum mb_refused_for why)
{
	struct mb_msg msg;

	expect(s, MB_MSG_REFUSAL, &msg);
	assert_int_equal(msg.refusal.code, MB_REFUSED_SERVER);
	if (!strstr(msg.refusal.reason, word))
		fail_msg("%s", msg.refusal.reason);
	assert_true(msg.refusal.retry_after_ms >= 1000);
	assert_int_equal(mb_refusals_get(&s->refusals, why), 1);
	mb_msg_deinit(&msg);
}

/* Greets as VM `vm`, and brings its first epoch. */
static void bring(struct scene *s, const char *vm)
{
	make_hello(vm, 1, &s->hello);
	reach(s);
	send_greeting(s, 0);
	expect_welcome(s, 0);
	send_bytes(s, s->delta.data, s->delta.len);
	expect_ack(s, 1);
}

/* Waits for the end; what comes before it is dropped. */
static void expect_end(struct scene *s, const char *said)
{
	while (await(s, 1))
		mb_buf_clear(&s->in);
	if (!strstr(s->said, said))
		fail_msg("%s", s->said);
}

/* On TCP nobody may be silent. */
static void listen_tcp(struct scene *s)
{
	struct mb_address any, bound;
	struct mb_err err = { 0 };

	assert_ok(mb_uri_parse("tcp:127.0.0.1:0", &any, &err), &err);
	assert_ok(mb_sessions_listen(s->sessions, &any, &bound, &err), &err);
	s->address = bound;
}

static void reach_tcp(struct scene *s)
{
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(s->fd, &s->address.sa, s->address.len), 0);
	assert_int_equal(fcntl(s->fd, F_SETFL, O_NONBLOCK), 0);
	turns(s);
}

static void test_silent(void **state)
{
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.waits.hello_ms = 50;
	scene_start(&s);
	listen_tcp(&s);
	reach_tcp(&s);
	expect_end(&s, "no Hello in time");
	scene_close(&s);
}

/* A server with TLS that is about to start, and what its agent needs. */
static struct mb_tls *prepare_tls(struct scene *s)
{
	struct mb_tls *client;
	struct mb_err err = { 0 };
	char pem[128], ca[16];
	static int n;

	snprintf(ca, sizeof(ca), "ca%d", n++);
	pki_init(ca);
	pki_server(ca, "server", "127.0.0.1", pem);
	scene_prepare(s);
	assert_ok(mb_tls_create(true, &(struct mb_tls_files){ .cert = pem }, &s->config.tls, &err),
		  &err);
	pki_agent(ca, "agent", "web1", pem);
	assert_ok(mb_tls_create(false, &(struct mb_tls_files){ .cert = pem }, &client, &err), &err);
	return client;
}

static void close_tls(struct scene *s, struct mb_tls *client)
{
	scene_close(s);
	mb_tls_destroy(client);
	mb_tls_destroy(s->config.tls);
}

/* The handshake stands within so many turns. */
static bool shakes(struct scene *s, SSL *ssl, int turns)
{
	for (int i = 0; i < turns; i++) {
		int r = SSL_do_handshake(ssl);

		if (r == 1)
			return true;
		assert_int_equal(SSL_get_error(ssl, r), SSL_ERROR_WANT_READ);
		turn(s);
		poll(NULL, 0, 1);
	}
	return false;
}

/* TLS that was never begun, and TLS that stands and says nothing: each has its own time. */
static void test_silent_in_tls(void **state)
{
	struct scene s;
	struct mb_tls *client = prepare_tls(&s);
	SSL *ssl;

	(void)state;
	s.config.waits.handshake_ms = 200;
	s.config.waits.pace_ms = 50;
	s.config.waits.hello_ms = 50;
	scene_start(&s);
	listen_tcp(&s);
	reach_tcp(&s);
	expect_end(&s, "no TLS in time");
	close(s.fd);
	s.said[0] = 0;
	reach_tcp(&s);
	/* Longer than a Hello may take. */
	for (int i = 0; i < 70; i++) {
		turn(&s);
		poll(NULL, 0, 1);
	}
	assert_string_equal(s.said, "");
	ssl = mb_tls_connect(client, s.fd, "127.0.0.1");
	assert_non_null(ssl);
	assert_true(shakes(&s, ssl, 1000));
	expect_end(&s, "no Hello in time");
	SSL_free(ssl);
	close_tls(&s, client);
}

/* One handshake at a time: who comes next waits for one that may yet be, not for one that dawdles. */
static void test_handshakes_are_paced(void **state)
{
	(void)state;
	for (int dawdles = 0; dawdles < 2; dawdles++) {
		struct scene s;
		struct mb_tls *client = prepare_tls(&s);
		int first;
		SSL *ssl;

		s.config.max_handshakes = 1;
		s.config.waits.pace_ms = dawdles ? 50 : 60000;
		s.config.waits.handshake_ms = 120000;
		scene_start(&s);
		listen_tcp(&s);
		reach_tcp(&s);
		first = s.fd;
		reach_tcp(&s);
		ssl = mb_tls_connect(client, s.fd, "127.0.0.1");
		assert_non_null(ssl);
		if (!dawdles) {
			assert_false(shakes(&s, ssl, 100));
			close(first);
		}
		assert_true(shakes(&s, ssl, 5000));
		if (dawdles)
			close(first);
		/* Nobody is waited for now. */
		first = s.fd;
		SSL_free(ssl);
		reach_tcp(&s);
		ssl = mb_tls_connect(client, s.fd, "127.0.0.1");
		assert_non_null(ssl);
		assert_true(shakes(&s, ssl, 1000));
		close(first);
		SSL_free(ssl);
		close_tls(&s, client);
	}
}

/* Single bytes do not buy time. */
static void test_slow_frame(void **state)
{
	uint64_t end = mb_now_ns() + 5 * S;
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.waits.frame_ms = 50;
	s.config.waits.bytes_per_s = 1u << 31;
	scene_start(&s);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 0);
	/* Nothing to say, however long. */
	for (int i = 0; i < 20; i++) {
		poll(NULL, 0, 5);
		turn(&s);
	}
	assert_non_null(strstr(s.said, "connected"));
	for (size_t i = 0; i < s.delta.len && !strstr(s.said, "too long to send a frame"); i++) {
		if (send(s.fd, s.delta.data + i, 1, MSG_NOSIGNAL) != 1)
			break;
		poll(NULL, 0, 5);
		turn(&s);
		assert_true(mb_now_ns() < end);
	}
	expect_end(&s, "too long to send a frame");
	/* Its VM is free. */
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 0);
	scene_close(&s);
}

/* Asks for breaks and does not read them, until no more is taken for a while, or it is cut. */
static size_t ask_without_listening(struct scene *s)
{
	uint64_t end = mb_now_ns() + 20 * S;
	struct mb_buf b = { 0 };
	size_t sent = 0;

	reach(s);
	for (int i = 0; i < 100; i++)
		mb_break_put(&b, 7);
	for (int refused = 0; refused < 40 && !strstr(s->said, "does not read");) {
		ssize_t n = send(s->fd, b.data, b.len, MSG_NOSIGNAL);

		assert_true(mb_now_ns() < end);
		refused = n > 0 ? 0 : refused + 1;
		sent += n > 0 ? (size_t)n : 0;
		if (n <= 0)
			poll(NULL, 0, 5);
		turn(s);
		if (sent > 4 << 20)
			break;
	}
	mb_buf_deinit(&b);
	return sent;
}

/* Who asks and does not listen is not read from, and then cut. */
static void test_does_not_read(void **state)
{
	struct scene s;

	(void)state;
	scene_open(&s);
	/* Sockets and the server keep a little of it; the rest stays here. */
	assert_true(ask_without_listening(&s) < 2 << 20);
	assert_null(strstr(s.said, "does not read"));
	/* Who listens at last is served. */
	for (int quiet = 0; quiet < 20;) {
		uint8_t bytes[4096];
		ssize_t n = recv(s.fd, bytes, sizeof(bytes), 0);

		quiet = n > 0 ? 0 : quiet + 1;
		turn(&s);
	}
	send_greeting(&s, 8);
	expect_break(&s, 8);
	expect_welcome(&s, 0);
	scene_close(&s);
	scene_prepare(&s);
	s.config.waits.write_ms = 50;
	scene_start(&s);
	ask_without_listening(&s);
	expect_end(&s, "does not read");
	scene_close(&s);
}

/* The second is refused for as long as the first is there. */
static void test_two_agents_of_a_vm(void **state)
{
	struct other first = { .fd = -1 };
	struct scene s;

	(void)state;
	scene_open(&s);
	bring(&s, "a");
	swap(&s, &first);
	s.hello.boot.id[0] = 2;
	reach(&s);
	send_greeting(&s, 0);
	expect_refusal(&s, MB_REFUSED_BUSY);
	/* The first one is not disturbed: what it has brought is acked again. */
	swap(&s, &first);
	send_bytes(&s, s.delta.data, s.delta.len);
	expect_ack(&s, 1);
	/* It dies; the second takes over, with a snapshot of its own. */
	close(s.fd);
	s.fd = -1;
	turns(&s);
	leave(&first);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 0);
	send_bytes(&s, s.delta.data, s.delta.len);
	expect_ack(&s, 1);
	scene_close(&s);
}

static void test_too_many_connections(void **state)
{
	struct other first = { .fd = -1 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.max_sessions = 1;
	scene_start(&s);
	bring(&s, "a");
	swap(&s, &first);
	reach(&s);
	expect_pause(&s, "too many connections", MB_FOR_TOO_MANY);
	assert_false(await(&s, 1));
	/* Counted each time, said once. */
	s.n_said = 0;
	reach(&s);
	assert_int_equal(mb_refusals_get(&s.refusals, MB_FOR_TOO_MANY), 2);
	assert_int_equal(s.n_said, 0);
	leave(&first);
	turns(&s);
	make_hello("b", 1, &s.hello);
	bring(&s, "b");
	scene_close(&s);
}

static void test_quota_of_sessions(void **state)
{
	struct other first = { .fd = -1 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	/* Others' quota is not ours. */
	s.config.quota.max[MB_QUOTA_SESSIONS] = 1;
	s.config.quota_local.max[MB_QUOTA_SESSIONS] = 2;
	scene_start(&s);
	bring(&s, "a");
	swap(&s, &first);
	bring(&s, "b");
	leave(&first);
	turns(&s);
	swap(&s, &first);
	bring(&s, "c");
	swap(&s, &first);
	{
		struct other second = { .fd = -1 };

		swap(&s, &second);
		reach(&s);
		expect_pause(&s, "quota of 2 sessions", MB_FOR_QUOTA + MB_QUOTA_SESSIONS);
		leave(&second);
	}
	leave(&first);
	scene_close(&s);
}

static void test_quota_of_vms(void **state)
{
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.quota_local.max[MB_QUOTA_VMS] = 2;
	scene_start(&s);
	bring(&s, "a");
	bring(&s, "b");
	make_hello("c", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	expect_pause(&s, "quota of 2 VMs", MB_FOR_QUOTA + MB_QUOTA_VMS);
	/* Those that it has it keeps. */
	make_hello("a", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 1);
	scene_close(&s);
}

/* Told when to come back; what was acked is held, what was not is still the agent's. */
static void quota_of_flow(enum mb_quota_kind kind, uint64_t max, const char *word)
{
	int acked = 0;
	struct scene s;

	scene_prepare(&s);
	s.config.quota_local.max[kind] = max;
	scene_start(&s);
	bring(&s, "a");
	while (acked < 5) {
		/* The same again is a frame, too. */
		send_bytes(&s, s.delta.data, s.delta.len);
		assert_true(await(&s, MB_FRAME_HEADER_BYTES + 20));
		if (mb_refusals_get(&s.refusals, MB_FOR_QUOTA + kind))
			break;
		expect_ack(&s, 1);
		acked++;
	}
	assert_int_equal(acked, max - 1);
	expect_pause(&s, word, MB_FOR_QUOTA + kind);
	assert_non_null(strstr(s.said, "VM a: refused: unix user"));
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 1);
	scene_close(&s);
}

static void test_quota_of_frames(void **state)
{
	(void)state;
	quota_of_flow(MB_QUOTA_FRAMES_PER_MINUTE, 3, "quota of 3 frames a minute");
}

static void test_quota_of_bytes(void **state)
{
	static uint64_t digests[200000];
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.quota_local.max[MB_QUOTA_MB_PER_DAY] = 1;
	s.config.frame_budget_bytes = 8 << 20;
	s.config.max_frame_bytes = 8 << 20;
	scene_start(&s);
	for (size_t i = 0; i < MB_ARRAY_LEN(digests); i++)
		digests[i] = mb_mix64(i);
	assert_ok(mb_fingerprint_from_digests(&fp, digests, MB_ARRAY_LEN(digests), &err), &err);
	make_frame(NULL, 0, &fp, 1, 64, &s.delta);
	mb_fingerprint_deinit(&fp);
	assert_true(s.delta.len > 1 << 20);
	make_hello("a", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 0);
	for (size_t sent = 0, in = 0;
	     !mb_refusals_get(&s.refusals, MB_FOR_QUOTA + MB_QUOTA_MB_PER_DAY);) {
		ssize_t n = send(s.fd, s.delta.data + in, s.delta.len - in, MSG_NOSIGNAL);

		in = n > 0 ? (in + (size_t)n) % s.delta.len : in;
		sent += n > 0 ? (size_t)n : 0;
		/* It goes over with one frame, not with two. */
		assert_true(sent < (1 << 20) + 2 * s.delta.len);
		turn(&s);
	}
	while (await(&s, MB_FRAME_HEADER_BYTES)) {
		struct mb_frame_header h;

		assert_ok(mb_frame_header_decode(s.in.data, 65536, &h, &err), &err);
		assert_true(await(&s, MB_FRAME_HEADER_BYTES + h.payload_bytes));
		drop(&s, MB_FRAME_HEADER_BYTES + h.payload_bytes);
	}
	assert_non_null(strstr(s.said, "quota of 1 MB a day"));
	scene_close(&s);
}

/* Announces a frame that takes half of the budget, and sends nothing of it. */
static void announce(struct scene *s, const char *vm)
{
	uint8_t header[MB_FRAME_HEADER_BYTES] = { 'M', 'B', 'F', '1', 1 };

	make_hello(vm, 1, &s->hello);
	reach(s);
	send_greeting(s, 0);
	expect_welcome(s, 0);
	header[10] = header[14] = 0x10; /* 1 MiB both */
	/* In two pieces: the time to send the rest begins, and must not go on while it waits. */
	send_bytes(s, header, 5);
	turns(s);
	send_bytes(s, header + 5, sizeof(header) - 5);
	turns(s);
}

/* Two of these do not fit: the second waits, and who comes after it does, too. */
static void test_waits_for_room(void **state)
{
	struct other first = { .fd = -1 }, second = { .fd = -1 };
	uint64_t start;
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.frame_budget_bytes = 2 << 20;
	scene_start(&s);
	announce(&s, "a");
	swap(&s, &first);
	s.fd = -1;
	announce(&s, "b");
	swap(&s, &second);
	s.fd = -1;
	make_hello("c", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	start = mb_now_ns();
	while (mb_now_ns() - start < S / 10) {
		uint8_t c;

		turn(&s);
		assert_true(recv(s.fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
		poll(NULL, 0, 5);
	}
	/* Room: for the second, and so for the third. */
	leave(&first);
	expect_welcome(&s, 0);
	send_bytes(&s, s.delta.data, s.delta.len);
	expect_ack(&s, 1);
	leave(&second);
	scene_close(&s);
}

/* The server's own slowness is not held against those who wait. */
static void test_waiting_is_not_being_slow(void **state)
{
	struct other first = { .fd = -1 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.frame_budget_bytes = 2 << 20;
	s.config.waits.frame_ms = 100;
	scene_start(&s);
	announce(&s, "a");
	swap(&s, &first);
	s.fd = -1;
	announce(&s, "b");
	for (int i = 0; i < 60; i++) {
		poll(NULL, 0, 5);
		turn(&s);
	}
	assert_null(strstr(s.said, "too long"));
	leave(&first);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_silent_in_tls),
		cmocka_unit_test(test_handshakes_are_paced),
		cmocka_unit_test(test_slow_frame),
		cmocka_unit_test(test_does_not_read),
		cmocka_unit_test(test_two_agents_of_a_vm),
		cmocka_unit_test(test_too_many_connections),
		cmocka_unit_test(test_quota_of_sessions),
		cmocka_unit_test(test_quota_of_vms),
		cmocka_unit_test(test_quota_of_frames),
		cmocka_unit_test(test_quota_of_bytes),
		cmocka_unit_test(test_waits_for_room),
		cmocka_unit_test(test_waiting_is_not_being_slow),
	};

	return cmocka_run_group_tests_name("session_limits", tests, NULL, NULL);
}
