// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/sandbox.h"

#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

#ifdef __SANITIZE_ADDRESS__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

/* Runs it in a process of its own; its exit code, or minus the signal that ended it. */
static int in_child(int (*run)(void))
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (!pid)
		_exit(run());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* --- what is refused: each returns as its call does ------------------------------------------- */

static long call_exec(void)
{
	char *const args[] = { (char[]){ "true" }, NULL };

	return execve("/bin/true", args, NULL);
}

static long call_fork(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long call_ptrace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

static long call_packet_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW, 0);
}

static long call_tcp_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long call_unix_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM, 0);
}

static long call_connect(void)
{
	const struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9) };

	return connect(0, (const struct sockaddr *)&a, sizeof(a));
}

static long call_listen(void)
{
	return listen(0, 1);
}

static long call_kill(void)
{
	return kill(getppid(), 0);
}

static long call_executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED ?
		       -1 :
		       0;
}

static long call_make_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? 0 : mprotect(p, 4096, PROT_READ | PROT_EXEC);
}

static long call_chmod(void)
{
	return chmod("/tmp", 01777);
}

static long call_rename(void)
{
	return rename("/tmp/none", "/tmp/other");
}

static long call_mount(void)
{
	return mount("none", "/tmp/none", "tmpfs", 0, NULL);
}

static long call_bpf(void)
{
	return syscall(SYS_bpf, 0, NULL, 0);
}

static long call_io_uring(void)
{
	return syscall(SYS_io_uring_setup, 1, NULL);
}

static long call_terminal(void)
{
	return ioctl(0, TIOCSTI, "x");
}

static long call_prctl(void)
{
	return prctl(PR_SET_DUMPABLE, 1);
}

static long call_set_limit(void)
{
	const uint64_t limit[2] = { 1024, 1024 };

	return syscall(SYS_prlimit64, 0, 7, limit, NULL);
}

static const struct {
	const char *name;
	long (*call)(void);
	bool sanitizer_needs_it;
} refused[] = {
	{ "execve", call_exec, false },
	{ "clone", call_fork, true },
	{ "ptrace", call_ptrace, true },
	{ "socket(AF_PACKET)", call_packet_socket, false },
	{ "socket(AF_INET)", call_tcp_socket, false },
	{ "socket(AF_UNIX)", call_unix_socket, false },
	{ "connect", call_connect, false },
	{ "listen", call_listen, false },
	{ "kill", call_kill, true },
	{ "mmap(PROT_EXEC)", call_executable_memory, false },
	{ "mprotect(PROT_EXEC)", call_make_executable, false },
	{ "chmod", call_chmod, false },
	{ "rename", call_rename, false },
	{ "mount", call_mount, false },
	{ "bpf", call_bpf, false },
	{ "io_uring_setup", call_io_uring, false },
	{ "ioctl(TIOCSTI)", call_terminal, false },
	{ "prctl", call_prctl, true },
	{ "prlimit64", call_set_limit, true },
};

static size_t at; /* which of them is tried */

static int try_one(void)
{
	struct mb_err err = { 0 };

	if (mb_sandbox_close(MB_SANDBOX_REFUSE, false, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	errno = 0;
	return refused[at].call() == -1 && errno == EPERM ? 0 : 1;
}

static void test_refused(void **state)
{
	(void)state;
	for (at = 0; at < MB_ARRAY_LEN(refused); at++) {
		int code;

		if (SANITIZED && refused[at].sanitizer_needs_it)
			continue;
		code = in_child(try_one);
		if (code)
			fail_msg("%s: %d", refused[at].name, code);
	}
}

static int try_kill(void)
{
	struct mb_err err = { 0 };

	if (mb_sandbox_close(MB_SANDBOX_KILL, false, &err) < 0)
		return 2;
	call_unix_socket();
	return 0;
}

static int try_off(void)
{
	struct mb_err err = { 0 };

	return mb_sandbox_close(MB_SANDBOX_OFF, false, &err) == 0 && call_unix_socket() >= 0 &&
			       prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 ?
		       0 :
		       1;
}

/* Words to systemd, each by a socket of its own; no other socket, and no connection. */
static int try_notify(void)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX, .sun_path = "@mb-test-sandbox" };
	socklen_t n = offsetof(struct sockaddr_un, sun_path) + 16;
	int fd, own = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct mb_err err = { 0 };

	to.sun_path[0] = 0;
	if (own < 0 || bind(own, (const struct sockaddr *)&to, n) < 0 ||
	    mb_sandbox_close(MB_SANDBOX_REFUSE, true, &err) < 0)
		return 2;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, "x", 1, 0, (const struct sockaddr *)&to, n) != 1)
		return 3;
	if (connect(fd, (const struct sockaddr *)&to, n) == 0 ||
	    bind(fd, (const struct sockaddr *)&to, n) == 0 || errno != EPERM)
		return 4;
	return call_unix_socket() < 0 && call_tcp_socket() < 0 && call_packet_socket() < 0 &&
			       socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 &&
			       socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0 ?
		       0 :
		       5;
}

