// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/write_protect.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"

/* A process that has ended meanwhile has nothing to protect. */
int mb_write_protect(const struct mb_process *p, struct mb_err *err)
{
	mb_autoclose int fd = openat(p->dir, "clear_refs", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "4", 1) == 1)
		return 0;
	if (mb_process_is_gone(errno))
		return 0;
	return mb_fail(err, errno, "clear_refs: %m");
}

int mb_write_protect_self(struct mb_err *err)
{
	mb_autoclose int dir = open("/proc/self", O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir < 0)
		return mb_fail(err, errno, "/proc/self: %m");
	return mb_write_protect(&(struct mb_process){ dir, "self" }, err);
}

static int protect(void *arg, const struct mb_process *p, struct mb_err *err)
{
	(void)arg;
	return mb_write_protect(p, err);
}

int mb_write_protect_all(const char *proc, struct mb_write_protect *ret, struct mb_err *err)
{
	uint64_t start_ns = mb_now_ns();
	int r;

	*ret = (struct mb_write_protect){ 0 };
	/* Each time: it may be mounted anew, and what is hidden is just not there. */
	r = mb_processes_check(proc, err);
	if (r == 0)
		r = mb_processes_each(proc, protect, NULL, &ret->processes, err);
	ret->ns = mb_now_ns() - start_ns;
	return r;
}
