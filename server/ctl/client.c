// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/client.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"

enum { TOKEN_BYTES_MAX = 500 };
enum { CONNECT_SECONDS = 10, ANSWER_SECONDS = 600 };

struct answer {
	struct mb_buf body;
	bool too_large;
};

static const char unix_scheme[] = "unix:";

/* --- trust ------------------------------------------------------------------------------------ */

static const char *token_file, *cert, *cacert;

static error_t parse_trust(int key, char *arg, struct argp_state *state)
{
	(void)state;
	switch (key) {
	case 't':
		token_file = arg;
		return 0;
	case 'c':
		cacert = arg;
		return 0;
	case 'C':
		cert = arg;
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option trust_options[] = {
	{ "token-file", 't', "FILE", 0,
	  "File with the token that the server wants (default: $MBCTL_TOKEN_FILE)", 0 },
	{ "cert", 'C', "FILE", 0,
	  "Your certificate and its key, to show an https server (default: $MBCTL_CERT; mbctl pki "
	  "operator makes it)",
	  0 },
	{ "cacert", 'c', "FILE", 0,
	  "CA that an https server's certificate comes from (default: $MBCTL_CACERT, else that in "
	  "--cert, else the system's)",
	  0 },
	{ 0 },
};

const struct argp mb_ctl_trust_argp = { .options = trust_options, .parser = parse_trust };

static const char *or_env(const char *value, const char *name)
{
	const char *env = getenv(name);

	return value ? value : env && *env ? env : NULL;
}

/* By words only: what a name resolves to is another matter, and may change. */
static bool stays_here(const char *server)
{
	static const char *const here[] = { "http://127.", "http://localhost", "http://[::1]" };

	for (size_t i = 0; i < MB_ARRAY_LEN(here); i++) {
		size_t n = strlen(here[i]);

		if (strncmp(server, here[i], n) != 0)
			continue;
		/* http://127.0.0.1.evil.example is elsewhere. */
		if (i == 0)
			n += strspn(server + n, "0123456789.");
		return !server[n] || server[n] == ':' || server[n] == '/';
	}
	return strncmp(server, "https://", 8) == 0 ||
	       strncmp(server, unix_scheme, strlen(unix_scheme)) == 0;
}

static void free_list(struct curl_slist **l)
{
	curl_slist_free_all(*l);
}

static int add_token(const char *server, struct curl_slist **headers, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	const char *path = or_env(token_file, "MBCTL_TOKEN_FILE");
	char header[TOKEN_BYTES_MAX + 40];
	size_t n;
	int r;

	if (!path)
		return 0;
	if (!stays_here(server))
		return mb_fail(err, EPERM,
			       "server \"%s\": a token does not travel in clear (https://)",
			       server);
	r = mb_file_read(path, TOKEN_BYTES_MAX, &text, err);
	if (r < 0)
		return mb_fail_in(err, r, "--token-file");
	n = strcspn((const char *)text.data, " \t\r\n");
	if (!n || strspn((const char *)text.data + n, " \t\r\n") + n != text.len)
		return mb_fail(err, EINVAL, "--token-file: %s: not one word", path);
	snprintf(header, sizeof(header), "Authorization: Bearer %.*s", (int)n,
		 (const char *)text.data);
	*headers = curl_slist_append(NULL, header);
	explicit_bzero(header, sizeof(header));
	return *headers ? 0 : mb_fail_mem(err, "a token");
}

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

	if (strncmp(server, unix_scheme, strlen(unix_scheme)) == 0 && server[strlen(unix_scheme)])
		return 0;
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
	if (strncmp(server, unix_scheme, strlen(unix_scheme)) == 0) {
		server = "http://localhost";
		n = strlen(server);
	}
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

/* mbctl pki makes one file of all. */
static const char *ca_file(void)
{
	const char *ca = or_env(cacert, "MBCTL_CACERT");

	return ca ? ca : or_env(cert, "MBCTL_CERT");
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
	case CURLE_PEER_FAILED_VERIFICATION:
		return mb_fail(err, EACCES,
			       "server at %s: its certificate is for another name, or not of a CA "
			       "that is known here (--cacert)",
			       server);
	case CURLE_SSL_CACERT_BADFILE:
		return mb_fail(err, EINVAL, "--cacert %s: no CA in it", ca_file());
	case CURLE_SSL_CERTPROBLEM:
		return mb_fail(err, EINVAL, "--cert %s: no certificate and key in it",
			       or_env(cert, "MBCTL_CERT"));
	case CURLE_OUT_OF_MEMORY:
	case CURLE_WRITE_ERROR:
		return mb_fail_mem(err, "the server's answer");
	case CURLE_GOT_NOTHING:
		return mb_fail(err, EIO, "server at %s: it ended the connection%s", server,
			       strncmp(server, "http:", 5) == 0 ?
				       ": does it speak https (mbserver --tls-cert)?" :
				       "");
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
	mb_cleanup(free_list) struct curl_slist *headers = NULL;
	struct answer a = { 0 };
	long status = 0;
	CURLcode code;
	int r;

	*ret = NULL;
	if (!curl)
		return mb_fail_mem(err, "an HTTP client");
	if ((r = put_url(curl, server, path, params, &url, err)) < 0 ||
	    (r = add_token(server, &headers, err)) < 0)
		return r;
	curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
	if (ca_file())
		curl_easy_setopt(curl, CURLOPT_CAINFO, ca_file());
	if (or_env(cert, "MBCTL_CERT"))
		curl_easy_setopt(curl, CURLOPT_SSLCERT, or_env(cert, "MBCTL_CERT"));
	if (strncmp(server, unix_scheme, strlen(unix_scheme)) == 0)
		curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, server + strlen(unix_scheme));
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
