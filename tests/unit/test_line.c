// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/line.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "tests/unit/util_pki.h"

static int open_uri(const char *uri, struct mb_line *ret, struct mb_err *err)
{
	struct mb_address a;

	assert_ok(mb_uri_parse(uri, &a, err), err);
	return mb_line_open(&a, ret, err);
}

static int open_terminal(char *uri, size_t size)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	assert_true(fd >= 0 && grantpt(fd) == 0 && unlockpt(fd) == 0);
	snprintf(uri, size, "serial:%s", ptsname(fd));
	return fd;
}

/* Every byte goes through as it is, both ways, and nothing comes back. */
static void test_terminal_is_raw(void **state)
{
	uint8_t all[256], got[600];
	struct mb_err err = { 0 };
	struct mb_line l;
	struct termios t;
	char uri[100];
	int fd = open_terminal(uri, sizeof(uri));

	(void)state;
	for (int i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	assert_ok(open_uri(uri, &l, &err), &err);
	assert_true(l.serial);
	assert_false(l.connecting);
	assert_int_equal(tcgetattr(l.fd, &t), 0);
	assert_int_equal(t.c_lflag & (tcflag_t)(ECHO | ICANON | ISIG | IEXTEN), 0);
	assert_int_equal(t.c_iflag & (tcflag_t)(IXON | ICRNL | ISTRIP), 0);
	assert_int_equal(t.c_oflag & (tcflag_t)OPOST, 0);
	assert_true(t.c_cflag & CLOCAL);
	assert_int_equal(cfgetospeed(&t), B115200);
	assert_int_equal(mb_line_read(&l, got, sizeof(got)), -EAGAIN);
	assert_int_equal(mb_line_write(&l, all, sizeof(all)), sizeof(all));
	assert_int_equal(read(fd, got, sizeof(got)), sizeof(all));
	assert_memory_equal(got, all, sizeof(all));
	assert_int_equal(write(fd, all, sizeof(all)), sizeof(all));
	assert_int_equal(poll(&(struct pollfd){ .fd = l.fd, .events = POLLIN }, 1, 5000), 1);
	assert_int_equal(mb_line_read(&l, got, sizeof(got)), sizeof(all));
	assert_memory_equal(got, all, sizeof(all));
	/* No echo of it. */
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(read(fd, got, sizeof(got)), -1);
	mb_line_close(&l);
	mb_line_close(&l);
	assert_int_equal(l.fd, -1);
	close(fd);
}

/* A host that does not read: part of it goes, then nothing does, and closing does not wait. */
static void test_full_terminal(void **state)
{
	static const uint8_t data[100000];
	struct mb_err err = { 0 };
	struct mb_line l;
	char uri[100];
	int fd = open_terminal(uri, sizeof(uri));
	ssize_t n, sum = 0;

	(void)state;
	assert_ok(open_uri(uri, &l, &err), &err);
	while ((n = mb_line_write(&l, data, sizeof(data))) > 0)
		sum += n;
	assert_int_equal(n, -EAGAIN);
	assert_true(sum > 0 && sum < 1 << 20);
	mb_line_close(&l);
	close(fd);
}

static void test_terminal_hangs_up(void **state)
{
	struct mb_err err = { 0 };
	struct mb_line l;
	char uri[100], c;
	int fd = open_terminal(uri, sizeof(uri));

	(void)state;
	assert_ok(open_uri(uri, &l, &err), &err);
	close(fd);
	assert_int_equal(mb_line_read(&l, &c, 1), 0);
	assert_int_equal(mb_line_write(&l, "x", 1), -EPIPE);
	mb_line_close(&l);
}

static void test_not_a_line(void **state)
{
	struct mb_err err = { 0 };
	struct mb_line l;

	(void)state;
	assert_fails(open_uri("serial:/dev/no-such-port", &l, &err), ENOENT, &err, "no-such-port");
	assert_int_equal(l.fd, -1);
	assert_fails(open_uri("serial:/proc/self/comm", &l, &err), ENOTTY, &err,
		     "no character device");
	/* A device that is no terminal is taken as it is: a virtio port is none. */
	assert_ok(open_uri("serial:/dev/null", &l, &err), &err);
	assert_true(l.serial);
	mb_line_close(&l);
}

static void test_check(void **state)
{
	struct mb_address a;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_uri_parse("vsock:any:1", &a, &err), &err);
	assert_fails(mb_line_check(&a, &err), EINVAL, &err, "vsock:host:PORT");
	assert_ok(mb_uri_parse("vsock:host:1", &a, &err), &err);
	assert_ok(mb_line_check(&a, &err), &err);
	assert_ok(mb_uri_parse("serial:/dev/ttyS1", &a, &err), &err);
	assert_ok(mb_line_check(&a, &err), &err);
}

