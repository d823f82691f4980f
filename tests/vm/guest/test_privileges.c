// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is kept (agent/privileges.h) is enough once everything is open, and says what each
 * capability is good for: what no longer works without it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/privileges.h"
#include "agent/track_bpf.h"
#include "agent/track_softdirty.h"
#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"

static int module_fd;
static struct mb_tracker *bpf, *softdirty;

static int use_module(struct mb_err *err)
{
	static struct walk w;

	(void)err;
	walk_all(module_fd, MBWALK_XXH64, 0, &w); /* ends the process if it fails */
	return 0;
}

static int use_tracker(struct mb_tracker *t, struct mb_err *err)
{
	const struct mb_frame_set *dirty;
	const char *doubt;

	return t->ops->epoch(t, &dirty, &doubt, err);
}

static int use_bpf(struct mb_err *err)
{
	return use_tracker(bpf, err);
}

static uint64_t mappings; /* of all processes, as one sees who may do everything */

/* Those that it may not look at could be left out without a word. */
static int use_softdirty(struct mb_err *err)
{
	struct mb_soft_dirty_report report;
	int r = use_tracker(softdirty, err);

	if (r < 0)
		return r;
	mb_track_softdirty_report(softdirty, &report);
	if (report.mappings < mappings * 9 / 10)
		return mb_fail(err, EPERM, "%llu of %llu mappings seen",
			       (unsigned long long)report.mappings, (unsigned long long)mappings);
	mappings = report.mappings;
	return 0;
}

/* Those whom it takes the most to look at. Each ends with us. */
static void start_process(const char *what, unsigned int user, int dumpable)
{
	int ready[2], pid;
	char c;

	if (pipe(ready) < 0)
		fail_errno("pipe");
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (user && (setgid(user) < 0 || setuid(user) < 0))
			fail_errno("setuid");
		if (prctl(PR_SET_DUMPABLE, dumpable) < 0)
			fail_errno("PR_SET_DUMPABLE");
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	if (pid < 0 || read(ready[0], &c, 1) != 1)
		fail("no process %s", what);
	close(ready[0]);
	close(ready[1]);
}

/* It works with these, and no others. */
static bool works(int (*use)(struct mb_err *), uint64_t keep, char *ret_why, size_t size)
{
	int status, why[2], pid;
	ssize_t n;

	if (pipe(why) < 0)
		fail_errno("pipe");
	pid = fork();
	if (pid == 0) {
		struct mb_err err = { 0 };

		if (mb_privileges_drop(keep, &err) < 0)
			fail("drop: %s", err.text);
		if (use(&err) == 0)
			_exit(0);
		_exit(write(why[1], err.text, strlen(err.text)) < 0 ? 3 : 2);
	}
	close(why[1]);
	n = read(why[0], ret_why, size - 1);
	ret_why[n > 0 ? n : 0] = 0;
	close(why[0]);
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) ||
	    (WEXITSTATUS(status) && WEXITSTATUS(status) != 2))
		fail("status %x", status);
	return WEXITSTATUS(status) == 0;
}

/* `sure`: those of `keep` that no kernel does without. */
static void check(const char *what, int (*use)(struct mb_err *), uint64_t keep, uint64_t sure)
{
	char why[512];

	if (!works(use, keep, why, sizeof(why)))
		fail("%s: not with all that is kept: %s", what, why);
	if (works(use, 0, why, sizeof(why)))
		say("%s: needs none", what);
	for (int cap = 0; cap < cap_max_bits(); cap++) {
		const uint64_t one = (uint64_t)1 << cap;

		if (!works(use, ~one, why, sizeof(why)) && !(keep & one))
			fail("%s: %s is not kept: %s", what, cap_to_name(cap), why);
		if (!(keep & one))
			continue;
		if (!works(use, keep & ~one, why, sizeof(why)))
			say("%s: %s is needed: %s", what, cap_to_name(cap), why);
		else if (sure & one)
			fail("%s: %s is kept in vain", what, cap_to_name(cap));
		else
			say("%s: %s is not needed here", what, cap_to_name(cap));
	}
}

int main(void)
{
	struct mb_err err = { 0 };
	int r;

	/* No way back before the next boot: which nobody needs. */
	file_put("/proc/sys/kernel/unprivileged_bpf_disabled", "2");
	say("unprivileged_bpf_disabled %lld",
	    file_number("/proc/sys/kernel/unprivileged_bpf_disabled"));
	start_process("of a user", 1000, 1);
	start_process("of a user, not dumpable", 1000, 0);
	start_process("of root, not dumpable", 0, 0);

	module_fd = walk_open();
	check("module", use_module, MB_KEEP_KMOD, MB_KEEP_KMOD);

	r = mb_track_softdirty.open(&(struct mb_tracker_options){ 0 }, &softdirty, &err);
	if (r < 0 && r != -EOPNOTSUPP)
		fail("softdirty: %s", err.text);
	if (r == 0) {
		CHECK(use_softdirty(&err) == 0 && mappings);
		/* Newer kernels let those with CAP_SYS_ADMIN look at any process's memory. */
		check("softdirty", use_softdirty, MB_KEEP_SOFTDIRTY,
		      MB_KEEP_SOFTDIRTY & ~MB_CAP(SYS_PTRACE));
	}

	r = mb_track_bpf.open(&(struct mb_tracker_options){ 0 }, &bpf, &err);
	if (r == -EOPNOTSUPP)
		skip("bpf: %s", err.text);
	if (r < 0)
		fail("bpf: %s", err.text);
	check("bpf", use_bpf, MB_KEEP_BPF, MB_CAP(DAC_OVERRIDE));
	return 0;
}
