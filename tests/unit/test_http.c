// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/http.h"

#include <unistd.h>

#include "proto/base/clock.h"
#include "tests/unit/util_server.h"

static struct mb_fleet *fleet;
static struct mb_store *store;
static struct mb_api api;
static struct mb_health health;
static const struct mb_http_config config = { .readers = MB_NO_GROUP };
static struct mb_http *http;
static struct mb_address address;

static int set_up(void **state)
{
	struct mb_address wanted;
	static char path[128];
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	struct mb_vm vm;

	(void)state;
	scratch_path("x.db", path);
	assert_ok(mb_fleet_create(&fleet, &err), &err);
	assert_ok(mb_store_open(path, &store, &err), &err);
	make_fingerprint_of(1, 1, 9, &fp);
	make_vm("web1", 1, &fp, &vm);
	mb_fingerprint_deinit(&fp);
	store_vm(store, &vm);
	assert_ok(mb_fleet_add(fleet, &vm, &err), &err);
	mb_health_beat(&health, mb_now_ns());
	api = (struct mb_api){
		.fleet = fleet, .store = store, .db_path = path, .health = &health
	};
	assert_ok(mb_sharing_create(fleet, &api.sharing, &err), &err);
	assert_ok(mb_uri_parse("tcp:127.0.0.1:0", &wanted, &err), &err);
	assert_ok(mb_http_start(&api, &config, &wanted, &address, &http, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_http_stop(http);
	mb_http_stop(NULL);
	mb_sharing_destroy(api.sharing);
	mb_store_close(store);
	mb_fleet_destroy(fleet);
	return 0;
}

/* Asks; the answer is to come. `more`: headers, and what is sent below them. */
static int send_request(const char *method, const char *target, const char *more)
{
	static const char close_it[] = "HTTP/1.1\r\nHost: x\r\nConnection: close";
	int fd = socket(address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char text[1024];

	assert_int_equal(connect(fd, &address.sa, address.len), 0);
	snprintf(text, sizeof(text), "%s %s %s\r\n%s", method, target, close_it, more);
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
	return fd;
}

/* The status; the whole answer to `text`, which has 65536 bytes. Closes. */
static int take_answer(int fd, char *text)
{
	ssize_t n = 0, got;
	int status = 0;

	while ((got = recv(fd, text + n, 65535 - (size_t)n, 0)) > 0)
		n += got;
	close(fd);
	text[n] = 0;
	assert_int_equal(sscanf(text, "HTTP/1.1 %d", &status), 1);
	return status;
}

/* The answer's status; its body to `body`, parsed. */
static int ask_with(const char *method, const char *target, const char *more, json_t **body)
{
	char text[65536];
	int status = take_answer(send_request(method, target, more), text);

	assert_non_null(strstr(text, "application/json"));
	*body = json_loads(strstr(text, "\r\n\r\n"), 0, NULL);
	assert_non_null(*body);
	return status;
}

static int ask(const char *method, const char *target, json_t **body)
{
	return ask_with(method, target, "\r\n", body);
}

static void expect_refusal(const char *more, int status, const char *word)
{
	json_t *j;

	assert_int_equal(ask_with("POST", "/v1/plan", more, &j), status);
	assert_non_null(strstr(json_string_value(json_object_get(j, "error")), word));
	json_decref(j);
}

/* What is done here is done for a program, not for a page that somebody looks at. */
static void test_what_may_not_post(void **state)
{
	(void)state;
	expect_refusal("Origin: http://evil.example\r\n\r\n", 403, "web pages");
	expect_refusal("Origin: null\r\n\r\n", 403, "web pages");
	expect_refusal("Content-Length: 2\r\n\r\n{}", 413, "no body");
	/* Empty ones are none. */
	expect_refusal("Content-Length: 0\r\n\r\n", 422, "hosts");
}

static void test_answers(void **state)
{
	json_t *j;

	(void)state;
	assert_int_equal(ask("GET", "/v1/status", &j), 200);
	assert_non_null(json_object_get(j, "vms"));
	json_decref(j);
	/* Decoded before it is looked at. */
	assert_int_equal(ask("GET", "/v1/history?limit=%35&vm=w%65b1", &j), 200);
	assert_string_equal(json_string_value(json_object_get(j, "vm")), "web1");
	json_decref(j);
}

static void test_every_error_has_its_reason(void **state)
{
	static const struct {
		const char *method, *target;
		int status;
	} cases[] = {
		{ "GET", "/x", 404 },
		{ "GET", "/v1/%ff%fe", 404 },
		{ "GET", "/v1/%22%0a", 404 },
		{ "GET", "/v1/history", 400 },
		{ "GET", "/v1/history?vm", 400 },
		{ "GET", "/v1/history?vm=%c3%28", 400 },
		{ "GET", "/v1/history?vm=nobody", 404 },
		{ "GET", "/v1/plan", 422 },
		{ "GET", "/v1/plan?planner=%ff", 400 },
		{ "GET", "/v1/plan?planner=%c3%a4", 400 },
		{ "GET", "/v1/plan?strict=%80", 400 },
		{ "POST", "/v1/status", 405 },
		{ "POST", "/v1/executions", 405 },
		{ "POST", "/v1/place?vm=web1", 405 },
		{ "POST", "/v1/plan", 422 },
		{ "POST", "/v1/plan?planner=%ff", 400 },
		{ "PUT", "/v1/plan", 405 },
		{ "DELETE", "/v1/status", 405 },
		{ "GET", "/v1/executions?id=1", 404 },
		{ "GET", "/v1/executions?id=x", 400 },
	};
	json_t *j;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		assert_int_equal(ask(cases[i].method, cases[i].target, &j), cases[i].status);
		assert_true(json_string_length(json_object_get(j, "error")) > 0);
		json_decref(j);
	}
}

static void test_address_in_use(void **state)
{
	struct mb_address bound;
	struct mb_http *again = NULL;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_http_start(&api, &config, &address, &bound, &again, &err), EADDRINUSE, &err,
		     "cannot serve HTTP on tcp:127.0.0.1:");
	assert_null(again);
}

static void test_metrics(void **state)
{
	char text[65536];

	(void)state;
	assert_int_equal(take_answer(send_request("GET", "/metrics", "\r\n"), text), 200);
	assert_non_null(strstr(text, "Content-Type: text/plain; version=0.0.4"));
	assert_non_null(strstr(text, "\nmemory_buddies_vm_pages{vm=\"web1\"} 9\n"));
}

static void test_health(void **state)
{
	json_t *j;

	(void)state;
	assert_int_equal(ask("GET", "/healthz", &j), 200);
	json_decref(j);
	assert_int_equal(ask("GET", "/readyz", &j), 200);
	json_decref(j);
	mb_health_stored(&health, false);
	assert_int_equal(ask("GET", "/healthz", &j), 200);
	json_decref(j);
	assert_int_equal(ask("GET", "/readyz", &j), 503);
	assert_non_null(
		strstr(json_string_value(json_object_get(j, "error")), "could not be kept"));
	json_decref(j);
	mb_health_stored(&health, true);
	mb_health_beat(&health, mb_now_ns() - 100 * UINT64_C(1000000000));
	assert_int_equal(ask("GET", "/healthz", &j), 503);
	json_decref(j);
	mb_health_beat(&health, mb_now_ns());
}

/* Who restarts servers that do not answer must not do so in the middle of a plan. */
static void test_health_during_a_question(void **state)
{
	const struct mb_sharing_view *view;
	struct mb_err err = { 0 };
	char text[65536];
	json_t *j;
	int fds[3];

	(void)state;
	assert_ok(mb_sharing_lock(api.sharing, &view, &err), &err);
	for (int i = 0; i < 3; i++)
		fds[i] = send_request("GET", "/v1/share", "\r\n");
	assert_int_equal(ask("GET", "/healthz", &j), 200);
	json_decref(j);
	mb_sharing_unlock(api.sharing);
	for (int i = 0; i < 3; i++)
		assert_int_equal(take_answer(fds[i], text), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_every_error_has_its_reason),
		cmocka_unit_test(test_what_may_not_post),
		cmocka_unit_test(test_metrics),
		cmocka_unit_test(test_health),
		cmocka_unit_test(test_health_during_a_question),
		cmocka_unit_test(test_address_in_use),
	};

	return cmocka_run_group_tests_name("http", tests, set_up, tear_down);
}
