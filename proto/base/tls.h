/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 with certificates on both sides (OpenSSL).
 *
 * Nothing is ever resumed and no early data is taken: each connection is held against the files in
 * force when it begins, and what somebody recorded of one connection fits no other (no replay).
 */
#ifndef MB_BASE_TLS_H
#define MB_BASE_TLS_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

struct ssl_st; /* OpenSSL's SSL */

/* PEM. One file may hold certificate, key and CA: what is NULL is looked for in `cert`. */
struct mb_tls_files {
	const char *cert, *key, *ca;
	const char *crl; /* revoked certificates; NULL: none is */
};

struct mb_tls;
/* `files`: strings borrowed. The error names the file and what is wrong with it. */
int mb_tls_create(bool server, const struct mb_tls_files *files, struct mb_tls **ret,
		  struct mb_err *err);
void mb_tls_destroy(struct mb_tls *t);
/* Reads the files again. All are good, or everything stays as it was. */
int mb_tls_reload(struct mb_tls *t, struct mb_err *err);

/* A connection yet to be used; the caller's. NULL: out of memory. */
struct ssl_st *mb_tls_accept(const struct mb_tls *t);
/* The server's certificate must be for `name`, a DNS name or a numeric address. */
struct ssl_st *mb_tls_connect(const struct mb_tls *t, int fd, const char *name);

/* -EACCES: the files in force now would refuse this connection's peer; the reason says why. */
int mb_tls_recheck(const struct mb_tls *t, const struct ssl_st *ssl, struct mb_err *err);

/*
 * The same of a client's certificate that somebody else's TLS was shown: `chain` is [0, n)
 * certificates (DER), the client's first. `each` gets the URIs among its subjectAltNames, `name`
 * its common name, printable, whatever the verdict. -EBADMSG: no certificate.
 */
int mb_tls_check_client(const struct mb_tls *t, const struct mb_slice *chain, size_t n,
			void (*each)(const char *uri, void *ctx), void *ctx, char *name,
			size_t size, struct mb_err *err);

enum mb_tls_fault {
	MB_TLS_NO_CERTIFICATE,
	MB_TLS_UNKNOWN_CA,
	MB_TLS_EXPIRED, /* or not valid yet */
	MB_TLS_REVOKED,
	MB_TLS_NOT_TLS13, /* an older version, or no TLS at all */
	MB_TLS_BAD_CERTIFICATE,
	MB_TLS_BROKEN, /* cut short, or nonsense */
};
/* Why a handshake failed; `error` is OpenSSL's code, 0: none. The text is for people. */
enum mb_tls_fault mb_tls_why(const struct ssl_st *ssl, unsigned long error, char *text,
			     size_t size);

/* The common name of the peer's certificate, printable; "" when there is none. */
void mb_tls_peer_name(const struct ssl_st *ssl, char *name, size_t size);
/* Some URI among the subjectAltNames of the peer's certificate fits. */
bool mb_tls_peer_has_uri(const struct ssl_st *ssl, bool (*fits)(const char *uri, void *ctx),
			 void *ctx);

#endif
