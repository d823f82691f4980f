// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Questions to the HTTP API, with the fleet file that they are answered from:
 *
 *	GET			or POST; "POST+" has a body, too
 *	/v1/plan
 *	planner=best		parameters, a line each, as libmicrohttpd decodes them
 *	Origin: x		headers look like that
 *	<empty line>
 *	{ "hosts": ...		the fleet file; without one, a small fleet
 *
 * libmicrohttpd has its own fuzzers: in its place stand a few functions that hand the question to
 * our handler and look at the answer. No socket is listened on but one without a name.
 */
#include <microhttpd.h>
#include <stdarg.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/http.h"
#include "tests/fuzz/util_fuzz.h"

static const char small_fleet[] =
	"{\"hosts\":[{\"name\":\"h1\",\"memory_mb\":4},{\"name\":\"h2\",\"memory_mb\":3}],"
	"\"vms\":[{\"name\":\"new1\",\"memory_mb\":1}],\"options\":{\"durable_s\":0}}";

/* --- in place of libmicrohttpd ---------------------------------------------------------------- */

enum { LINES_MAX = 16 };

/* Our handler, as we gave it to the library. */
static MHD_AccessHandlerCallback handler;
static void *handler_ctx;
static int listening;

struct MHD_Connection {
	char *lines[LINES_MAX]; /* "name=value", "name: value" */
	size_t n;
	unsigned int answers, status;
};

struct MHD_Response {
	char *text;
	bool is_json;
};

struct MHD_Daemon *MHD_start_daemon(unsigned int flags, uint16_t port,
				    MHD_AcceptPolicyCallback accept, void *accept_ctx,
				    MHD_AccessHandlerCallback handle, void *ctx, ...)
{
	va_list options;

	(void)flags;
	(void)port;
	(void)accept;
	(void)accept_ctx;
	va_start(options, ctx);
	must(va_arg(options, int) == MHD_OPTION_LISTEN_SOCKET);
	listening = va_arg(options, int);
	va_end(options);
	handler = handle;
	handler_ctx = ctx;
	/* Never looked into. */
	return ctx;
}

const char *MHD_lookup_connection_value(struct MHD_Connection *c, enum MHD_ValueKind kind,
					const char *name)
{
	const char *sep = kind == MHD_HEADER_KIND ? ": " : "=";
	size_t len = strlen(name);

	must(kind == MHD_GET_ARGUMENT_KIND || kind == MHD_HEADER_KIND);
	for (size_t i = 0; i < c->n; i++)
		if (strncmp(c->lines[i], name, len) == 0 &&
		    strncmp(c->lines[i] + len, sep, strlen(sep)) == 0)
			return c->lines[i] + len + strlen(sep);
	return NULL;
}

int MHD_get_connection_values(struct MHD_Connection *c, enum MHD_ValueKind kind,
			      MHD_KeyValueIterator take, void *ctx)
{
	must(kind == MHD_GET_ARGUMENT_KIND);
	for (size_t i = 0; i < c->n; i++) {
		char name[64];
		size_t len = strcspn(c->lines[i], "=");

		snprintf(name, sizeof(name), "%.*s", (int)len, c->lines[i]);
		/* An argument may have no value. */
		if (take(ctx, kind, name, c->lines[i][len] ? c->lines[i] + len + 1 : NULL) ==
		    MHD_NO)
			break;
	}
	return (int)c->n;
}

struct MHD_Response *MHD_create_response_from_buffer(size_t n, void *text,
						     enum MHD_ResponseMemoryMode mode)
{
	struct MHD_Response *response = calloc(1, sizeof(*response));

	must(response && (mode == MHD_RESPMEM_MUST_FREE || mode == MHD_RESPMEM_PERSISTENT));
	response->text = strndup(text, n);
	/* All is text. */
	must(response->text && strlen(response->text) == n);
	if (mode == MHD_RESPMEM_MUST_FREE)
		free(text);
	return response;
}

enum MHD_Result MHD_add_response_header(struct MHD_Response *response, const char *name,
					const char *value)
{
	must(*name && *value);
	if (strcmp(name, MHD_HTTP_HEADER_CONTENT_TYPE) == 0)
		response->is_json = strcmp(value, "application/json") == 0;
	return MHD_YES;
}

/* An answer is JSON, but for the page and metrics; one that says no has a reason. */
enum MHD_Result MHD_queue_response(struct MHD_Connection *c, unsigned int status,
				   struct MHD_Response *response)
{
	json_t *json;

	c->answers++;
	c->status = status;
	if (!response->is_json) {
		must(status == MHD_HTTP_OK && *response->text);
		return MHD_YES;
	}
	json = json_loads(response->text, JSON_REJECT_DUPLICATES, NULL);
	must(json_is_object(json));
	must(json && (status == MHD_HTTP_OK || (status >= 400 && status <= 503)));
	must((status == MHD_HTTP_OK) == !json_object_get(json, "error"));
	must(status == MHD_HTTP_OK || json_string_length(json_object_get(json, "error")) > 0);
	json_decref(json);
	return MHD_YES;
}

void MHD_stop_daemon(struct MHD_Daemon *daemon)
{
	(void)daemon;
	must(close(listening) == 0);
}

void MHD_destroy_response(struct MHD_Response *response)
{
	free(response->text);
	free(response);
}

/* --- the server ------------------------------------------------------------------------------- */

static struct mb_fleet *fleet;
static struct mb_api api;
static struct mb_health health;
static struct mb_http *http;

/* `n` digests from `first` on, one of them twice. */
static void add_vm(const char *name, const char *host, uint64_t first, size_t n)
{
	struct mb_vm vm = { .epoch = 3, .memory_bytes = 1 << 20 };
	mb_autofree uint64_t *digests = calloc(n + 1, sizeof(*digests));
	/* The store keeps the frame and does not look into it. */
	struct mb_epoch_record record = { .snapshot = true,
					  .frame = { (const uint8_t *)"frame", 5 } };
	struct mb_digester digester;
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };

	must(digests);
	for (size_t i = 0; i < n; i++)
		digests[i] = first + i;
	digests[n] = first;
	strcpy(vm.name, name);
	strcpy(vm.host, host);
	strcpy(vm.source, "source");
	strcpy(vm.tracker, "none");
	must_ok(mb_digester_init(&digester, MB_XXH64, MB_PAGE_BYTES, 64, "", NULL, &err), &err);
	vm.identity = digester.identity;
	must_ok(mb_fingerprint_from_digests(&fp, digests, n + 1, &err), &err);
	mb_fingerprint_self_sharing(&fp, vm.identity.zero_digest, &vm.sharing);
	vm.fp = mb_fpref_new(&fp);
	must(vm.fp);
	must_ok(mb_store_begin(api.store, &err), &err);
	must_ok(mb_store_put_epoch(api.store, &vm, &record, &err), &err);
	must_ok(mb_store_commit(api.store, &err), &err);
	must_ok(mb_fleet_add(fleet, &vm, &err), &err);
}

