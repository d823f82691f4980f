// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/line.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

/* Bytes go through as they are, and a modem's control lines do not matter. */
static int make_raw(int fd, const char *path, struct mb_err *err)
{
	struct termios t;

	if (tcgetattr(fd, &t) < 0)
		return mb_fail(err, errno, "%s: terminal settings: %m", path);
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	t.c_cflag &= ~(tcflag_t)(CSTOPB | CRTSCTS);
	t.c_cflag |= CLOCAL | CREAD;
	/* With VMIN 0 "nothing there" would read like "hung up". */
	t.c_cc[VMIN] = 1;
	t.c_cc[VTIME] = 0;
	if (tcsetattr(fd, TCSANOW, &t) < 0)
		return mb_fail(err, errno, "%s: terminal settings: %m", path);
	return 0;
}

static int open_serial(const char *path, struct mb_line *ret, struct mb_err *err)
{
	mb_autoclose int fd = open(path, O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 && errno == EBUSY)
		return mb_fail(err, EBUSY, "%s: another process has it open", path);
	if (fd < 0 || fstat(fd, &st) < 0)
		return mb_fail(err, errno, "%s: %m", path);
	if (!S_ISCHR(st.st_mode))
		return mb_fail(err, ENOTTY, "%s: no character device", path);
	if (isatty(fd)) {
		r = make_raw(fd, path, err);
		if (r < 0)
			return r;
	}
	*ret = (struct mb_line){ .fd = mb_take_fd(fd), .serial = true };
	return 0;
}

static int fail_socket(const struct mb_address *a, int error, struct mb_err *err)
{
	char why[200];

	mb_address_explain(a, error, why, sizeof(why));
	return mb_fail(err, error, "%s", why);
}

static int open_socket(const struct mb_address *a, struct mb_line *ret, struct mb_err *err)
{
	mb_autoclose int fd =
		socket(a->sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool connecting = false;

	if (fd < 0)
		return fail_socket(a, errno, err);
	if (connect(fd, &a->sa, a->len) < 0) {
		if (errno != EINPROGRESS)
			return fail_socket(a, errno, err);
		connecting = true;
	}
	mb_socket_tune(fd, &a->sa);
	*ret = (struct mb_line){ .fd = mb_take_fd(fd), .connecting = connecting };
	return 0;
}

int mb_line_check(const struct mb_address *address, struct mb_err *err)
{
	const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&address->storage;

	if (mb_address_is_vsock(address) && vm->svm_cid == VMADDR_CID_ANY)
		return mb_fail(err, EINVAL,
			       "vsock:any is where a server listens; the host is "
			       "vsock:host:PORT");
	return 0;
}

int mb_line_open(const struct mb_address *address, struct mb_line *ret, struct mb_err *err)
{
	*ret = (struct mb_line){ .fd = -1 };
	if (address->sa.sa_family == MB_AF_SERIAL)
		return open_serial(address->serial.path, ret, err);
	return open_socket(address, ret, err);
}

int mb_line_connected(struct mb_line *l, const struct mb_address *address, struct mb_err *err)
{
	socklen_t len = sizeof(int);
	int e = 0;

	getsockopt(l->fd, SOL_SOCKET, SO_ERROR, &e, &len);
	if (e)
		return fail_socket(address, e, err);
	l->connecting = false;
	return 0;
}

void mb_line_close(struct mb_line *l)
{
	if (l->fd < 0)
		return;
	/* Closing a tty may wait half a minute for what nobody takes. */
	if (l->serial && isatty(l->fd))
		tcflush(l->fd, TCIOFLUSH);
	if (l->tls) {
		/* A last word, if it fits. */
		SSL_shutdown(l->tls);
		ERR_clear_error();
		SSL_free(l->tls);
	}
	close(l->fd);
	*l = (struct mb_line){ .fd = -1 };
}

int mb_line_secure(struct mb_line *l, const struct mb_tls *tls, const char *name,
		   struct mb_err *err)
{
	l->tls = mb_tls_connect(tls, l->fd, name);
	return l->tls ? 0 : mb_fail(err, EINVAL, "TLS with a server called \"%s\"", name);
}

static ssize_t tls_result(struct mb_line *l, int r, bool reading)
{
	int saved = errno, why = SSL_get_error(l->tls, r);

	l->wants_write = why == SSL_ERROR_WANT_WRITE;
	if (!reading)
		l->stalled = why == SSL_ERROR_WANT_READ;
	if (r > 0)
		return r;
	switch (why) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return -EAGAIN;
	case SSL_ERROR_ZERO_RETURN:
		return reading ? 0 : -EPIPE;
	case SSL_ERROR_SYSCALL:
		ERR_clear_error();
		/* What the server said before is still to be read. */
		return reading ? -saved : saved == ECONNRESET ? -EPIPE : saved ? -saved : -EPIPE;
	default:
		mb_tls_why(l->tls, ERR_get_error(), l->tls_error, sizeof(l->tls_error));
		ERR_clear_error();
		return -EPROTO;
	}
}

static int tls_size(size_t n)
{
	return n > 1 << 30 ? 1 << 30 : (int)n;
}

static ssize_t tls_write(struct mb_line *l, const void *data, size_t n)
{
	ERR_clear_error();
	errno = 0;
	return tls_result(l, SSL_write(l->tls, data, tls_size(n)), false);
}

static ssize_t tls_read(struct mb_line *l, void *data, size_t n)
{
	ERR_clear_error();
	errno = 0;
	return tls_result(l, SSL_read(l->tls, data, tls_size(n)), true);
}

const char *mb_line_why(const struct mb_line *l, ssize_t error)
{
	return error == -EPROTO && l->tls ? l->tls_error : strerror((int)-error);
}

ssize_t mb_line_write(struct mb_line *l, const void *data, size_t n)
{
	if (l->tls)
		return tls_write(l, data, n);
	for (;;) {
		ssize_t done =
			l->serial ? write(l->fd, data, n) : send(l->fd, data, n, MSG_NOSIGNAL);

		if (done >= 0)
			return done;
		if (errno != EINTR)
			/* A port that was unplugged, a terminal that was hung up. */
			return errno == ECONNRESET ||
					       (l->serial && (errno == ENODEV || errno == EIO)) ?
				       -EPIPE :
				       -errno;
	}
}

ssize_t mb_line_read(struct mb_line *l, void *data, size_t n)
{
	if (l->tls)
		return tls_read(l, data, n);
	for (;;) {
		ssize_t got = read(l->fd, data, n);

		if (got >= 0)
			return got;
		if (l->serial && (errno == EIO || errno == ENODEV))
			return 0;
		if (errno != EINTR)
			return -errno;
	}
}
