// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/http.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

enum { CONNECTIONS_MAX = 64, IDLE_S = 30 };

struct mb_http {
	struct MHD_Daemon *daemon;
	struct mb_api *api;
	int fd;
};

static unsigned int status_of(int r)
{
	switch (r) {
	case 0:
		return MHD_HTTP_OK;
	case -ENOENT:
		return MHD_HTTP_NOT_FOUND;
	case -EOPNOTSUPP:
		return MHD_HTTP_METHOD_NOT_ALLOWED;
	case -EINVAL:
		return MHD_HTTP_BAD_REQUEST;
	case -ENOSPC:
	case -ERANGE:
		return MHD_HTTP_UNPROCESSABLE_CONTENT;
	default:
		return MHD_HTTP_INTERNAL_SERVER_ERROR;
	}
}

static const char *query(void *ctx, const char *name)
{
	return MHD_lookup_connection_value(ctx, MHD_GET_ARGUMENT_KIND, name);
}

/* A reason may quote what was asked, which need not be UTF-8; JSON must be. */
static json_t *reason(struct mb_err *err)
{
	for (char *p = err->text; *p; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	return json_pack("{s:s}", "error", err->text);
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned int status, json_t *json,
			      const char *allow)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
	struct MHD_Response *response;
	enum MHD_Result r;

	json_decref(json);
	if (!text)
		return MHD_NO;
	response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
	if (!response) {
		free(text);
		return MHD_NO;
	}
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	r = MHD_queue_response(c, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned int status, const char *why,
			      const char *allow)
{
	return answer(c, status, json_pack("{s:s}", "error", why), allow);
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **request)
{
	static int headers_seen, has_body;
	bool post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
	const char *allow = post ? "GET" : "GET, POST";
	struct mb_http *h = ctx;
	struct mb_err err = { 0 };
	json_t *json = NULL;
	int r;

	(void)version;
	(void)upload;
	/* The first call comes before any body; answering then would close the connection. */
	if (!*request) {
		*request = &headers_seen;
		return MHD_YES;
	}
	/* None is kept, however long it is. */
	if (*upload_size) {
		*upload_size = 0;
		*request = &has_body;
		return MHD_YES;
	}
	if (!post && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST are known here",
			      allow);
	if (*request == &has_body)
		return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE,
			      "no body is expected: parameters are in the URL", allow);
	/* A browser names the page that made it ask: no page may have something done here. */
	if (post && MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN))
		return refuse(c, MHD_HTTP_FORBIDDEN, "not for web pages", allow);
	r = (post ? mb_api_post : mb_api_get)(h->api, url, query, c, &json, &err);
	if (r < 0)
		json = reason(&err);
	return answer(c, status_of(r), json, allow);
}

/* Bound here rather than by the library, so that a failure has its reason. */
static int listen_on(const struct mb_address *address, struct mb_address *ret_bound,
		     struct mb_err *err)
{
	mb_autoclose int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[200];
	int on = 1;

	mb_uri_format(address, text, sizeof(text));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    bind(fd, &address->sa, address->len) < 0 || listen(fd, 64) < 0)
		return mb_fail(err, errno, "cannot serve HTTP on %s: %m", text);
	*ret_bound = (struct mb_address){ .len = sizeof(ret_bound->storage) };
	getsockname(fd, &ret_bound->sa, &ret_bound->len);
	return mb_take_fd(fd);
}

int mb_http_start(struct mb_api *api, const struct mb_address *address,
		  struct mb_address *ret_bound, struct mb_http **ret, struct mb_err *err)
{
	struct mb_http *h = calloc(1, sizeof(*h));

	if (!h)
		return mb_fail_mem(err, "HTTP");
	h->api = api;
	h->fd = listen_on(address, ret_bound, err);
	if (h->fd < 0) {
		int r = h->fd;

		free(h);
		return r;
	}
	h->daemon = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL,
				     handle, h, MHD_OPTION_LISTEN_SOCKET, h->fd,
				     MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				     MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_END);
	if (!h->daemon) {
		close(h->fd);
		free(h);
		return mb_fail(err, EIO, "libmicrohttpd did not start");
	}
	*ret = h;
	return 0;
}

void mb_http_stop(struct mb_http *h)
{
	if (!h)
		return;
	MHD_stop_daemon(h->daemon);
	free(h);
}
