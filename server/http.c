// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/http.h"

#include <gnutls/gnutls.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/file.h"
#include "server/access_log.h"
#include "server/api_metrics.h"
#include "server/gzip.h"
#include "server/socket_file.h"
#include "server/web.h"

enum { CONNECTIONS_MAX = 64, IDLE_S = 30, PEM_BYTES_MAX = 1 << 20, QUERY_TEXT_MAX = 299 };
enum { CHAIN_MAX = 8 };

/* What the library reads of our files. */
struct pem {
	struct mb_buf cert, key, ca;
};

struct mb_http {
	struct MHD_Daemon *daemon;
	struct mb_api *api;
	struct mb_http_config config;
	struct mb_access_log *access_log;
	pthread_mutex_t api_lock; /* questions and what they change: one at a time */
	pthread_mutex_t lock;	  /* of what may be read again, and of the access log */
	struct mb_tokens tokens;
	struct pem pem;	      /* empty: no TLS */
	struct mb_tls *judge; /* of operators' certificates, by the same files; NULL: no TLS */
	bool is_unix;
	char *socket_file;
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
	case -EALREADY:
	case -EXDEV:
	case -EBUSY:
		return MHD_HTTP_CONFLICT;
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

/* `text` is taken over. */
/* Worth it from here on: a matrix of 1000 VMs is 5 MB. */
enum { GZIP_FROM_BYTES = 2048 };

/* Takes `text` over, in one form or the other. */
static struct MHD_Response *make_response(struct MHD_Connection *c, void *text, size_t len)
{
	const char *accepted =
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	struct mb_buf small = { 0 };
	bool zipped = len >= GZIP_FROM_BYTES && mb_gzip_accepted(accepted) &&
		      mb_gzip((struct mb_slice){ text, len }, &small, &(struct mb_err){ 0 }) == 0;
	struct MHD_Response *response;

	if (zipped) {
		free(text);
		text = small.data;
		len = small.len;
	} else {
		mb_buf_deinit(&small);
	}
	response = MHD_create_response_from_buffer(len, text, MHD_RESPMEM_MUST_FREE);
	if (!response)
		free(text);
	else if (zipped)
		MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip");
	return response;
}

static enum MHD_Result answer_text(struct MHD_Connection *c, unsigned int status, void *text,
				   size_t len, const char *type, const char *allow)
{
	struct MHD_Response *response;
	enum MHD_Result r;

	response = make_response(c, text, len);
	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	MHD_add_response_header(response, MHD_HTTP_HEADER_VARY, MHD_HTTP_HEADER_ACCEPT_ENCODING);
	if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	if (status == MHD_HTTP_UNAUTHORIZED)
		MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	r = MHD_queue_response(c, status, response);
	MHD_destroy_response(response);
	return r;
}

static enum MHD_Result answer(struct MHD_Connection *c, unsigned int status, json_t *json,
			      const char *allow)
{
	char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

	json_decref(json);
	return text ? answer_text(c, status, text, strlen(text), "application/json", allow) :
		      MHD_NO;
}

static enum MHD_Result refuse(struct MHD_Connection *c, unsigned int status, const char *why,
			      const char *allow)
{
	return answer(c, status, json_pack("{s:s}", "error", why), allow);
}

/* --- who asks --------------------------------------------------------------------------------- */

/* That it has the key, too, the handshake has shown; whose certificate it is, we judge. */
static bool shows_certificate(struct mb_http *h, struct MHD_Connection *c, struct mb_caller *ret)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	struct mb_slice chain[CHAIN_MAX];
	const gnutls_datum_t *certs;
	unsigned int n = 0;

	certs = info ? gnutls_certificate_get_peers(info->tls_session, &n) : NULL;
	if (!certs || !n)
		return false;
	n = MB_MIN(n, (unsigned int)CHAIN_MAX);
	for (unsigned int i = 0; i < n; i++)
		chain[i] = (struct mb_slice){ certs[i].data, certs[i].size };
	pthread_mutex_lock(&h->lock);
	mb_caller_by_certificate(h->judge, chain, n, ret);
	pthread_mutex_unlock(&h->lock);
	return true;
}

