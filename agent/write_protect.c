// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/write_protect.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"

static void mb_closedirp(DIR **d)
{
	if (*d)
		closedir(*d);
}

/* A process that has ended meanwhile has nothing to protect. */
static bool is_gone(int code)
{
	return code == ENOENT || code == ESRCH;
}

/* `id` may be that of a thread: /proc has it, though it does not list it. */
static int protect(int proc, const char *id, struct mb_err *err)
{
	char path[64];
	mb_autoclose int fd = -1;

	snprintf(path, sizeof(path), "%.32s/clear_refs", id);
	fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0 && write(fd, "4", 1) == 1)
		return 0;
	if (is_gone(errno))
		return 0;
	return mb_fail(err, errno, "%s: %m", path);
}

/* The state letter is behind the name, which may hold anything. */
static bool is_zombie(int proc, const char *id)
{
	char path[64], text[512], *end;
	mb_autoclose int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%.32s/stat", id);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		return false;
	text[n] = 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' && end[2] == 'Z';
}

/*
 * When the first thread of a process has ended and others have not, the process still has its
 * memory, but no longer under its own number.
 */
static int protect_orphans(int proc, const char *id, struct mb_err *err)
{
	char path[64];
	struct stat st;
	mb_cleanup(mb_closedirp) DIR *threads = NULL;
	mb_autoclose int fd = -1;
	const struct dirent *thread;
	int r;

	snprintf(path, sizeof(path), "%.32s/task", id);
	/* A link for each thread, and two. */
	if (fstatat(proc, path, &st, 0) < 0 || st.st_nlink == 3 || !is_zombie(proc, id))
		return 0;
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	threads = fd < 0 ? NULL : fdopendir(fd);
	if (!threads)
		return is_gone(errno) ? 0 : mb_fail(err, errno, "%s: %m", path);
	mb_take_fd(fd);
	while ((thread = readdir(threads))) {
		if (!isdigit((unsigned char)thread->d_name[0]) || !strcmp(thread->d_name, id))
			continue;
		r = protect(proc, thread->d_name, err);
		if (r < 0)
			return r;
	}
	return 0;
}

int mb_write_protect_all(const char *proc, struct mb_write_protect *ret, struct mb_err *err)
{
	uint64_t start_ns = mb_now_ns();
	mb_cleanup(mb_closedirp) DIR *all = opendir(proc);
	const struct dirent *process;
	int r;

	*ret = (struct mb_write_protect){ 0 };
	if (!all)
		return mb_fail(err, errno, "%s: %m", proc);
	/* Ascending by number: what is there at the start and stays is not missed. */
	while ((errno = 0, process = readdir(all))) {
		if (!isdigit((unsigned char)process->d_name[0]))
			continue;
		r = protect(dirfd(all), process->d_name, err);
		if (r == 0)
			r = protect_orphans(dirfd(all), process->d_name, err);
		if (r < 0)
			return mb_fail_in(err, r, "%s", proc);
		ret->processes++;
	}
	if (errno)
		return mb_fail(err, errno, "%s: %m", proc);
	ret->ns = mb_now_ns() - start_ns;
	return 0;
}
