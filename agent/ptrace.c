// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/ptrace.h"

#include <inttypes.h>
#include <linux/capability.h>
#include <stdbool.h>
#include <stdio.h>

#include "proto/base/cleanup.h"

/* yama(8): 0 own processes, 1 own children, 2 with CAP_SYS_PTRACE, 3 nobody; -1: no Yama. */
static int ptrace_scope(void)
{
	mb_autofclose FILE *f = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	int scope;

	return f && fscanf(f, "%d", &scope) == 1 ? scope : -1;
}

static bool have_ptrace_capability(void)
{
	mb_autofclose FILE *f = fopen("/proc/self/status", "re");
	char line[256];
	uint64_t caps;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "CapEff: %" SCNx64, &caps) == 1)
			return caps >> CAP_SYS_PTRACE & 1;
	return false;
}

int mb_ptrace_fail(int code, const char *what, struct mb_err *err)
{
	int scope = ptrace_scope();

	if (scope == 3)
		return mb_fail(err, code,
			       "%s: not permitted: /proc/sys/kernel/yama/ptrace_scope is 3, which "
			       "forbids it to everyone until the next boot",
			       what);
	if (have_ptrace_capability())
		return mb_fail(err, code,
			       "%s: not permitted, though CAP_SYS_PTRACE is there: a container's "
			       "seccomp filter, a security module, or a process of another user "
			       "namespace",
			       what);
	if (scope > 0)
		return mb_fail(
			err, code,
			"%s: not permitted: needs CAP_SYS_PTRACE (root), or the same user and "
			"/proc/sys/kernel/yama/ptrace_scope 0 (it is %d)",
			what, scope);
	return mb_fail(err, code,
		       "%s: not permitted: needs CAP_SYS_PTRACE (root), or the same user", what);
}

int mb_ptrace_check(struct mb_err *err)
{
	int scope = ptrace_scope();

	if (scope == 3 || (scope > 0 && !have_ptrace_capability()))
		return mb_ptrace_fail(EPERM, "other processes", err);
	return 0;
}