static void test_socket(void **state)
{
	char path[] = "/tmp/mbline.XXXXXX", uri[64], c;
	struct mb_err err = { 0 };
	struct mb_address a;
	struct mb_line l;
	int listener, fd;

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(uri, sizeof(uri), "unix:%s/s", path);
	assert_ok(mb_uri_parse(uri, &a, &err), &err);
	assert_fails(mb_line_open(&a, &l, &err), ENOENT, &err, "No such file");
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, &a.sa, a.len), 0);
	assert_fails(mb_line_open(&a, &l, &err), ECONNREFUSED, &err, "refused");
	assert_int_equal(listen(listener, 1), 0);
	assert_ok(mb_line_open(&a, &l, &err), &err);
	assert_false(l.serial);
	fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	assert_int_equal(mb_line_read(&l, &c, 1), -EAGAIN);
	assert_int_equal(mb_line_write(&l, "x", 1), 1);
	assert_int_equal(read(fd, &c, 1), 1);
	close(fd);
	assert_int_equal(mb_line_read(&l, &c, 1), 0);
	/* No signal. */
	assert_int_equal(mb_line_write(&l, "x", 1), -EPIPE);
	mb_line_close(&l);
	close(listener);
	unlink(a.un.sun_path);
	rmdir(path);
}

static void test_connecting(void **state)
{
	struct sockaddr_storage at = { 0 };
	struct mb_address a;
	struct mb_err err = { 0 };
	struct mb_line l;
	socklen_t len;
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	assert_ok(mb_uri_parse("tcp:127.0.0.1:0", &a, &err), &err);
	assert_int_equal(bind(listener, &a.sa, a.len), 0);
	len = sizeof(at);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	memcpy(&a.storage, &at, len);
	for (int listening = 0; listening < 2; listening++) {
		int r = mb_line_open(&a, &l, &err);

		if (r == 0) {
			assert_true(l.connecting);
			poll(&(struct pollfd){ .fd = l.fd, .events = POLLOUT }, 1, 5000);
			r = mb_line_connected(&l, &a, &err);
		}
		if (listening)
			assert_ok(r, &err);
		else
			assert_fails(r, ECONNREFUSED, &err, "refused");
		assert_int_equal(l.connecting, r < 0 && l.fd >= 0);
		mb_line_close(&l);
		listen(listener, 1);
	}
	close(listener);
}

/* --- TLS -------------------------------------------------------------------------------------- */

static void open_tls(bool server, const char *pem, const char *ca, struct mb_tls **ret)
{
	const struct mb_tls_files files = { .cert = pem, .ca = ca };
	struct mb_err err = { 0 };

	assert_ok(mb_tls_create(server, &files, ret, &err), &err);
}

/* A line by socket, and the server's side of it. */
struct secured {
	struct mb_line line;
	SSL *server;
};

static void secure(struct secured *s, const struct mb_tls *server, const struct mb_tls *agent,
		   const char *name)
{
	struct mb_err err = { 0 };
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	*s = (struct secured){ .line.fd = fds[0], .server = mb_tls_accept(server) };
	assert_int_equal(SSL_set_fd(s->server, fds[1]), 1);
	SSL_set_accept_state(s->server);
	assert_ok(mb_line_secure(&s->line, agent, name, &err), &err);
}

static void unsecure(struct secured *s)
{
	close(SSL_get_fd(s->server));
	SSL_free(s->server);
	ERR_clear_error();
	mb_line_close(&s->line);
	assert_int_equal(s->line.fd, -1);
}

