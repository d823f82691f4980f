/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's HTTP API as seen by mbctl: one request, one JSON answer. */
#ifndef MB_CTL_CLIENT_H
#define MB_CTL_CLIENT_H

#include <argp.h>
#include <jansson.h>
#include <stddef.h>

#include "proto/base/err.h"

#define MB_CTL_SERVER_DEFAULT	"http://127.0.0.1:9877"
#define MB_CTL_ANSWER_BYTES_MAX ((size_t)256 << 20)

struct mb_ctl_param {
	const char *key;
	const char *value; /* any bytes: they are URL-encoded */
};

/* The server to ask: `option` if not NULL, else $MBCTL_SERVER, else the default. */
const char *mb_ctl_server(const char *option);
/* -EINVAL unless it is http://HOST[:PORT], https://... or unix:PATH */
int mb_ctl_server_check(const char *server, struct mb_err *err);

/*
 * A child parser for argp: --token-file (else $MBCTL_TOKEN_FILE), --cert (else $MBCTL_CERT) and
 * --cacert (else $MBCTL_CACERT, else the CA in --cert), which hold for every mb_ctl_get() after it.
 * It has no input.
 */
extern const struct argp mb_ctl_trust_argp;

/*
 * GET server + path + "?key=value&...". `params` ends with a NULL key and may be NULL.
 * A token is not sent in clear to another machine. -ECONNREFUSED: nobody answers there. -EREMOTEIO:
 * the server's own words. -EBADMSG: the answer is not what the API gives. *ret is a new reference
 * to an object.
 */
int mb_ctl_get(const char *server, const char *path, const struct mb_ctl_param *params,
	       json_t **ret, struct mb_err *err);
/* The same by POST: something is done. */
int mb_ctl_post(const char *server, const char *path, const struct mb_ctl_param *params,
		json_t **ret, struct mb_err *err);

#endif
