/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where agent and server meet: tcp:HOST:PORT (IPv6 hosts in brackets) or unix:PATH. */
#ifndef MB_BASE_URI_H
#define MB_BASE_URI_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/base/err.h"

struct mb_address {
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct sockaddr_storage storage;
	};
	socklen_t len;
};

/*
 * Resolves; may ask the name service. A static build takes numeric addresses only: glibc's resolver
 * needs the shared libraries of the machine that it runs on.
 */
int mb_uri_parse(const char *uri, struct mb_address *ret, struct mb_err *err);
/* The other way round, for people and logs; at most `size` bytes. */
void mb_uri_format(const struct mb_address *a, char *text, size_t size);
/* No machine but this one can reach it. */
bool mb_address_is_local(const struct mb_address *a);

/*
 * Makes a TCP connection notice a dead peer within half a minute, and send what it is given at
 * once. Does nothing to other sockets.
 */
void mb_socket_tune(int fd, const struct sockaddr *peer);

#endif
