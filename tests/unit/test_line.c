// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/line.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

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
	};

	return cmocka_run_group_tests_name("line", tests, NULL, NULL);
}
