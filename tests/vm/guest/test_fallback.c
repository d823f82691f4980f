// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is missing is told, and the next tracker is taken: `mbagent check` says which it would be
 * and why no better one, `mbagent run` takes it, says the same and brings its epochs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_file.h"
#include "util_test.h"

#define OUT   "/tmp/fallback.out"
#define EMPTY "/tmp/fallback.empty"
#define BTF   "/tmp/fallback.btf"

/* Each makes one thing impossible for this process, which is about to become mbagent. */

static void nothing(void)
{
}

static void no_bpf(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(125);
}

static void hide(const char *path)
{
	int fd = open(EMPTY, O_WRONLY | O_CREAT, 0600);

	if (fd < 0 || unshare(CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount(EMPTY, path, NULL, MS_BIND, NULL) < 0)
		_exit(125);
	close(fd);
}

static void no_btf(void)
{
	hide("/sys/kernel/btf/vmlinux");
}

/* As where the kernel is built without: it takes what is written, and nothing happens. */
static void no_soft_dirty(void)
{
	char path[40];

	snprintf(path, sizeof(path), "/proc/%d/clear_refs", (int)getpid());
	hide(path);
}

static void neither(void)
{
	no_soft_dirty();
	no_bpf();
}

static void no_admin(void)
{
	if (prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) < 0)
		_exit(125);
}

static const struct {
	const char *name;
	void (*make)(void);
	const char *taken; /* what auto takes */
	/* What check must say of those before; NULL: nothing. */
	const char *bpf, *softdirty;
	bool types; /* the kernel's types are given as a file */
} cases[] = {
	{ "nothing missing", nothing, "bpf", NULL, NULL, false },
	{ "bpf() refused", no_bpf, "softdirty", "not permitted", NULL, false },
	{ "no BTF", no_btf, "softdirty", "BTF", NULL, false },
	{ "no BTF, but in a file", no_btf, "bpf", NULL, NULL, true },
	{ "no soft-dirty bits", no_soft_dirty, "none", "CONFIG_MEM_SOFT_DIRTY",
	  "CONFIG_MEM_SOFT_DIRTY", false },
	{ "neither", neither, "none", "not permitted", "CONFIG_MEM_SOFT_DIRTY", false },
};

/* Starts mbagent so; what it says goes to OUT. */
static int start(void (*make)(void), char *const *words)
{
	int pid;

	unlink(OUT);
	pid = fork();
	if (pid < 0)
		fail_errno("fork");
	if (!pid) {
		int out = open(OUT, O_WRONLY | O_CREAT | O_TRUNC, 0600);

		if (out < 0 || dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0)
			_exit(125);
		make();
		execvp(words[0], words);
		_exit(125);
	}
	return pid;
}

/* To its end; its exit code. */
static int run(void (*make)(void), char *const *words)
{
	int status, pid = start(make, words);

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		fail("%s %s has not come to its end", words[0], words[1]);
	return WEXITSTATUS(status);
}

static char text[1 << 14];

static char *line_with(const char *begin)
{
	for (char *at = text; at && *at; at = strchr(at, '\n')) {
		at += *at == '\n';
		if (strncmp(at, begin, strlen(begin)) == 0)
			return at;
	}
	fail("no line \"%s\" in: %s", begin, text);
}

/* A row of check's table: yes or no, and why. */
static void check_row(const char *tracker, const char *reason, bool taken)
{
	char begin[64], row[1200];
	char *at, *end;

	snprintf(begin, sizeof(begin), "tracker  %s ", tracker);
	at = line_with(begin);
	end = strchr(at, '\n');
	snprintf(row, sizeof(row), "%.*s", (int)(end ? end - at : (ptrdiff_t)strlen(at)), at);
	say("%s", row);
	if (reason ? !strstr(row, " no ") || !strstr(row, reason) : !strstr(row, " yes "))
		fail("that is not \"%s\"", reason ? reason : "yes");
	if (taken != !!strstr(row, "auto takes it"))
		fail("auto takes it, or not");
}

