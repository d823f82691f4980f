// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/vm_sockets.h>
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

static int parse_serial(const char *path, struct mb_address *ret, struct mb_err *err)
{
	size_t n = strlen(path);

	if (!n || n >= sizeof(ret->serial.path))
		return mb_fail(err, EINVAL, "device path of %zu bytes; 1 to %zu are possible", n,
			       sizeof(ret->serial.path) - 1);
	ret->serial.family = MB_AF_SERIAL;
	memcpy(ret->serial.path, path, n + 1);
	ret->len = sizeof(ret->serial);
	return 0;
}

/* VMADDR_CID_LOCAL came with Linux 5.6. */
enum { CID_LOCAL = 1 };

static const struct {
	const char *name;
	uint32_t cid;
} cids[] = { { "any", VMADDR_CID_ANY }, { "host", VMADDR_CID_HOST }, { "local", CID_LOCAL } };

static int parse_cid(const char *text, size_t n, uint32_t *ret, struct mb_err *err)
{
	char name[16];
	uint64_t cid;
	int r;

	if (!n || n >= sizeof(name))
		return mb_fail(err, EINVAL, "no CID: vsock:CID:PORT");
	memcpy(name, text, n);
	name[n] = 0;
	for (size_t i = 0; i < sizeof(cids) / sizeof(cids[0]); i++)
		if (strcmp(name, cids[i].name) == 0) {
			*ret = cids[i].cid;
			return 0;
		}
	if (strspn(name, "0123456789") != n)
		return mb_fail(err, EINVAL, "CID \"%s\": a number, host, local or any", name);
	r = mb_parse_u64(name, 0, VMADDR_CID_ANY - 1, "CID", &cid, err);
	*ret = (uint32_t)cid;
	return r;
}

static int parse_vsock(const char *text, struct mb_address *ret, struct mb_err *err)
{
	struct sockaddr_vm *vm = (struct sockaddr_vm *)&ret->storage;
	const char *colon = strchr(text, ':');
	uint64_t port;
	int r;

	if (!colon)
		return mb_fail(err, EINVAL, "no port");
	if ((r = parse_cid(text, (size_t)(colon - text), &vm->svm_cid, err)) < 0 ||
	    (r = mb_parse_u64(colon + 1, 0, VMADDR_PORT_ANY - 1, "port", &port, err)) < 0)
		return r;
	vm->svm_family = AF_VSOCK;
	/* 0 is a free one, as with TCP. */
	vm->svm_port = port ? (uint32_t)port : VMADDR_PORT_ANY;
	ret->len = sizeof(*vm);
	return 0;
}

static void format_vsock(const struct sockaddr_vm *vm, char *text, size_t size)
{
	uint32_t port = vm->svm_port == VMADDR_PORT_ANY ? 0 : vm->svm_port;

	for (size_t i = 0; i < sizeof(cids) / sizeof(cids[0]); i++)
		if (vm->svm_cid == cids[i].cid) {
			snprintf(text, size, "vsock:%s:%u", cids[i].name, port);
			return;
		}
	snprintf(text, size, "vsock:%u:%u", vm->svm_cid, port);
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
	else if (strncmp(uri, "vsock:", 6) == 0)
		r = parse_vsock(uri + 6, ret, err);
	else if (strncmp(uri, "serial:", 7) == 0)
		r = parse_serial(uri + 7, ret, err);
	else
		r = mb_fail(err, EINVAL, "none of " MB_URI_FORMS);
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
	case AF_VSOCK:
		format_vsock((const struct sockaddr_vm *)&a->storage, text, size);
		break;
	case MB_AF_SERIAL:
		snprintf(text, size, "serial:%s", a->serial.path);
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
	case AF_VSOCK:
		return ((const struct sockaddr_vm *)&a->storage)->svm_cid == CID_LOCAL;
	default:
		return a->sa.sa_family == AF_UNIX || a->sa.sa_family == MB_AF_SERIAL;
	}
}

bool mb_address_is_vsock(const struct mb_address *a)
{
	return a->sa.sa_family == AF_VSOCK;
}

/* Each side of vsock is a module of its own, and the errors do not tell. */
void mb_address_explain(const struct mb_address *a, int error, char *text, size_t size)
{
	const struct sockaddr_vm *vm = (const struct sockaddr_vm *)&a->storage;
	const char *why = "";

	if (a->sa.sa_family == AF_VSOCK && error == EAFNOSUPPORT)
		why = ": this kernel has no vsock, or its module vsock is not loaded";
	else if (a->sa.sa_family == AF_VSOCK &&
		 (error == ENODEV || error == EADDRNOTAVAIL || error == ENETUNREACH))
		why = vm->svm_cid == CID_LOCAL ?
			      ": is the module vsock_loopback loaded?" :
			      ": is the module loaded (in a guest vmw_vsock_virtio_transport, on "
			      "the host vhost_vsock)?";
	snprintf(text, size, "%s%s", strerror(error), why);
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
