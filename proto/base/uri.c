// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/uri.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cli.h"

static int parse_unix(const char *path, struct mb_address *ret, struct mb_err *err)
{
	size_t n = strlen(path);

	if (!n || n >= sizeof(ret->un.sun_path))
		return mb_fail(err, EINVAL, "socket path of %zu bytes; 1 to %zu are possible", n,
			       sizeof(ret->un.sun_path) - 1);
	ret->un.sun_family = AF_UNIX;
	memcpy(ret->un.sun_path, path, n + 1);
	ret->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
	return 0;
}

static bool parse_numeric(const char *host, uint16_t port, struct mb_address *ret)
{
	struct sockaddr_in *v4 = (struct sockaddr_in *)&ret->storage;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&ret->storage;

	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		ret->len = sizeof(*v4);
		return true;
	}
	if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		ret->len = sizeof(*v6);
		return true;
	}
	return false;
}

static int resolve(const char *host, const char *port, struct mb_address *ret, struct mb_err *err)
{
#ifdef MB_STATIC
	(void)port;
	(void)ret;
	return mb_fail(err, EINVAL,
		       "\"%s\" is no numeric address (this build cannot look names up)", host);
#else
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found = NULL;
	int r = getaddrinfo(host, port, &hints, &found);

	if (r != 0)
		return mb_fail(err, EHOSTUNREACH, "host \"%s\": %s", host, gai_strerror(r));
	memcpy(&ret->storage, found->ai_addr, found->ai_addrlen);
	ret->len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
#endif
}

static int parse_tcp(const char *text, struct mb_address *ret, struct mb_err *err)
{
	const char *colon = strrchr(text, ':');
	char host[256];
	uint64_t port;
	size_t n;
	int r;

	if (!colon)
		return mb_fail(err, EINVAL, "no port");
	r = mb_parse_u64(colon + 1, 0, 65535, "port", &port, err);
	if (r < 0)
		return r;
	n = (size_t)(colon - text);
	if (n >= 2 && text[0] == '[' && text[n - 1] == ']') {
		text++;
		n -= 2;
	} else if (memchr(text, ':', n)) {
		/* Which colon is the port's, nobody knows. */
		return mb_fail(err, EINVAL, "an IPv6 host goes in brackets: tcp:[HOST]:PORT");
	}
	if (!n || n >= sizeof(host))
		return mb_fail(err, EINVAL, "no host");
	memcpy(host, text, n);
	host[n] = 0;
	return parse_numeric(host, (uint16_t)port, ret) ? 0 : resolve(host, colon + 1, ret, err);
}

int mb_uri_parse(const char *uri, struct mb_address *ret, struct mb_err *err)
{
	int r;

	*ret = (struct mb_address){ 0 };
	if (strncmp(uri, "unix:", 5) == 0)
		r = parse_unix(uri + 5, ret, err);
	else if (strncmp(uri, "tcp:", 4) == 0)
		r = parse_tcp(uri + 4, ret, err);
	else
		r = mb_fail(err, EINVAL, "neither tcp:HOST:PORT nor unix:PATH");
	return r < 0 ? mb_fail_in(err, r, "address \"%s\"", uri) : 0;
}

void mb_uri_format(const struct mb_address *a, char *text, size_t size)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->storage;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->storage;
	char host[INET6_ADDRSTRLEN];

	switch (a->sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, size, "tcp:%s:%u", host, ntohs(v4->sin_port));
		break;
	case AF_INET6:
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text, size, "tcp:[%s]:%u", host, ntohs(v6->sin6_port));
		break;
	default:
		snprintf(text, size, "unix:%s", a->un.sun_path);
	}
}

bool mb_address_is_local(const struct mb_address *a)
{
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a->storage;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a->storage;

	switch (a->sa.sa_family) {
	case AF_INET:
		return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
	case AF_INET6:
		return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
	default:
		return a->sa.sa_family == AF_UNIX;
	}
}

void mb_socket_tune(int fd, const struct sockaddr *peer)
{
	int on = 1, idle_s = 15, every_s = 5, probes = 3, unacked_ms = 30000;

	if (peer->sa_family != AF_INET && peer->sa_family != AF_INET6)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
	/* Keepalive rests while data is unacked; this does not. */
	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &unacked_ms, sizeof(unacked_ms));
}