static void check_check(size_t i)
{
	char *const words[] = { "mbagent", "check", cases[i].types ? "--btf=" BTF : NULL, NULL };
	const char *taken = cases[i].taken;

	CHECK(run(cases[i].make, words) == 0 && file_get(OUT, text, sizeof(text)));
	check_row("bpf", cases[i].bpf, !strcmp(taken, "bpf"));
	/* A trampoline is asked for by numbers in types that the kernel has itself. */
	if (cases[i].types && !strstr(line_with("tracker  bpf "), " tracepoints, 0 fexit, "))
		fail("not by kprobes: %s", text);
	check_row("softdirty", cases[i].softdirty, !strcmp(taken, "softdirty"));
	check_row("none", NULL, !strcmp(taken, "none"));
}

/* There is no server: who has taken an epoch and waits for one has come far enough. */
static void check_run(size_t i)
{
	char *const words[] = { "mbagent",
				"run",
				"--source",
				"kmod",
				"--server",
				"unix:/tmp/nobody",
				"--interval",
				"0",
				"--vm",
				"v",
				cases[i].types ? "--btf=" BTF : NULL,
				NULL };
	int status, pid = start(cases[i].make, words);
	double end = now() + 90;
	char want[64];

	*text = 0;
	while (!strstr(text, "epoch 1: ") && now() < end && waitpid(pid, &status, WNOHANG) == 0) {
		nap(.2);
		if (!file_get(OUT, text, sizeof(text)))
			*text = 0;
	}
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	snprintf(want, sizeof(want), "; tracker %s\n", cases[i].taken);
	if (!strstr(text, want))
		fail("not taken: %s", text);
	if (!strstr(text, "epoch 1: "))
		fail("no epoch: %s", text);
	if (cases[i].bpf &&
	    (!strstr(text, "warning: tracker bpf: ") || !strstr(text, cases[i].bpf)))
		fail("run does not say why it is not bpf: %s", text);
	if (cases[i].softdirty && !strstr(text, "warning: tracker softdirty: "))
		fail("run does not say why it is not softdirty: %s", text);
}

/* By name, it is that one or an error. */
static void check_named(void)
{
	static char *const words[] = { "mbagent",   "run", "--source", "kmod",
				       "--tracker", "bpf", "--server", "unix:/tmp/nobody",
				       NULL };

	if (run(no_btf, words) != 1 || !file_get(OUT, text, sizeof(text)) ||
	    !strstr(text, "error: tracker bpf: "))
		fail("--tracker bpf without BTF: %s", text);
}

/* A file that is none, and one that is not there: neither is passed over in silence. */
static void check_bad_types(void)
{
	static const char *const options[] = { "--btf=/init", "--btf=/nowhere" };

	for (int i = 0; i < 2; i++) {
		char *const words[] = { "mbagent", "check", (char *)(uintptr_t)options[i], NULL };

		CHECK(run(nothing, words) == 0 && file_get(OUT, text, sizeof(text)));
		check_row("bpf", options[i] + strlen("--btf="), false);
	}
}

static void copy(const char *from, const char *to)
{
	static char block[1 << 16];
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	ssize_t n;

	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0)
		fail_errno("%s", from);
	while ((n = read(in, block, sizeof(block))) > 0)
		CHECK(write(out, block, (size_t)n) == n);
	close(in);
	close(out);
}

static void check_missing(void)
{
	static char *const words[] = { "mbagent", "check", NULL };

	CHECK(run(no_admin, words) == 0 && file_get(OUT, text, sizeof(text)));
	say("without CAP_SYS_ADMIN:");
	check_row("bpf", "missing: CAP_SYS_ADMIN", false);
	check_row("softdirty", "missing: CAP_SYS_ADMIN", false);
}

int main(void)
{
	copy("/sys/kernel/btf/vmlinux", BTF);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		say("%s:", cases[i].name);
		check_check(i);
		check_run(i);
	}
	check_named();
	check_bad_types();
	check_missing();
	return 0;
}
