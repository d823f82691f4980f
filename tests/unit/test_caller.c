// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/caller.h"

#include <grp.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/uri.h"
#include "tests/unit/util_pki.h"

static void test_tokens(void **state)
{
	struct mb_token list[2] = { { "ann", MB_ROLE_READ, { 0 } },
				    { "bob", MB_ROLE_APPLY, { 0 } } };
	struct mb_tokens t = { list, 2 };
	char longer[2000];
	struct mb_caller c;

	(void)state;
	mb_token_hash("secret", list[1].hash);
	mb_caller_by_token(&t, "Bearer secret", &c);
	assert_int_equal(c.role, MB_ROLE_APPLY);
	assert_string_equal(c.who, "token bob");
	assert_false(c.strange);
	mb_caller_by_token(&t, "bearer secret", &c);
	assert_int_equal(c.role, MB_ROLE_APPLY);
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "Bearer ", 7);
	longer[sizeof(longer) - 1] = 0;
	for (int i = 0; i < 6; i++) {
		const char *const bad[] = { NULL,	    "",	   "secret", "Basic secret",
					    "Bearer wrong", longer };

		mb_caller_by_token(&t, bad[i], &c);
		assert_int_equal(c.role, MB_ROLE_NONE);
		assert_true(c.strange);
	}
	/* Without tokens: on loopback, and nothing that the dry mover does moves anything. */
	mb_caller_by_token(NULL, NULL, &c);
	assert_int_equal(c.role, MB_ROLE_APPLY);
	assert_false(c.strange);
}

static void judge(const struct mb_tls *tls, const char *pem, struct mb_caller *ret)
{
	struct mb_buf der = { 0 };
	struct mb_slice chain;

	pki_der(pem, &der);
	chain = mb_buf_slice(&der);
	mb_caller_by_certificate(tls, &chain, 1, ret);
	mb_buf_deinit(&der);
}

static void expect_strange(const struct mb_tls *tls, const char *pem, const char *why)
{
	struct mb_caller c;

	judge(tls, pem, &c);
	assert_true(c.strange);
	assert_int_equal(c.role, MB_ROLE_NONE);
	assert_string_equal(c.who, "anyone");
	assert_string_equal(c.why, why);
}

static void test_certificates(void **state)
{
	static const char *const roles[] = { "read", "plan", "apply" };
	char server[128], crl[128], pem[128];
	const struct mb_tls_files files = { .cert = server, .crl = crl };
	const struct mb_slice nonsense = { (const uint8_t *)"nonsense", 8 };
	struct mb_tls *tls = NULL;
	struct mb_err err = { 0 };
	struct mb_caller c;

	(void)state;
	pki_init("ours");
	pki_init("theirs");
	pki_server("ours", "server", "127.0.0.1", server);
	pki_path("ours", "crl.pem", crl);
	assert_ok(mb_tls_create(true, &files, &tls, &err), &err);
	for (int i = 0; i < 3; i++) {
		char name[32], who[60];

		snprintf(name, sizeof(name), "ann-%s", roles[i]);
		snprintf(who, sizeof(who), "certificate %s", name);
		pki_operator("ours", name, roles[i], pem);
		judge(tls, pem, &c);
		assert_false(c.strange);
		assert_int_equal(c.role, mb_role_parse(roles[i]));
		assert_string_equal(c.who, who);
	}
	/* An agent's gives no role, a server's is for no client, whatever it says. */
	pki_agent("ours", "web", "*", pem);
	expect_strange(tls, pem, "certificate of \"web\" names no role");
	expect_strange(tls, server, "certificate of \"server\": unsuitable certificate purpose");
	pki_operator("theirs", "eve", "apply", pem);
	expect_strange(tls, pem, "certificate of \"eve\": unable to get local issuer certificate");
	pki_operator("ours", "gone", "apply", pem);
	pki_revoke("ours", "gone");
	judge(tls, pem, &c);
	assert_int_equal(c.role, MB_ROLE_APPLY);
	assert_ok(mb_tls_reload(tls, &err), &err);
	expect_strange(tls, pem, "certificate of \"gone\": certificate revoked");
	mb_caller_by_certificate(tls, &nonsense, 1, &c);
	assert_true(c.strange);
	assert_int_equal(c.role, MB_ROLE_NONE);
	mb_caller_by_certificate(tls, NULL, 0, &c);
	assert_true(c.strange);
	mb_tls_destroy(tls);
}

static void test_socket(void **state)
{
	struct mb_caller c;
	int fds[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	mb_caller_by_socket(fds[0], MB_NO_GROUP, &c);
	assert_int_equal(c.role, MB_ROLE_APPLY);
	assert_false(c.strange);
	close(fds[0]);
	close(fds[1]);
	mb_caller_by_socket(-1, MB_NO_GROUP, &c);
	assert_int_equal(c.role, MB_ROLE_NONE);
	assert_true(c.strange);
}

/* One of another user and these groups connects, and waits until it was looked at. */
static void ask_as(const struct mb_address *a, int listener, uid_t uid, gid_t gid, gid_t more,
		   gid_t readers, struct mb_caller *ret)
{
	pid_t pid = fork();
	int fd, status;

	assert_true(pid >= 0);
	if (pid == 0) {
		char c;

		fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (setgroups(1, &more) < 0 || setgid(gid) < 0 || setuid(uid) < 0 ||
		    connect(fd, &a->sa, a->len) < 0)
			_exit(1);
		_exit(read(fd, &c, 1) == 0 ? 0 : 2);
	}
	fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	mb_caller_by_socket(fd, readers, ret);
	close(fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_other_users(void **state)
{
	struct mb_address a = { .un.sun_family = AF_UNIX };
	struct mb_caller c;
	int listener;

	(void)state;
	if (geteuid() != 0)
		skip(); /* only root can be somebody else */
	/* Abstract: no file's mode is in the way. */
	a.len = (socklen_t)(sizeof(a.un.sun_family) + 1 +
			    (size_t)snprintf(a.un.sun_path + 1, 60, "mbcaller.%d", getpid()));
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, &a.sa, a.len), 0);
	assert_int_equal(listen(listener, 5), 0);
	ask_as(&a, listener, 12345, 12345, 777, MB_NO_GROUP, &c);
	assert_int_equal(c.role, MB_ROLE_NONE);
	assert_string_equal(c.who, "uid 12345");
	ask_as(&a, listener, 12345, 12345, 777, 778, &c);
	assert_int_equal(c.role, MB_ROLE_NONE);
	ask_as(&a, listener, 12345, 12345, 777, 777, &c);
	assert_int_equal(c.role, MB_ROLE_READ);
	ask_as(&a, listener, 12345, 778, 777, 778, &c);
	assert_int_equal(c.role, MB_ROLE_READ);
	close(listener);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tokens),
		cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_socket),
		cmocka_unit_test(test_other_users),
	};

	return cmocka_run_group_tests_name("caller", tests, NULL, NULL);
}
