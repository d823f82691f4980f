// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A guest's serial line with QEMU's end of it: bytes between a new terminal and a unix socket.
 * usage: tool_line SOCKET LINK [BYTES_PER_MS]
 * As with -chardev socket,reconnect=...: a socket that is gone is tried again, and what the guest
 * says meanwhile is lost. The guest is never told anything. LINK is made to point to the terminal.
 * BYTES_PER_MS slows the guest's side down, so that tests can hit the middle of a frame.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/uri.h"

enum { RECONNECT_MS = 100, STEP_BYTES = 4096 };

/* What was read at one end, and is yet to be written to the other. */
struct way {
	char data[STEP_BYTES];
	size_t at, len;
};

/* False: this end is gone. */
static bool take(int fd, struct way *w, size_t most)
{
	ssize_t n;

	if (w->at < w->len)
		return true;
	n = read(fd, w->data, most);
	w->at = 0;
	w->len = n > 0 ? (size_t)n : 0;
	return n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR));
}

static bool give(int fd, struct way *w)
{
	ssize_t n = w->at < w->len ? write(fd, w->data + w->at, w->len - w->at) : 0;

	if (n > 0)
		w->at += (size_t)n;
	return n >= 0 || errno == EAGAIN || errno == EINTR;
}

static int reach(const struct mb_address *a)
{
	int fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd >= 0 && connect(fd, &a->sa, a->len) == 0 && fcntl(fd, F_SETFL, O_NONBLOCK) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static short wanted(const struct way *in, const struct way *out)
{
	return (short)((in->at < in->len ? 0 : POLLIN) | (out->at < out->len ? POLLOUT : 0));
}

static void pump(const struct mb_address *a, int guest, size_t bytes_per_ms)
{
	struct way up = { 0 }, down = { 0 };
	int host = -1;

	for (;;) {
		struct pollfd fds[2];

		if (host < 0 && (host = reach(a)) < 0) {
			usleep(RECONNECT_MS * 1000);
			while (take(guest, &up, STEP_BYTES) && up.len)
				up.len = 0;
			continue;
		}
		fds[0] = (struct pollfd){ .fd = guest, .events = wanted(&up, &down) };
		fds[1] = (struct pollfd){ .fd = host, .events = wanted(&down, &up) };
		if (poll(fds, 2, -1) < 0)
			continue;
		if (bytes_per_ms && fds[0].revents & POLLIN)
			usleep(1000);
		take(guest, &up, bytes_per_ms ? bytes_per_ms : STEP_BYTES);
		if (take(host, &down, STEP_BYTES) && give(host, &up)) {
			give(guest, &down);
			continue;
		}
		close(host);
		host = -1;
		up.len = up.at = down.len = down.at = 0;
		usleep(RECONNECT_MS * 1000);
	}
}

int main(int argc, char **argv)
{
	mb_autoclose int guest = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
	mb_autoclose int held = -1;
	struct mb_address a;
	struct termios t;
	struct mb_err err = { 0 };
	char uri[200];

	if (argc < 3)
		return 2;
	snprintf(uri, sizeof(uri), "unix:%s", argv[1]);
	if (mb_uri_parse(uri, &a, &err) < 0) {
		fprintf(stderr, "tool_line: %s\n", err.text);
		return 1;
	}
	/* Held open: that nobody is there must not show, nor may it answer for who is not. */
	if (guest < 0 || grantpt(guest) < 0 || unlockpt(guest) < 0 ||
	    (held = open(ptsname(guest), O_RDWR | O_NOCTTY)) < 0 || tcgetattr(held, &t) < 0) {
		perror("tool_line: terminal");
		return 1;
	}
	cfmakeraw(&t);
	if (tcsetattr(held, TCSANOW, &t) < 0 || symlink(ptsname(guest), argv[2]) < 0) {
		perror("tool_line");
		return 1;
	}
	pump(&a, guest, argc > 3 ? (size_t)MB_MIN(strtoul(argv[3], NULL, 10), STEP_BYTES) : 0);
	return 0;
}
