/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HTTP side of the API (libmicrohttpd, a thread per connection). GET asks, POST carries out; no
 * request has a body. caller.h says who may ask what. On TCP that other machines reach it is HTTPS,
 * by the library's own TLS (GnuTLS): with OpenSSL HTTP itself would have to be ours.
 */
#ifndef MB_SERVER_HTTP_H
#define MB_SERVER_HTTP_H

#include <netinet/in.h>

#include "proto/base/tls.h"
#include "proto/base/uri.h"
#include "server/api.h"
#include "server/caller.h"
#include "server/refusals.h"

struct mb_http_config {
	/* NULL: none. For other machines only; CAs and CRL judge operators' certificates. */
	const struct mb_tls_files *tls;
	const char *tokens;	      /* file; NULL: none are asked for */
	gid_t readers;		      /* of a unix socket; MB_NO_GROUP: nobody more */
	const char *access_log;	      /* file; NULL: none */
	bool insecure;		      /* other machines without TLS or tokens */
	struct mb_refusals *refusals; /* counted in; NULL: nowhere */
	/* The access log cannot be written; required with it. */
	void (*warn)(void *ctx, const char *text);
	void *ctx;
};

struct mb_http;
/*
 * `api` is its own from now on. *ret_bound says where (port 0: a free one). -EPERM: other
 * machines would reach it, and there is no TLS or there are no tokens. `config`: strings borrowed.
 */
int mb_http_start(struct mb_api *api, const struct mb_http_config *config,
		  const struct mb_address *address, struct mb_address *ret_bound,
		  struct mb_http **ret, struct mb_err *err);
void mb_http_stop(struct mb_http *h);

/* Reads tokens and certificate again; what is bad stays as it was. Waits for an answer under way.
 */
int mb_http_reload(struct mb_http *h, struct mb_err *err);

#endif
