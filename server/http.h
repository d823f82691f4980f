/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The HTTP side of the API (libmicrohttpd, a thread of its own). GET asks, POST
 * carries out; no request has a body.
 */
#ifndef MB_SERVER_HTTP_H
#define MB_SERVER_HTTP_H

#include <netinet/in.h>

#include "proto/base/uri.h"
#include "server/api.h"

struct mb_http;
/* `api` is this thread's from now on. *ret_bound says where (port 0: a free one). */
int mb_http_start(struct mb_api *api, const struct mb_address *address,
		  struct mb_address *ret_bound, struct mb_http **ret, struct mb_err *err);
void mb_http_stop(struct mb_http *h);

#endif
