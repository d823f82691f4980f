// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listens where agents connect, hands everything on to a server and back, and keeps it: of the
 * n-th connection PREFIX-n-agent.bin is what the agent said, PREFIX-n-server.bin what it was told.
 * usage: tool_tap LISTEN SERVER PREFIX
 * One connection at a time, until it is killed. Prints "ready ADDRESS" when it listens.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/base/uri.h"

static int die(const struct mb_err *err)
{
	fprintf(stderr, "tool_tap: %s\n", err->text);
	return 1;
}

static int fail(struct mb_err *err, const char *what)
{
	return mb_fail(err, errno, "%s: %m", what);
}

/* What is there, to the other side and to the file. 0: the end. */
static ssize_t hand_on(int from, int to, int file, struct mb_err *err)
{
	uint8_t bytes[16384];
	ssize_t n = read(from, bytes, sizeof(bytes));

	if (n <= 0)
		return 0;
	if (mb_write_all(file, bytes, (size_t)n, err) < 0)
		return -EIO;
	/* Who has hung up hears no more; what the other still says is kept. */
	return send(to, bytes, (size_t)n, MSG_NOSIGNAL) < 0 ? 0 : n;
}

static int keep(const char *prefix, int n, const char *who, struct mb_err *err)
{
	char path[300];
	int fd;

	snprintf(path, sizeof(path), "%s-%d-%s.bin", prefix, n, who);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	return fd < 0 ? fail(err, path) : fd;
}

static int tap(int agent, const struct mb_address *to, const char *prefix, int n,
	       struct mb_err *err)
{
	mb_autoclose int server = socket(to->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	mb_autoclose int from_agent = keep(prefix, n, "agent", err);
	mb_autoclose int from_server = keep(prefix, n, "server", err);
	struct pollfd fds[2] = { { .fd = agent, .events = POLLIN },
				 { .fd = server, .events = POLLIN } };

	if (from_agent < 0 || from_server < 0)
		return -EIO;
	/* The server may be down: the agent is hung up on, and tries again. */
	if (server < 0 || connect(server, &to->sa, to->len) < 0)
		return 0;
	while (poll(fds, 2, -1) > 0) {
		ssize_t got = 1;

		if (fds[0].revents)
			got = hand_on(agent, server, from_agent, err);
		if (got > 0 && fds[1].revents)
			got = hand_on(server, agent, from_server, err);
		if (got <= 0)
			return (int)got;
	}
	return fail(err, "poll");
}

int main(int argc, char **argv)
{
	struct mb_address at, to;
	struct mb_err err = { 0 };
	char text[300];
	int listener, on = 1, r = 0;

	if (argc != 4) {
		fputs("usage: tool_tap LISTEN SERVER PREFIX\n", stderr);
		return 2;
	}
	if (mb_uri_parse(argv[1], &at, &err) < 0 || mb_uri_parse(argv[2], &to, &err) < 0)
		return die(&err);
	listener = socket(at.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(listener, &at.sa, at.len) < 0 || listen(listener, 5) < 0) {
		fail(&err, argv[1]);
		return die(&err);
	}
	at.len = sizeof(at.storage);
	getsockname(listener, &at.sa, &at.len);
	mb_uri_format(&at, text, sizeof(text));
	printf("ready %s\n", text);
	fflush(stdout);
	for (int n = 1; r == 0; n++) {
		mb_autoclose int agent = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		r = agent < 0 ? fail(&err, "accept") : tap(agent, &to, argv[3], n, &err);
	}
	return die(&err);
}