/* Three VMs: web1 and web2 alike, both on h1, and one of a host that the fleet file may not know.
 */
static void start(void)
{
	struct mb_address nameless = { .sa.sa_family = AF_UNIX, .len = sizeof(sa_family_t) };
	const struct mb_http_config config = { .readers = MB_NO_GROUP };
	struct mb_address bound;
	struct mb_err err = { 0 };

	api.db_path = ":memory:";
	must_ok(mb_store_open(api.db_path, &api.store, &err), &err);
	must_ok(mb_fleet_create(&fleet, &err), &err);
	must_ok(mb_sharing_create(fleet, &api.sharing, &err), &err);
	mb_health_beat(&health, mb_now_ns());
	api.fleet = fleet;
	api.health = &health;
	add_vm("web1", "h1", 100, 200);
	add_vm("web2", "h1", 150, 200);
	add_vm("db1", "far", 1000, 100);
	must_ok(mb_http_start(&api, &config, &nameless, &bound, &http, &err), &err);
}

static void stop(void)
{
	mb_http_stop(http);
	mb_sharing_destroy(api.sharing);
	mb_fleet_destroy(fleet);
	mb_store_close(api.store);
	fleet = NULL;
}

/* --- one question ----------------------------------------------------------------------------- */

/* The next line of `*rest`, which may be NULL after the last one. */
static char *line(char **rest)
{
	static char none[] = "";

	return *rest ? strsep(rest, "\n") : none;
}

static void ask(const char *url, const char *method, bool body, struct MHD_Connection *c)
{
	void *request = NULL;
	size_t upload = 0;

	must(handler(handler_ctx, c, url, method, "HTTP/1.1", "", &upload, &request) == MHD_YES);
	must(c->answers == 0 && request);
	if (body) {
		upload = 1;
		must(handler(handler_ctx, c, url, method, "HTTP/1.1", "x", &upload, &request) ==
		     MHD_YES);
		must(c->answers == 0 && !upload);
	}
	must(handler(handler_ctx, c, url, method, "HTTP/1.1", "", &upload, &request) == MHD_YES);
	must(c->answers == 1);
	must(!body || c->status != MHD_HTTP_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	mb_autofree char *text = strndup((const char *)data, n);
	struct MHD_Connection c = { 0 };
	char *rest = text, *method, *url;
	bool body;

	must(text);
	if (!fleet)
		start();
	method = line(&rest);
	body = *method && method[strlen(method) - 1] == '+';
	if (body)
		method[strlen(method) - 1] = 0;
	url = line(&rest);
	while (c.n < LINES_MAX) {
		char *at = line(&rest);

		if (!*at)
			break;
		c.lines[c.n++] = at;
	}
	if (!rest || !*rest)
		api.fleet_path = memory_file(small_fleet, sizeof(small_fleet) - 1, 0);
	else
		api.fleet_path = memory_file(rest, strlen(rest), 0);
	ask(url, method, body, &c);
	/* What a POST leaves behind would be another input's. */
	if (strcmp(method, "POST") == 0)
		stop();
	return 0;
}
