// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What systemd would hear of a service: takes datagrams at a unix socket and prints each, its lines
 * apart by "|", until it is ended, or after a minute.
 * usage: tool_notify SOCKET
 */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[4096];
	ssize_t n;

	if (argc != 2 || strlen(argv[1]) >= sizeof(at.sun_path))
		return 2;
	strcpy(at.sun_path, argv[1]);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)) < 0) {
		perror(argv[1]);
		return 1;
	}
	alarm(60);
	while ((n = recv(fd, text, sizeof(text) - 1, 0)) >= 0) {
		text[n] = 0;
		for (char *p = text; (p = strchr(p, '\n'));)
			*p = '|';
		puts(text);
		fflush(stdout);
	}
	perror("recv");
	return 1;
}