static void find_caller(struct mb_http *h, struct MHD_Connection *c, struct mb_caller *ret)
{
	const union MHD_ConnectionInfo *info;

	if (h->is_unix) {
		info = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
		mb_caller_by_socket(info ? info->connect_fd : -1, h->config.readers, ret);
		return;
	}
	if (h->judge && shows_certificate(h, c, ret))
		return;
	pthread_mutex_lock(&h->lock);
	mb_caller_by_token(
		h->config.tokens ? &h->tokens : NULL,
		MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION),
		ret);
	pthread_mutex_unlock(&h->lock);
}

/* The address without the port, which is another one every time. */
static void name_peer(struct mb_http *h, struct MHD_Connection *c, char *text, size_t size)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(c, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	struct mb_address a = { 0 };
	char *colon;

	snprintf(text, size, "unix");
	if (h->is_unix || !info || !info->client_addr)
		return;
	memcpy(&a.storage, info->client_addr,
	       info->client_addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) :
							  sizeof(struct sockaddr_in));
	mb_uri_format(&a, text, size);
	colon = strrchr(text, ':');
	if (colon)
		*colon = 0;
}

/* What was asked for besides the path; what does not fit is left off. */
static enum MHD_Result add_argument(void *ctx, enum MHD_ValueKind kind, const char *key,
				    const char *value)
{
	struct mb_buf *text = ctx;

	(void)kind;
	if (text->len + strlen(key) + strlen(value ? value : "") + 3 > QUERY_TEXT_MAX)
		return MHD_NO;
	if (text->len)
		mb_buf_put_u8(text, '&');
	mb_buf_put(text, key, strlen(key));
	mb_buf_put_u8(text, '=');
	mb_buf_put(text, value ? value : "", strlen(value ? value : ""));
	return MHD_YES;
}

static void log_access(struct mb_http *h, struct MHD_Connection *c, const struct mb_caller *caller,
		       const char *method, const char *url, unsigned int status, const char *why)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf query_text = { 0 };
	char peer[128];
	struct mb_err err = { 0 };
	struct mb_access a = { .at_unix_ms = mb_unix_ns() / 1000000,
			       .who = caller->who,
			       .peer = peer,
			       .role = caller->role,
			       .method = method,
			       .path = url,
			       .status = status,
			       .reason = why };

	MHD_get_connection_values(c, MHD_GET_ARGUMENT_KIND, add_argument, &query_text);
	mb_buf_put_u8(&query_text, 0);
	a.query = query_text.failed ? "" : (const char *)query_text.data;
	name_peer(h, c, peer, sizeof(peer));
	pthread_mutex_lock(&h->lock);
	if (mb_access_log_put(h->access_log, &a, mb_now_ns(), &err) < 0)
		h->config.warn(h->config.ctx, err.text);
	pthread_mutex_unlock(&h->lock);
}

/* 0: go on; else the status of the refusal. */
static unsigned int judge(const struct mb_caller *caller, const char *method, const char *url,
			  struct mb_err *err)
{
	enum mb_role needed = mb_role_needed(method, url);

	if (caller->strange) {
		mb_fail(err, EACCES, "%s", caller->why);
		return MHD_HTTP_UNAUTHORIZED;
	}
	if (caller->role >= needed)
		return 0;
	mb_fail(err, EACCES, "%s has the role %s; this needs %s", caller->who,
		mb_role_name(caller->role), mb_role_name(needed));
	return MHD_HTTP_FORBIDDEN;
}

static enum MHD_Result answer_health(struct mb_http *h, struct MHD_Connection *c, const char *url)
{
	struct mb_err err = { 0 };
	int r = (strcmp(url, "/readyz") == 0 ? mb_health_ready :
					       mb_health_alive)(h->api->health, mb_now_ns(), &err);

	return answer(c, r < 0 ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
		      r < 0 ? reason(&err) : json_pack("{s:b}", "ok", 1), "GET");
}

static enum MHD_Result answer_file(struct MHD_Connection *c, const struct mb_web_file *f)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
		f->content.len, (void *)(uintptr_t)f->content.data, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, f->type);
	MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-cache");
	MHD_add_response_header(response, "Content-Security-Policy", MB_WEB_POLICY);
	MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
	r = MHD_queue_response(c, MHD_HTTP_OK, response);
	MHD_destroy_response(response);
	return r;
}

