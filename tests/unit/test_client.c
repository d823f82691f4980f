// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/ctl/client.h"

/* A server that gives one answer to one connection and keeps the question. */
struct server {
	int fd;
	const char *answer;
	char url[64], question[512];
	pthread_t thread;
};

static void *serve(void *arg)
{
	struct server *s = arg;
	int fd = accept(s->fd, NULL, NULL);
	size_t n = 0;
	ssize_t got;

	while (n < sizeof(s->question) - 1 && !strstr(s->question, "\r\n\r\n")) {
		got = read(fd, s->question + n, sizeof(s->question) - 1 - n);
		if (got <= 0)
			break;
		n += (size_t)got;
		s->question[n] = 0;
	}
	if (write(fd, s->answer, strlen(s->answer)) < 0)
		s->question[0] = 0;
	close(fd);
	return NULL;
}

static void listen_on_any_port(struct server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(a);

	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(s->fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(s->fd, 1), 0);
	assert_int_equal(getsockname(s->fd, (struct sockaddr *)&a, &n), 0);
	snprintf(s->url, sizeof(s->url), "http://127.0.0.1:%d/", ntohs(a.sin_port));
}

static int ask_by(__typeof__(mb_ctl_get) *how, const char *answer, char question[512], json_t **ret,
		  struct mb_err *err)
{
	struct server s = { .answer = answer };
	int r;

	listen_on_any_port(&s);
	assert_int_equal(pthread_create(&s.thread, NULL, serve, &s), 0);
	r = how(s.url, "/v1/x",
		(const struct mb_ctl_param[]){
			{ "vm", "a b&c=d/\303\244" }, { "limit", "3" }, { NULL, NULL } },
		ret, err);
	pthread_join(s.thread, NULL);
	close(s.fd);
	if (question)
		memcpy(question, s.question, sizeof(s.question));
	return r;
}

static int ask(const char *answer, char question[512], json_t **ret, struct mb_err *err)
{
	return ask_by(mb_ctl_get, answer, question, ret, err);
}

#define ANSWER(status, body) "HTTP/1.1 " status "\r\nConnection: close\r\n\r\n" body

static void test_asks_and_gets(void **state)
{
	struct mb_err err = { 0 };
	char question[512];
	json_t *j;

	(void)state;
	assert_ok(ask(ANSWER("200 OK", "{\"a\":1}\n"), question, &j, &err), &err);
	assert_int_equal(json_integer_value(json_object_get(j, "a")), 1);
	json_decref(j);
	assert_non_null(
		strstr(question, "GET /v1/x?vm=a%20b%26c%3Dd%2F%C3%A4&limit=3 HTTP/1.1\r\n"));
}

static void test_posts(void **state)
{
	struct mb_err err = { 0 };
	char question[512];
	json_t *j;

	(void)state;
	assert_ok(ask_by(mb_ctl_post, ANSWER("200 OK", "{}"), question, &j, &err), &err);
	json_decref(j);
	/* Parameters as ever, and no body. */
	assert_non_null(strstr(question, "POST /v1/x?vm=a%20b%26c%3Dd%2F%C3%A4&limit=3 HTTP"));
	assert_non_null(strstr(question, "Content-Length: 0\r\n"));
}

static void test_says_what_the_server_says(void **state)
{
	struct mb_err err = { 0 };
	json_t *j;

	(void)state;
	assert_fails(ask(ANSWER("400 Bad", "{\"error\":\"no planner \\\"x\\\"\"}"), NULL, &j, &err),
		     EREMOTEIO, &err, "server: no planner \"x\"");
	assert_fails(ask(ANSWER("503 Busy", "<html>"), NULL, &j, &err), EBADMSG, &err,
		     "HTTP status 503");
	assert_fails(ask(ANSWER("302 Found", ""), NULL, &j, &err), EBADMSG, &err,
		     "HTTP status 302");
	assert_null(j);
}

static void test_refuses_other_answers(void **state)
{
	struct mb_err err = { 0 };
	json_t *j;

	(void)state;
	assert_fails(ask(ANSWER("200 OK", ""), NULL, &j, &err), EBADMSG, &err, "not JSON");
	assert_fails(ask(ANSWER("200 OK", "{\"a\":"), NULL, &j, &err), EBADMSG, &err, "not JSON");
	assert_fails(ask(ANSWER("200 OK", "[1]"), NULL, &j, &err), EBADMSG, &err,
		     "not a JSON object");
	assert_fails(ask("SSH-2.0-x\r\n", NULL, &j, &err), EIO, &err,
		     "server at http://127.0.0.1:");
	/* Ends before the length it named. */
	assert_fails(ask("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}", NULL, &j, &err), EIO,
		     &err, "server at");
}

static void test_nobody_there(void **state)
{
	struct server s = { 0 };
	struct mb_err err = { 0 };
	json_t *j;

	(void)state;
	listen_on_any_port(&s);
	close(s.fd);
	assert_fails(mb_ctl_get(s.url, "/v1/status", NULL, &j, &err), ECONNREFUSED, &err,
		     "is mbserver running? --server URL");
	assert_fails(mb_ctl_get("http://no-such-host.invalid", "/", NULL, &j, &err), EIO, &err,
		     "no-such-host.invalid");
}

static void test_server_url(void **state)
{
	static const char *const good[] = { "http://h", "https://h:1", "http://[::1]:9877/",
					    "http://h/prefix" };
	static const char *const bad[] = {
		"",	     "h:9877",	     "ftp://h",	   "http://",
		"http:///x", "http://h?a=b", "http://h#a", "file:///etc"
	};
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_ok(mb_ctl_server_check(good[i], &err), &err);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_fails(mb_ctl_server_check(bad[i], &err), EINVAL, &err, "not a URL such as");
	unsetenv("MBCTL_SERVER");
	assert_string_equal(mb_ctl_server(NULL), MB_CTL_SERVER_DEFAULT);
	setenv("MBCTL_SERVER", "http://x", 1);
	assert_string_equal(mb_ctl_server(NULL), "http://x");
	assert_string_equal(mb_ctl_server("http://y"), "http://y");
	setenv("MBCTL_SERVER", "", 1);
	assert_string_equal(mb_ctl_server(NULL), MB_CTL_SERVER_DEFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_asks_and_gets),
		cmocka_unit_test(test_posts),
		cmocka_unit_test(test_says_what_the_server_says),
		cmocka_unit_test(test_refuses_other_answers),
		cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_server_url),
	};

	return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
