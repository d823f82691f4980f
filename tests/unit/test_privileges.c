// SPDX-License-Identifier: GPL-2.0-or-later
/* Each in a child: what is dropped does not come back. */
#include "agent/privileges.h"

#include <pthread.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

/* Exit code 0: good; a child must not go on with the tests. */
static void in_child(int (*run)(void))
{
	int status, pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		_exit(run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			return __LINE__ & 255 ? __LINE__ & 255 : 1;                                \
	} while (0)

/* All sets of this process as the kernel says. */
static bool holds(uint64_t permitted, uint64_t effective, uint64_t inheritable)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	return capget(&header, d) == 0 &&
	       (d[0].permitted | (uint64_t)d[1].permitted << 32) == permitted &&
	       (d[0].effective | (uint64_t)d[1].effective << 32) == effective &&
	       (d[0].inheritable | (uint64_t)d[1].inheritable << 32) == inheritable;
}

static int drop_all(void)
{
	bool could_bound = mb_privileges_has(CAP_SETPCAP);
	struct mb_err err = { 0 };

	CHECK(mb_privileges_drop(0, &err) == 0);
	CHECK(holds(0, 0, 0));
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	for (int cap = 0; cap < cap_max_bits(); cap++) {
		CHECK(!could_bound || cap_get_bound(cap) == 0);
		CHECK(!mb_privileges_has(cap));
	}
	/* What root may, and what that started could. */
	CHECK(chroot("/") == -1 && errno == EPERM);
	CHECK(sethostname("no", 2) == -1 && errno == EPERM);
	/* A second time there is nothing left to drop. */
	CHECK(mb_privileges_drop(~(uint64_t)0, &err) == 0);
	CHECK(holds(0, 0, 0));
	return 0;
}

static void test_all(void **state)
{
	(void)state;
	in_child(drop_all);
}

static int drop_some(void)
{
	const uint64_t keep = MB_CAP(SYS_PTRACE) | MB_CAP(SYS_CHROOT);
	struct mb_err err = { 0 };

	CHECK(mb_privileges_drop(keep, &err) == 0);
	CHECK(holds(keep, keep, 0));
	CHECK(mb_privileges_has(CAP_SYS_PTRACE) && !mb_privileges_has(CAP_SYS_ADMIN));
	CHECK(chroot("/") == 0);
	CHECK(sethostname("no", 2) == -1 && errno == EPERM);
	return 0;
}

static void test_some(void **state)
{
	(void)state;
	if (!mb_privileges_has(CAP_SYS_PTRACE) || !mb_privileges_has(CAP_SYS_CHROOT))
		skip();
	in_child(drop_some);
}

/* A program that root starts would have all of them. */
static int start_program(void)
{
	struct mb_err err = { 0 };

	CHECK(mb_privileges_drop(0, &err) == 0);
	execlp("grep", "grep", "-q", "^CapEff:[[:space:]]*0*$", "/proc/self/status", NULL);
	return 1;
}

static void test_not_back(void **state)
{
	(void)state;
	in_child(start_program);
}

static int ambient(void)
{
	cap_value_t chroot_cap = CAP_SYS_CHROOT;
	cap_t caps = cap_get_proc();
	struct mb_err err = { 0 };

	CHECK(cap_set_flag(caps, CAP_INHERITABLE, 1, &chroot_cap, CAP_SET) == 0);
	CHECK(cap_set_proc(caps) == 0 && cap_set_ambient(CAP_SYS_CHROOT, CAP_SET) == 0);
	cap_free(caps);
	CHECK(mb_privileges_drop(MB_CAP(SYS_CHROOT), &err) == 0);
	CHECK(cap_get_ambient(CAP_SYS_CHROOT) == 0);
	CHECK(holds(MB_CAP(SYS_CHROOT), MB_CAP(SYS_CHROOT), 0));
	return 0;
}

static void test_ambient(void **state)
{
	(void)state;
	if (!mb_privileges_has(CAP_SYS_CHROOT) || !CAP_AMBIENT_SUPPORTED())
		skip();
	in_child(ambient);
}

static void *wait_for_end(void *go)
{
	char c;

	return read(*(int *)go, &c, 1) < 0 ? go : NULL;
}

static void test_threads(void **state)
{
	struct mb_err err = { 0 };
	pthread_t thread;
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pthread_create(&thread, NULL, wait_for_end, &ends[0]), 0);
	assert_fails(mb_privileges_drop(0, &err), EBUSY, &err, "threads");
	close(ends[1]);
	pthread_join(thread, NULL);
	close(ends[0]);
}

static int missing(void)
{
	char text[512];
	struct mb_err err = { 0 };

	CHECK(mb_privileges_drop(0, &err) == 0);
	CHECK(!strcmp(mb_privileges_missing(0, text, sizeof(text)), ""));
	mb_privileges_missing(MB_CAP(SYS_ADMIN) | MB_CAP(SYS_PTRACE), text, sizeof(text));
	CHECK(!strcmp(text, "CAP_SYS_PTRACE (/proc/PID/pagemap of other processes), "
			    "CAP_SYS_ADMIN (frames in /proc/PID/pagemap)"));
	/* In old kernels it is another that is missing. */
	mb_privileges_missing(MB_CAP(BPF), text, sizeof(text));
	CHECK(!strcmp(text, cap_max_bits() > CAP_BPF ?
				    "CAP_BPF (what BPF programs have counted)" :
				    "CAP_SYS_ADMIN (what BPF programs have counted)"));
	mb_privileges_missing(MB_CAP(SYS_CHROOT), text, sizeof(text));
	CHECK(!strcmp(text, "CAP_SYS_CHROOT"));
	/* Cut, never overrun. */
	mb_privileges_missing(~(uint64_t)0, text, 20);
	CHECK(strlen(text) == 19);
	return 0;
}

static void test_missing(void **state)
{
	(void)state;
	in_child(missing);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),	 cmocka_unit_test(test_some),
		cmocka_unit_test(test_not_back), cmocka_unit_test(test_ambient),
		cmocka_unit_test(test_threads),	 cmocka_unit_test(test_missing),
	};

	return cmocka_run_group_tests_name("privileges", tests, NULL, NULL);
}
