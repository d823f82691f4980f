/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where agent and server meet:
 *
 *	tcp:HOST:PORT	IPv6 hosts in brackets
 *	unix:PATH
 *	vsock:CID:PORT	CID: a number, `host`, `local` (this machine, for tests), `any` (to listen)
 *	serial:DEVICE	the agent's end of a line: a virtio port or a tty; the server's end is unix:
 */
#ifndef MB_BASE_URI_H
#define MB_BASE_URI_H

#include <stdbool.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "proto/base/err.h"

#define MB_URI_FORMS "tcp:HOST:PORT, unix:PATH, vsock:CID:PORT or serial:DEVICE"

/* No socket: `sa_family` says so with a number that is no address family's. */
enum { MB_AF_SERIAL = 0x5e71 };
struct mb_serial_address {
	sa_family_t family;
	char path[108];
};

struct mb_address {
	union {
		struct sockaddr sa;
		struct sockaddr_un un;
		struct mb_serial_address serial;
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
/*
 * No machine but this one can reach it. A vsock address never leaves the host, but its guests are
 * other machines: only `local` is local.
 */
bool mb_address_is_local(const struct mb_address *a);
bool mb_address_is_vsock(const struct mb_address *a);
/* Why a socket call on `a` fails with `error`; names the module that is missing, if one is. */
void mb_address_explain(const struct mb_address *a, int error, char *text, size_t size);

/*
 * Makes a TCP connection notice a dead peer within half a minute, and send what it is given at
 * once. Does nothing to other sockets.
 */
void mb_socket_tune(int fd, const struct sockaddr *peer);

#endif