static void test_notify(void **state)
{
	(void)state;
	assert_int_equal(in_child(try_notify), 0);
}

static void test_how(void **state)
{
	(void)state;
	assert_int_equal(in_child(try_kill), -SIGSYS);
	assert_int_equal(in_child(try_off), 0);
}

/* --- threads ---------------------------------------------------------------------------------- */

static pthread_barrier_t closed;

static void *early_thread(void *ret)
{
	pthread_barrier_wait(&closed);
	*(bool *)ret = call_unix_socket() == -1 && errno == EPERM;
	return NULL;
}

static void *late_thread(void *ret)
{
	*(bool *)ret = call_unix_socket() == -1 && errno == EPERM;
	return NULL;
}

static int try_threads(void)
{
	bool early = false, late = false;
	pthread_t a, b;
	struct mb_err err = { 0 };

	pthread_barrier_init(&closed, NULL, 2);
	if (pthread_create(&a, NULL, early_thread, &early) != 0 ||
	    mb_sandbox_close(MB_SANDBOX_REFUSE, false, &err) < 0)
		return 2;
	pthread_barrier_wait(&closed);
	if (pthread_create(&b, NULL, late_thread, &late) != 0)
		return 3;
	pthread_join(a, NULL);
	pthread_join(b, NULL);
	return early && late ? 0 : 1;
}

/* Those that run already too, and a server may still start some. */
static void test_all_threads(void **state)
{
	(void)state;
	assert_int_equal(in_child(try_threads), 0);
}

static bool has_line(const char *path, const char *line)
{
	char text[8192] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	close(fd);
	return n > 0 && strstr(text, line);
}

static int try_allowed(void)
{
	char path[] = "/tmp/mbsandbox.XXXXXX", byte = 'x';
	int fd = mkstemp(path), again, n;
	struct mb_err err = { 0 };
	struct stat st;
	void *memory;

	if (mb_sandbox_close(MB_SANDBOX_REFUSE, false, &err) < 0)
		return 1;
	again = open(path, O_RDWR | O_CLOEXEC);
	memory = malloc(64 << 20);
	if (fd < 0 || again < 0 || !memory || write(again, &byte, 1) != 1 || fsync(again) < 0 ||
	    fstat(fd, &st) < 0 || st.st_size != 1 || ioctl(fd, FIONREAD, &n) < 0 || n != 1 ||
	    unlink(path) < 0)
		return 2;
	free(memory);
	return has_line("/proc/self/status", "NoNewPrivs:\t1\n") &&
			       has_line("/proc/self/status", "Seccomp:\t2\n") ?
		       0 :
		       3;
}

static void test_allowed(void **state)
{
	(void)state;
	assert_int_equal(in_child(try_allowed), 0);
}

/* --- users ------------------------------------------------------------------------------------ */

static int try_become(void)
{
	const struct passwd *pw = getpwnam("nobody");
	struct mb_err err = { 0 };
	uid_t uid = pw->pw_uid;
	gid_t gid = pw->pw_gid, groups[8], another = 4711;
	int n;

	if (setgroups(1, &another) < 0)
		return 7;
	if (mb_sandbox_become("nobody", &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	n = getgroups(8, groups);
	for (int i = 0; i < n; i++)
		if (groups[i] == 0 || groups[i] == another)
			return 2;
	if (getuid() != uid || geteuid() != uid || getgid() != gid || getegid() != gid)
		return 3;
	if (setuid(0) == 0 || seteuid(0) == 0 || setgid(0) == 0)
		return 4;
	/* Again is fine, another is not. */
	if (mb_sandbox_become("nobody", &err) < 0 || mb_sandbox_become("root", &err) != -EPERM)
		return 5;
	return strstr(err.text, "only root") ? 0 : 6;
}

static void test_become(void **state)
{
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_sandbox_become("no-such-user-here", &err), ENOENT, &err, "no user");
	assert_ok(mb_sandbox_become(getpwuid(geteuid())->pw_name, &err), &err);
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(try_become), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused), cmocka_unit_test(test_notify),
		cmocka_unit_test(test_how),	cmocka_unit_test(test_all_threads),
		cmocka_unit_test(test_allowed), cmocka_unit_test(test_become),
	};

	return cmocka_run_group_tests_name("sandbox", tests, NULL, NULL);
}
