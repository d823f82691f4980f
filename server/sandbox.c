// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/sandbox.h"

#include <asm/termbits.h>
#include <grp.h>
#include <pwd.h>
#include <sched.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

/* FIONREAD and FIONBIO; <sys/ioctl.h> does not go with <asm/termbits.h>. */
#include <asm/ioctls.h>

int mb_sandbox_become(const char *user, struct mb_err *err)
{
	const struct passwd *pw;

	errno = 0;
	pw = getpwnam(user);
	if (!pw)
		return errno ? mb_fail(err, errno, "user \"%s\": %m", user) :
			       mb_fail(err, ENOENT, "no user \"%s\"", user);
	if (geteuid() == pw->pw_uid && getuid() == pw->pw_uid)
		return 0;
	if (geteuid() != 0)
		return mb_fail(err, EPERM, "only root can become user \"%s\"", user);
	if (initgroups(user, pw->pw_gid) < 0 || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) < 0 ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid) < 0)
		return mb_fail(err, errno, "user \"%s\": %m", user);
	/* No way back, unless root is what was asked for. */
	if (pw->pw_uid && setuid(0) == 0)
		return mb_fail(err, EPERM, "user \"%s\": root again", user);
	return 0;
}

/* --- calls ------------------------------------------------------------------------------------ */

/*
 * What glibc, SQLite, libevent, libmicrohttpd, OpenSSL, GnuTLS and we use while serving, under all
 * the names that kernels and architectures have for it; a name that this one lacks is no matter.
 * Not there on purpose: execve, fork, ptrace, socket (but below), connect, bind, listen, kill,
 * mount, chmod by name, rename, link, and executable memory.
 */
static const char *const allowed[] = {
	/* Descriptors that are there. */
	"read write readv writev pread64 pwrite64 preadv pwritev lseek _llseek close close_range",
	"dup dup3 fcntl fcntl64 fstat fstat64 fstatfs fstatfs64 fsync fdatasync",
	"ftruncate ftruncate64 fallocate fadvise64 flock fchmod fchown",
	/* Files. */
	"open openat stat stat64 lstat lstat64 newfstatat fstatat64 statx access faccessat",
	"faccessat2 readlink readlinkat unlink unlinkat getcwd umask",
	/* Connections. */
	"accept accept4 recvfrom recvmsg recv sendto sendmsg send shutdown getsockname",
	"getpeername getsockopt setsockopt",
	/* Waiting. */
	"poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64 epoll_create1",
	"epoll_ctl epoll_wait epoll_pwait epoll_pwait2 eventfd2 pipe2 nanosleep",
	"clock_nanosleep clock_nanosleep_time64 restart_syscall",
	/* Threads and signals. */
	"futex futex_time64 set_robust_list rseq sched_yield sched_getaffinity",
	"set_tid_address membarrier rt_sigaction rt_sigprocmask rt_sigreturn sigreturn",
	"sigaltstack tgkill exit exit_group",
	/* Memory; not executable: below. */
	"brk munmap mremap madvise",
	/* Time, numbers and names. */
	"clock_gettime clock_gettime64 clock_getres clock_getres_time64 gettimeofday time",
	"getrandom getpid getppid gettid getuid geteuid getgid getegid getuid32 geteuid32",
	"getgid32 getegid32 getrusage getrlimit ugetrlimit sysinfo times uname",
#ifdef __SANITIZE_ADDRESS__
	/* Leaks are looked for, at the end, from a process beside that stops all threads. */
	"clone ptrace wait4 prctl getdents getdents64 prlimit64 kill",
#endif
};

struct rule {
	const char *call;
	struct scmp_arg_cmp when; /* argument, how it compares, with what */
};

static int allow(scmp_filter_ctx *filter, const char *call, const struct scmp_arg_cmp *when,
		 struct mb_err *err)
{
	int nr = seccomp_syscall_resolve_name(call), r;