/* More than any buffer has, both ways, in what pieces it comes; then a proper end. */
static void test_tls_both_ways(void **state)
{
	enum { BYTES = 3 << 20 };
	static uint8_t data[BYTES], up[BYTES + 16384], down[BYTES + 16384];
	size_t sent = 0, got_up = 0, sent_down = 0, got_down = 0;
	char server_pem[128], agent_pem[128];
	struct mb_tls *server = NULL, *agent = NULL;
	struct rng rng = { 5 };
	struct secured s;
	ssize_t n;

	(void)state;
	pki_init("ours");
	pki_server("ours", "server", "127.0.0.1", server_pem);
	pki_agent("ours", "agent", "web1", agent_pem);
	open_tls(true, server_pem, NULL, &server);
	open_tls(false, agent_pem, NULL, &agent);
	secure(&s, server, agent, "127.0.0.1");
	for (size_t i = 0; i < BYTES; i++)
		data[i] = (uint8_t)rng_next(&rng);
	for (int i = 0; i < 1000000 && (got_up < BYTES || got_down < BYTES); i++) {
		n = sent < BYTES ? mb_line_write(&s.line, data + sent, BYTES - sent) : 0;
		assert_true(n >= 0 || n == -EAGAIN);
		sent += n > 0 ? (size_t)n : 0;
		n = mb_line_read(&s.line, down + got_down, 16384);
		assert_true(n > 0 || n == -EAGAIN);
		got_down += n > 0 ? (size_t)n : 0;
		n = SSL_read(s.server, up + got_up, 16384);
		got_up += n > 0 ? (size_t)n : 0;
		n = got_up && sent_down < BYTES ?
			    SSL_write(s.server, data + sent_down, (int)(BYTES - sent_down)) :
			    0;
		sent_down += n > 0 ? (size_t)n : 0;
		ERR_clear_error();
	}
	assert_int_equal(got_up, BYTES);
	assert_int_equal(got_down, BYTES);
	assert_memory_equal(up, data, BYTES);
	assert_memory_equal(down, data, BYTES);
	/* The server's last word: nothing more comes. */
	SSL_shutdown(s.server);
	assert_int_equal(mb_line_read(&s.line, down, 16384), 0);
	unsecure(&s);
	/* The agent's: its line was closed. */
	secure(&s, server, agent, "127.0.0.1");
	for (int i = 0; i < 10; i++) {
		mb_line_read(&s.line, down, 1);
		SSL_do_handshake(s.server);
	}
	mb_line_close(&s.line);
	assert_int_equal(SSL_read(s.server, up, 1), 0);
	assert_int_equal(SSL_get_error(s.server, 0), SSL_ERROR_ZERO_RETURN);
	unsecure(&s);
	mb_tls_destroy(server);
	mb_tls_destroy(agent);
}

static void expect_why(const char *server_pem, const char *agent_pem, const char *ca,
		       const char *name, const char *word)
{
	struct mb_tls *server = NULL, *agent = NULL;
	struct secured s;
	ssize_t n = 0;
	char c;

	open_tls(true, server_pem, NULL, &server);
	open_tls(false, agent_pem, ca, &agent);
	secure(&s, server, agent, name);
	for (int i = 0; i < 20 && n != -EPROTO; i++) {
		n = mb_line_write(&s.line, "x", 1);
		if (n != -EPROTO)
			n = mb_line_read(&s.line, &c, 1);
		SSL_do_handshake(s.server);
		ERR_clear_error();
	}
	assert_int_equal(n, -EPROTO);
	if (!strstr(mb_line_why(&s.line, n), word))
		fail_msg("%s", mb_line_why(&s.line, n));
	unsecure(&s);
	mb_tls_destroy(server);
	mb_tls_destroy(agent);
}

/* Nothing is sent to a server that is not the one; and who is refused learns why. */
static void test_tls_refusals(void **state)
{
	char server[128], agent[128], stranger[128], ca[128], their_ca[128];

	(void)state;
	pki_init("a");
	pki_init("b");
	pki_server("a", "server", "127.0.0.1", server);
	pki_agent("a", "agent", "web1", agent);
	pki_agent("b", "stranger", "web1", stranger);
	pki_path("a", "ca.pem", ca);
	pki_path("b", "ca.pem", their_ca);
	expect_why(server, agent, NULL, "127.0.0.2", "IP address mismatch");
	expect_why(server, agent, NULL, "localhost", "hostname mismatch");
	expect_why(server, agent, their_ca, "127.0.0.1", "unable to get local issuer certificate");
	expect_why(server, stranger, ca, "127.0.0.1",
		   "it refuses our certificate or TLS: unknown ca");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terminal_is_raw),
		cmocka_unit_test(test_full_terminal),
		cmocka_unit_test(test_terminal_hangs_up),
		cmocka_unit_test(test_not_a_line),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_connecting),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_tls_both_ways),
		cmocka_unit_test(test_tls_refusals),
	};

	/* OpenSSL writes to sockets as to files. */
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