/* Metrics wait for nobody's question. */
static enum MHD_Result answer_metrics(struct mb_http *h, struct MHD_Connection *c)
{
	struct mb_buf text = { 0 };
	struct mb_err err = { 0 };
	int r = mb_api_metrics(h->api, &text, &err);

	if (r == 0)
		return answer_text(c, MHD_HTTP_OK, text.data, text.len,
				   "text/plain; version=0.0.4; charset=utf-8", "GET");
	mb_buf_deinit(&text);
	return answer(c, status_of(r), reason(&err), "GET");
}

static enum MHD_Result handle(void *ctx, struct MHD_Connection *c, const char *url,
			      const char *method, const char *version, const char *upload,
			      size_t *upload_size, void **request)
{
	static int headers_seen, has_body;
	bool post = strcmp(method, MHD_HTTP_METHOD_POST) == 0;
	const char *allow = post ? "GET, HEAD" : "GET, HEAD, POST";
	struct mb_http *h = ctx;
	struct mb_err err = { 0 };
	struct mb_web_file file;
	struct mb_caller caller;
	unsigned int refused;
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
	/* The library leaves the body out. */
	if (strcmp(method, MHD_HTTP_METHOD_HEAD) == 0)
		method = MHD_HTTP_METHOD_GET;
	if (!post && strcmp(method, MHD_HTTP_METHOD_GET) != 0)
		return refuse(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and POST are known here",
			      allow);
	/* Who restarts servers that do not answer has no token, and learns nothing else. */
	if (!post && *request != &has_body &&
	    (strcmp(url, "/healthz") == 0 || strcmp(url, "/readyz") == 0))
		return answer_health(h, c, url);
	/* It asks for the token itself, which it needs for all that it shows. */
	if (!post && *request != &has_body && mb_web_find(url, &file))
		return answer_file(c, &file);
	find_caller(h, c, &caller);
	refused = judge(&caller, method, url, &err);
	if (refused && h->config.refusals)
		mb_refusals_count(h->config.refusals,
				  caller.strange ? MB_FOR_API_STRANGER : MB_FOR_API_ROLE);
	if (refused) {
		log_access(h, c, &caller, method, url, refused, err.text);
		return answer(c, refused, reason(&err), allow);
	}
	if (*request == &has_body)
		return refuse(c, MHD_HTTP_CONTENT_TOO_LARGE,
			      "no body is expected: parameters are in the URL", allow);
	/* A browser names the page that made it ask: no page may have something done here. */
	if (post && MHD_lookup_connection_value(c, MHD_HEADER_KIND, MHD_HTTP_HEADER_ORIGIN))
		return refuse(c, MHD_HTTP_FORBIDDEN, "not for web pages", allow);
	if (!post && strcmp(url, "/metrics") == 0)
		return answer_metrics(h, c);
	pthread_mutex_lock(&h->api_lock);
	r = (post ? mb_api_post : mb_api_get)(h->api, url, query, c, &json, &err);
	pthread_mutex_unlock(&h->api_lock);
	if (post)
		log_access(h, c, &caller, method, url, status_of(r), r < 0 ? err.text : "");
	if (r < 0)
		json = reason(&err);
	return answer(c, status_of(r), json, allow);
}

/* --- listening -------------------------------------------------------------------------------- */

