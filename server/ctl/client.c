// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"

enum { CONNECT_SECONDS = 10, ANSWER_SECONDS = 600 };

struct answer {
	struct mb_buf body;
	bool too_large;
};

static void curl_closep(CURL **c)
{
	curl_easy_cleanup(*c);
}

static size_t take(char *data, size_t size, size_t n, void *ctx)
{
	struct answer *a = ctx;

	a->too_large = size * n > MB_CTL_ANSWER_BYTES_MAX - a->body.len;
	if (a->too_large)
		return 0;
	mb_buf_put(&a->body, data, size * n);
	return a->body.failed ? 0 : size * n;
}

const char *mb_ctl_server(const char *option)
{
	const char *env = getenv("MBCTL_SERVER");

	return option ? option : env && *env ? env : MB_CTL_SERVER_DEFAULT;
}

int mb_ctl_server_check(const char *server, struct mb_err *err)
{
	const char *host = strstr(server, "://");

	if ((strncmp(server, "http://", 7) != 0 && strncmp(server, "https://", 8) != 0) ||
	    !host[3] || host[3] == '/' || strpbrk(server, "?# "))
		return mb_fail(err, EINVAL, "server \"%s\": not a URL such as %s", server,
			       MB_CTL_SERVER_DEFAULT);
	return 0;
}

static int put_url(CURL *curl, const char *server, const char *path,
		   const struct mb_ctl_param *params, struct mb_buf *url, struct mb_err *err)
{
	size_t n = strlen(server);

	while (n && server[n - 1] == '/')
		n--;
	mb_buf_put(url, server, n);
	mb_buf_put(url, path, strlen(path));
	for (const struct mb_ctl_param *p = params; p && p->key; p++) {
		char *value = curl_easy_escape(curl, p->value, 0);

		if (!value)
			return mb_fail_mem(err, "a URL");
		mb_buf_put_u8(url, p == params ? '?' : '&');
		mb_buf_put(url, p->key, strlen(p->key));
		mb_buf_put_u8(url, '=');
		mb_buf_put(url, value, strlen(value));
		curl_free(value);
	}
	mb_buf_put_u8(url, 0);
	return mb_buf_check(url, "a URL", err);
}

static int why_no_answer(CURLcode code, const char *server, const struct answer *a,
			 struct mb_err *err)
{
	if (a->too_large)
		return mb_fail(err, EFBIG, "server at %s: answer of more than %zu MiB", server,
			       MB_CTL_ANSWER_BYTES_MAX >> 20);
	switch (code) {
	case CURLE_COULDNT_CONNECT:
		return mb_fail(err, ECONNREFUSED,
			       "no server at %s (is mbserver running? --server URL)", server);
	case CURLE_OUT_OF_MEMORY:
	case CURLE_WRITE_ERROR:
		return mb_fail_mem(err, "the server's answer");
	case CURLE_OPERATION_TIMEDOUT:
		return mb_fail(err, ETIMEDOUT, "server at %s: no answer in time", server);
	default:
		return mb_fail(err, EIO, "server at %s: %s", server, curl_easy_strerror(code));
	}
}

static int parse(const char *server, long status, const struct mb_buf *body, json_t **ret,
		 struct mb_err *err)
{
	json_error_t where;
	json_t *root =
		json_loadb((const char *)body->data, body->len, JSON_REJECT_DUPLICATES, &where);
	int r = 0;

	if (status != 200) {
		const char *text = json_string_value(json_object_get(root, "error"));

		r = text ? mb_fail(err, EREMOTEIO, "server: %s", text) :
			   mb_fail(err, EBADMSG, "server at %s: HTTP status %ld", server, status);
	} else if (!root) {
		r = mb_fail(err, EBADMSG, "server at %s: not JSON: line %d, column %d: %s", server,
			    where.line, where.column, where.text);
	} else if (!json_is_object(root)) {
		r = mb_fail(err, EBADMSG, "server at %s: not a JSON object", server);
	}
	if (r < 0)
		json_decref(root);
	else
		*ret = root;
	return r;
}

static int ask(const char *server, const char *path, const struct mb_ctl_param *params, bool post,
	       json_t **ret, struct mb_err *err)
{
	mb_cleanup(curl_closep) CURL *curl = curl_easy_init();
	mb_cleanup(mb_buf_deinit) struct mb_buf url = { 0 };
	struct answer a = { 0 };
	long status = 0;
	CURLcode code;
	int r;

	*ret = NULL;
	if (!curl)
		return mb_fail_mem(err, "an HTTP client");
	r = put_url(curl, server, path, params, &url, err);
	if (r < 0)
		return r;
	curl_easy_setopt(curl, CURLOPT_URL, (const char *)url.data);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
	/* The server is near; a proxy set for the web would be asked for 127.0.0.1 else. */
	curl_easy_setopt(curl, CURLOPT_PROXY, "");
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	if (post)
		curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	r = code == CURLE_OK ? parse(server, status, &a.body, ret, err) :
			       why_no_answer(code, server, &a, err);
	mb_buf_deinit(&a.body);
	return r;
}

int mb_ctl_get(const char *server, const char *path, const struct mb_ctl_param *params,
	       json_t **ret, struct mb_err *err)
{
	return ask(server, path, params, false, ret, err);
}

int mb_ctl_post(const char *server, const char *path, const struct mb_ctl_param *params,
		json_t **ret, struct mb_err *err)
{
	return ask(server, path, params, true, ret, err);
}