	if (nr == __NR_SCMP_ERROR)
		return 0;
	r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, nr, when ? 1 : 0, when);
	return r < 0 ? mb_fail(err, -r, "seccomp: %s: %s", call, strerror(-r)) : 0;
}

/* Names with a space between each two. */
static int allow_all(scmp_filter_ctx *filter, const char *calls, struct mb_err *err)
{
	char names[128], *rest = names, *name;
	int r = 0;

	snprintf(names, sizeof(names), "%s", calls);
	while (r == 0 && (name = strsep(&rest, " ")))
		r = allow(filter, name, NULL, err);
	return r;
}

static int add_rules(scmp_filter_ctx *filter, struct mb_err *err)
{
	const struct rule rules[] = {
		/* Threads, no processes. */
		{ "clone", { 0, SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD } },
		/* How much is there to read; whether standard error is a terminal. */
		{ "ioctl", { 1, SCMP_CMP_EQ, FIONREAD, 0 } },
		{ "ioctl", { 1, SCMP_CMP_EQ, FIONBIO, 0 } },
		{ "ioctl", { 1, SCMP_CMP_EQ, TCGETS, 0 } },
		{ "mmap", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ "mmap2", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ "mprotect", { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } },
		{ "prctl", { 0, SCMP_CMP_EQ, PR_SET_NAME, 0 } },
		/* Its own limits, to read. */
		{ "prlimit64", { 2, SCMP_CMP_EQ, 0, 0 } },
	};
	int r = 0;

	for (size_t i = 0; i < MB_ARRAY_LEN(allowed) && r == 0; i++)
		r = allow_all(filter, allowed[i], err);
	for (size_t i = 0; i < MB_ARRAY_LEN(rules) && r == 0; i++)
		r = allow(filter, rules[i].call, &rules[i].when, err);
	if (r < 0)
		return r;
	/* Its flags are in memory, where a filter cannot look: glibc falls back to clone. */
	r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
	return r < 0 ? mb_fail(err, -r, "seccomp: clone3: %s", strerror(-r)) : 0;
}

/* Of sockets just these. Whom they send to a filter cannot see: that is in memory. */
static int allow_datagrams(scmp_filter_ctx *filter, struct mb_err *err)
{
	const struct scmp_arg_cmp when[] = { { 0, SCMP_CMP_EQ, AF_UNIX, 0 },
					     { 1, SCMP_CMP_EQ, SOCK_DGRAM | SOCK_CLOEXEC, 0 },
					     { 2, SCMP_CMP_EQ, 0, 0 } };
	int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), MB_ARRAY_LEN(when),
				       when);

	return r < 0 ? mb_fail(err, -r, "seccomp: socket: %s", strerror(-r)) : 0;
}

static void release(scmp_filter_ctx *filter)
{
	if (*filter)
		seccomp_release(*filter);
}

int mb_sandbox_close(enum mb_sandbox how, bool notifies, struct mb_err *err)
{
	mb_cleanup(release) scmp_filter_ctx filter = NULL;
	int r;

	if (how == MB_SANDBOX_OFF)
		return 0;
	filter = seccomp_init(how == MB_SANDBOX_KILL ? SCMP_ACT_KILL_PROCESS :
						       SCMP_ACT_ERRNO(EPERM));
	if (!filter)
		return mb_fail_mem(err, "seccomp");
	if ((r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1)) < 0 ||
	    (r = seccomp_attr_set(filter, SCMP_FLTATR_CTL_LOG, 1)) < 0)
		return mb_fail(err, -r, "seccomp: not on this kernel: %s", strerror(-r));
	if ((r = add_rules(filter, err)) < 0 ||
	    (notifies && (r = allow_datagrams(filter, err)) < 0))
		return r;
	r = seccomp_load(filter);
	return r < 0 ? mb_fail(err, -r, "seccomp: %s", strerror(-r)) : 0;
}