/* Bound here rather than by the library, so that a failure has its reason. */
static int listen_on(const struct mb_address *address, struct mb_address *ret_bound,
		     struct mb_err *err)
{
	mb_autoclose int fd = socket(address->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[200];
	mode_t old;
	int on = 1, r;

	mb_uri_format(address, text, sizeof(text));
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
		return mb_fail(err, errno, "cannot serve HTTP on %s: %m", text);
	old = umask(0177);
	r = bind(fd, &address->sa, address->len);
	umask(old);
	if (r < 0 || listen(fd, 64) < 0)
		return mb_fail(err, errno, "cannot serve HTTP on %s: %m", text);
	*ret_bound = (struct mb_address){ .len = sizeof(ret_bound->storage) };
	getsockname(fd, &ret_bound->sa, &ret_bound->len);
	return mb_take_fd(fd);
}

static void pem_deinit(struct pem *p)
{
	if (p->key.data)
		explicit_bzero(p->key.data, p->key.cap);
	mb_buf_deinit(&p->cert);
	mb_buf_deinit(&p->key);
	mb_buf_deinit(&p->ca);
}

static int pem_read(const struct mb_tls_files *files, struct pem *ret, struct mb_err *err)
{
	const char *key = files->key ? files->key : files->cert;
	const char *ca = files->ca ? files->ca : files->cert;
	int r = mb_file_read(files->cert, PEM_BYTES_MAX, &ret->cert, err);

	if (r == 0)
		r = mb_file_read(key, PEM_BYTES_MAX, &ret->key, err);
	return r < 0 ? r : mb_file_read(ca, PEM_BYTES_MAX, &ret->ca, err);
}

static struct MHD_Daemon *start_daemon(struct mb_http *h)
{
	const struct MHD_OptionItem tls[] = {
		{ MHD_OPTION_HTTPS_MEM_CERT, 0, h->pem.cert.data },
		{ MHD_OPTION_HTTPS_MEM_KEY, 0, h->pem.key.data },
		/* Has clients asked for a certificate; they need not have one. */
		{ MHD_OPTION_HTTPS_MEM_TRUST, 0, h->pem.ca.data },
		{ MHD_OPTION_HTTPS_PRIORITIES, 0,
		  (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3" },
		{ MHD_OPTION_END, 0, NULL },
	};
	const struct MHD_OptionItem clear[] = { { MHD_OPTION_END, 0, NULL } };
	bool secure = h->pem.cert.len;

	/* A thread each: what costs nothing is answered while a plan is being made. */
	return MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION |
					MHD_USE_POLL | MHD_USE_ITC | (secure ? MHD_USE_TLS : 0),
				0, NULL, NULL, handle, h, MHD_OPTION_LISTEN_SOCKET, h->fd,
				MHD_OPTION_CONNECTION_LIMIT, CONNECTIONS_MAX,
				MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, MHD_OPTION_ARRAY,
				secure ? tls : clear, MHD_OPTION_END);
}

static int check_reach(const struct mb_http_config *c, const struct mb_address *a,
		       struct mb_err *err)
{
	if (mb_address_is_local(a) || c->insecure)
		return 0;
	if (!c->tls)
		return mb_fail(
			err, EPERM,
			"other machines can reach it: needs TLS (--tls-cert), or --insecure");
	if (!c->tokens)
		return mb_fail(err, EPERM,
			       "other machines can reach it: needs --tokens (mbctl token add), or "
			       "--insecure");
	return 0;
}

static int open_files(struct mb_http *h, const struct mb_address *address, struct mb_err *err)
{
	const struct mb_http_config *c = &h->config;
	int r;

	if (c->tokens && (r = mb_tokens_read(c->tokens, &h->tokens, err)) < 0)
		return r;
	if (c->access_log && (r = mb_access_log_open(c->access_log, &h->access_log, err)) < 0)
		return r;
	if (!c->tls || mb_address_is_local(address))
		return 0;
	if (MHD_is_feature_supported(MHD_FEATURE_TLS) != MHD_YES)
		return mb_fail(err, EOPNOTSUPP, "this libmicrohttpd has no TLS");
	r = mb_tls_create(true, c->tls, &h->judge, err);
	return r < 0 ? r : pem_read(c->tls, &h->pem, err);
}

static int open_socket(struct mb_http *h, const struct mb_address *address,
		       struct mb_address *ret_bound, struct mb_err *err)
{
	const char *path = address->un.sun_path;
	int r = mb_socket_file_clear(address, err);

