// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/supervisor.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

static int at = -1;

/* As systemd listens; at an abstract address, which leaves nothing behind. */
static int set_up(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char name[64];
	int n = snprintf(name, sizeof(name), "@mb-test-supervisor-%d", (int)getpid());

	(void)state;
	memcpy(a.sun_path, name, (size_t)n);
	a.sun_path[0] = 0;
	at = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(at >= 0);
	assert_int_equal(bind(at, (const struct sockaddr *)&a,
			      (socklen_t)(offsetof(struct sockaddr_un, sun_path) + (size_t)n)),
			 0);
	return setenv("NOTIFY_SOCKET", name, 1);
}

static int tear_down(void **state)
{
	(void)state;
	close(at);
	return unsetenv("NOTIFY_SOCKET");
}

static void hears(const char *want)
{
	char text[1024];
	ssize_t n = recv(at, text, sizeof(text) - 1, 0);

	assert_true(n > 0);
	text[n] = 0;
	assert_string_equal(text, want);
}

static void hears_no_more(void)
{
	char text[16];

	assert_int_equal(recv(at, text, sizeof(text), 0), -1);
}

static void test_words(void **state)
{
	struct mb_supervisor s = { 0 };
	char longer[2 * MB_SUPERVISOR_BYTES], want[MB_SUPERVISOR_BYTES + 7];
	struct mb_err err = { 0 };

	(void)state;
	assert_true(mb_supervisor_waits());
	mb_supervisor_does(&s, "%d VMs", 3);
	hears("STATUS=3 VMs");
	/* Once is enough. */
	mb_supervisor_does(&s, "%d VMs", 3);
	hears_no_more();
	mb_supervisor_does(&s, "%d VMs", 4);
	hears("STATUS=4 VMs");
	assert_ok(mb_supervisor_ready(&err), &err);
	hears("READY=1");
	/* A name with a line of its own is no other word. */
	mb_supervisor_does(&s, "%s", "a\nREADY=1\x7f");
	hears("STATUS=a?READY=1?");
	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = 0;
	mb_supervisor_does(&s, "%s", longer);
	snprintf(want, sizeof(want), "STATUS=%.*s", MB_SUPERVISOR_BYTES - 1, longer);
	hears(want);
	mb_supervisor_stops(&s, "Ending");
	hears("STOPPING=1");
	hears("STATUS=Ending");
	hears_no_more();
}

/* What was not heard is said again. */
static void test_nobody_hears(void **state)
{
	struct mb_supervisor s = { 0 };
	struct mb_err err = { 0 };
	const char *name = getenv("NOTIFY_SOCKET");
	char before[64];

	(void)state;
	snprintf(before, sizeof(before), "%s", name);
	setenv("NOTIFY_SOCKET", "@mb-test-nobody-there", 1);
	mb_supervisor_does(&s, "here");
	assert_fails(mb_supervisor_ready(&err), ECONNREFUSED, &err, "NOTIFY_SOCKET");
	setenv("NOTIFY_SOCKET", before, 1);
	mb_supervisor_does(&s, "here");
	hears("STATUS=here");
	/* No systemd: no words, and no failure. */
	unsetenv("NOTIFY_SOCKET");
	assert_false(mb_supervisor_waits());
	mb_supervisor_does(&s, "there");
	assert_ok(mb_supervisor_ready(&err), &err);
	mb_supervisor_stops(&s, "Ending");
	hears_no_more();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_words, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_hears, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("supervisor", tests, NULL, NULL);
}
