// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A rude agent: sends files as they are, then prints what the server answers, a line a message.
 * usage: tool_peer ADDRESS [--hello] [--hang] FILE...
 * --hello greets properly first; --hang keeps the connection open after sending.
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/base/uri.h"
#include "proto/frame.h"
#include "proto/msg.h"

static int die(const struct mb_err *err)
{
	fprintf(stderr, "tool_peer: %s\n", err->text);
	return 1;
}

static void print(const struct mb_msg *m)
{
	switch (m->type) {
	case MB_MSG_WELCOME:
		printf("Welcome epoch %llu\n", (unsigned long long)m->welcome.epoch);
		break;
	case MB_MSG_ACK:
		printf("Ack epoch %llu\n", (unsigned long long)m->ack.epoch);
		break;
	case MB_MSG_RESYNC:
		printf("Resync %s\n", m->resync_reason);
		break;
	case MB_MSG_REFUSAL:
		printf("Refusal %u %s\n", m->refusal.code, m->refusal.reason);
		break;
	default:
		printf("%s\n", mb_msg_type_name(m->type));
	}
}

static int say_hello(int fd, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	struct mb_msg msg = { .type = MB_MSG_HELLO };
	struct mb_digester d;
	int r = mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "rude", NULL, err);

	if (r < 0)
		return r;
	msg.hello = (struct mb_hello){ .version = MB_PROTOCOL_VERSION,
				       .agent = "tool_peer",
				       .vm = "rude",
				       .host = "",
				       .boot = { { 7 } },
				       .identity = d.identity,
				       .source = "test" };
	r = mb_msg_to_frame(&msg, &frame, err);
	return r < 0 ? r : mb_write_all(fd, frame.data, frame.len, err);
}

static int print_answers(int fd, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf in = { 0 }, raw = { 0 };
	struct mb_slice s;
	ssize_t n;
	int r;

	while (mb_buf_reserve(&in, 4096) && (n = read(fd, in.data + in.len, 4096)) > 0)
		in.len += (size_t)n;
	for (s = mb_buf_slice(&in); s.len;) {
		mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };

		if ((r = mb_frame_take(&s, 65536, &raw, err)) < 0 ||
		    (r = mb_msg_unpack(mb_buf_slice(&raw), &msg, err)) < 0)
			return r;
		print(&msg);
	}
	return 0;
}

int main(int argc, char **argv)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf file = { 0 };
	bool hang = false, hello = false;
	struct mb_address a;
	struct mb_err err = { 0 };
	int fd, i = 2;

	if (argc < 2 || mb_uri_parse(argv[1], &a, &err) < 0)
		return die(&err);
	for (; i < argc && argv[i][0] == '-'; i++) {
		hang |= strcmp(argv[i], "--hang") == 0;
		hello |= strcmp(argv[i], "--hello") == 0;
	}
	fd = socket(a.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, &a.sa, a.len) < 0) {
		mb_fail(&err, errno, "connect: %m");
		return die(&err);
	}
	if (hello && say_hello(fd, &err) < 0)
		return die(&err);
	for (; i < argc; i++)
		/* The server may hang up at any time; what it said is what counts. */
		if (mb_file_read(argv[i], 1 << 24, &file, &err) < 0 ||
		    send(fd, file.data, file.len, MSG_NOSIGNAL) < 0)
			break;
	if (!hang)
		shutdown(fd, SHUT_WR);
	if (print_answers(fd, &err) < 0)
		return die(&err);
	close(fd);
	return 0;
}