	if (r < 0)
		return r;
	h->fd = listen_on(address, ret_bound, err);
	if (h->fd < 0)
		return h->fd;
	if (!h->is_unix)
		return 0;
	h->socket_file = strdup(path);
	/* The file keeps strangers out; caller.c judges who got in. */
	if (h->config.readers != MB_NO_GROUP &&
	    (chown(path, (uid_t)-1, h->config.readers) < 0 || chmod(path, 0660) < 0))
		return mb_fail(err, errno, "%s: group: %m", path);
	return 0;
}

static void free_http(struct mb_http *h)
{
	if (h->socket_file)
		unlink(h->socket_file);
	free(h->socket_file);
	if (h->fd >= 0)
		close(h->fd);
	mb_access_log_close(h->access_log);
	mb_tokens_deinit(&h->tokens);
	mb_tls_destroy(h->judge);
	pem_deinit(&h->pem);
	pthread_mutex_destroy(&h->lock);
	pthread_mutex_destroy(&h->api_lock);
	free(h);
}

int mb_http_start(struct mb_api *api, const struct mb_http_config *config,
		  const struct mb_address *address, struct mb_address *ret_bound,
		  struct mb_http **ret, struct mb_err *err)
{
	struct mb_http *h = calloc(1, sizeof(*h));
	int r;

	if (!h)
		return mb_fail_mem(err, "HTTP");
	h->api = api;
	h->config = *config;
	h->fd = -1;
	h->is_unix = address->sa.sa_family == AF_UNIX;
	pthread_mutex_init(&h->lock, NULL);
	pthread_mutex_init(&h->api_lock, NULL);
	if ((r = check_reach(config, address, err)) < 0 || (r = open_files(h, address, err)) < 0 ||
	    (r = open_socket(h, address, ret_bound, err)) < 0)
		goto failed;
	h->daemon = start_daemon(h);
	if (!h->daemon) {
		r = mb_fail(err, EIO, "libmicrohttpd did not start%s",
			    h->pem.cert.len ? " (does it take the certificate?)" : "");
		goto failed;
	}
	*ret = h;
	return 0;
failed:
	free_http(h);
	return r;
}

void mb_http_stop(struct mb_http *h)
{
	if (!h)
		return;
	if (h->daemon) {
		MHD_stop_daemon(h->daemon);
		h->fd = -1; /* the library has closed it */
	}
	free_http(h);
}

/* --- reading files again ---------------------------------------------------------------------- */

static int reload_tokens(struct mb_http *h, struct mb_err *err)
{
	struct mb_tokens now = { 0 }, old;
	int r;

	if (!h->config.tokens)
		return 0;
	r = mb_tokens_read(h->config.tokens, &now, err);
	if (r < 0)
		return r;
	pthread_mutex_lock(&h->lock);
	old = h->tokens;
	h->tokens = now;
	pthread_mutex_unlock(&h->lock);
	mb_tokens_deinit(&old);
	return 0;
}

static bool same(const struct mb_buf *a, const struct mb_buf *b)
{
	return a->len == b->len && memcmp(a->data, b->data, a->len) == 0;
}

/* The socket stays: who comes meanwhile waits a moment. */
static int restart(struct mb_http *h, struct pem *now, struct mb_err *err)
{
	struct pem old = h->pem;

	if (h->daemon) {
		MHD_quiesce_daemon(h->daemon);
		MHD_stop_daemon(h->daemon);
	}
	h->pem = *now;
	h->daemon = start_daemon(h);
	if (h->daemon) {
		*now = old;
		return 0;
	}
	h->pem = old;
	h->daemon = start_daemon(h);
	return mb_fail(err, EBADMSG, "libmicrohttpd does not take the certificate%s",
		       h->daemon ? "" : ", nor the one of before any more: no HTTP");
}

int mb_http_reload(struct mb_http *h, struct mb_err *err)
{
	mb_cleanup(pem_deinit) struct pem now = { 0 };
	int r = reload_tokens(h, err);

	if (r < 0 || !h->pem.cert.len)
		return r;
	pthread_mutex_lock(&h->lock);
	r = mb_tls_reload(h->judge, err);
	pthread_mutex_unlock(&h->lock);
	if (r == 0)
		r = pem_read(h->config.tls, &now, err);
	if (r < 0 || (same(&now.cert, &h->pem.cert) && same(&now.key, &h->pem.key) &&
		      same(&now.ca, &h->pem.ca)))
		return r;
	return restart(h, &now, err);
}
