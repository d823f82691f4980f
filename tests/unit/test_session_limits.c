// SPDX-License-Identifier: GPL-2.0-or-later
/* Who is slow, silent or greedy. */
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
static void test_no_tls(void **state)
{
	struct scene s;
	struct mb_tls *client = prepare_tls(&s);

	(void)state;
	s.config.waits.handshake_ms = 60;
	s.config.waits.pace_ms = 20;
	s.config.waits.hello_ms = 60000;
	scene_start(&s);
	listen_tcp(&s);
	reach_tcp(&s);
	expect_end(&s, "no TLS in time");
	close_tls(&s, client);
}

static void test_silent_in_tls(void **state)
{
	struct scene s;
	struct mb_tls *client = prepare_tls(&s);
	SSL *ssl;

	(void)state;
	s.config.waits.handshake_ms = 60000;
	s.config.waits.hello_ms = 50;
	scene_start(&s);
	listen_tcp(&s);
	reach_tcp(&s);
	/* Longer than a Hello may take. */
	for (int i = 0; i < 70; i++) {
		turn(&s);
		poll(NULL, 0, 1);
	}
	assert_string_equal(s.said, "");
	ssl = mb_tls_connect(client, s.fd, "127.0.0.1");
	assert_non_null(ssl);
	assert_true(shakes(&s, ssl, 5000));
	expect_end(&s, "no Hello in time");
	SSL_free(ssl);
	close_tls(&s, client);
}

/* One handshake at a time: who comes next waits for one that may yet be, not for one that dawdles.
 */
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
		assert_true(shakes(&s, ssl, 5000));
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

/* Asks for `n` breaks at a time and reads none, until no more is taken for a while, or it is cut.
 */
static size_t ask_without_listening(struct scene *s, int n_breaks)
{
	uint64_t end = mb_now_ns() + 20 * S;
	struct mb_buf b = { 0 };
	size_t sent = 0;

	reach(s);
	for (int i = 0; i < n_breaks; i++)
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
	assert_true(ask_without_listening(&s, 100) < 2 << 20);
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
	/* One by one: nothing of the next is there when it is cut. */
	ask_without_listening(&s, 1);
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

/* Nor against one whose frame is all there, and the disk takes long. */
static void test_storing_is_not_being_slow(void **state)
{
	struct mb_store *other;
	struct mb_err err = { 0 };
	struct scene s;

	(void)state;
	scene_prepare(&s);
	s.config.waits.frame_ms = 100;
	scene_start(&s);
	make_hello("a", 1, &s.hello);
	reach(&s);
	send_greeting(&s, 0);
	expect_welcome(&s, 0);
	assert_ok(mb_store_open(s.store_path, &other, &err), &err);
	assert_ok(mb_store_begin(other, &err), &err);
	send_bytes(&s, s.delta.data, s.delta.len);
	for (int i = 0; i < 60; i++) {
		poll(NULL, 0, 5);
		turn(&s);
	}
	assert_null(strstr(s.said, "too long"));
	mb_store_rollback(other);
	mb_store_close(other);
	expect_ack(&s, 1);
	scene_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_silent_in_tls),
		cmocka_unit_test(test_handshakes_are_paced),
		cmocka_unit_test(test_slow_frame),
		cmocka_unit_test(test_does_not_read),
		cmocka_unit_test(test_two_agents_of_a_vm),
		cmocka_unit_test(test_waits_for_room),
		cmocka_unit_test(test_waiting_is_not_being_slow),
		cmocka_unit_test(test_storing_is_not_being_slow),
	};

	return cmocka_run_group_tests_name("session_limits", tests, NULL, NULL);
}
