// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/processes.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

bool mb_process_is_gone(int code)
{
	return code == ENOENT || code == ESRCH;
}

/* The file's beginning as a string; false: there is none. */
static bool read_small(int dir, const char *name, char *text, size_t size)
{
	mb_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, size - 1);

	if (n <= 0)
		return false;
	text[n] = 0;
	return true;
}

/* "20 (a name) S 1 ...": the name may hold anything. */
int mb_process_stat(int dir, struct mb_process_stat *ret)
{
	char text[1024], *end;

	*ret = (struct mb_process_stat){ 0 };
	if (!read_small(dir, "stat", text, sizeof(text)))
		return -ESRCH;
	end = strrchr(text, ')');
	if (!end || sscanf(end + 1, " %c", &ret->state) != 1)
		return -ESRCH;
	/* Field 22, the state is 3. */
	for (int field = 3; field < 22 && end; field++)
		end = strchr(end + 2, ' ');
	return end && sscanf(end, " %" SCNu64, &ret->start) == 1 ? 0 : -ESRCH;
}

/* `id` may be that of a thread: /proc has it, though it does not list it. */
static int visit_one(int proc, const char *id, mb_process_visit visit, void *arg,
		     struct mb_err *err)
{
	mb_autoclose int dir = openat(proc, id, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r;

	if (dir < 0)
		return mb_process_is_gone(errno) ? 0 : mb_fail(err, errno, "%s: %m", id);
	r = visit(arg, &(struct mb_process){ dir, id }, err);
	return r < 0 ? mb_fail_in(err, r, "%s", id) : r;
}

static bool has_ended(int proc, const char *id)
{
	struct mb_process_stat stat;
	mb_autoclose int dir = openat(proc, id, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (dir >= 0)
		mb_process_stat(dir, &stat);
	return dir >= 0 && stat.state == 'Z';
}

static int visit_orphans(int proc, const char *id, mb_process_visit visit, void *arg,
			 struct mb_err *err)
{
	char path[64];
	struct stat st;
	mb_autoclosedir DIR *threads = NULL;
	mb_autoclose int fd = -1;
	const struct dirent *thread;
	int r;

	snprintf(path, sizeof(path), "%.32s/task", id);
	/* A link for each thread, and two. */
	if (fstatat(proc, path, &st, 0) < 0 || st.st_nlink == 3 || !has_ended(proc, id))
		return 0;
	fd = openat(proc, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	threads = fd < 0 ? NULL : fdopendir(fd);
	if (!threads)
		return mb_process_is_gone(errno) ? 0 : mb_fail(err, errno, "%s: %m", path);
	mb_take_fd(fd);
	while ((thread = readdir(threads))) {
		if (!isdigit((unsigned char)thread->d_name[0]) || !strcmp(thread->d_name, id))
			continue;
		r = visit_one(proc, thread->d_name, visit, arg, err);
		if (r)
			return r;
	}
	return 0;
}

int mb_processes_each(const char *proc, mb_process_visit visit, void *arg, uint64_t *ret_n,
		      struct mb_err *err)
{
	mb_autoclosedir DIR *all = opendir(proc);
	const struct dirent *process;
	int r;

	*ret_n = 0;
	if (!all)
		return mb_fail(err, errno, "%s: %m", proc);
	/* Ascending by number: what is there at the start and stays is not missed. */
	while ((errno = 0, process = readdir(all))) {
		if (!isdigit((unsigned char)process->d_name[0]))
			continue;
		r = visit_one(dirfd(all), process->d_name, visit, arg, err);
		if (r == 0)
			r = visit_orphans(dirfd(all), process->d_name, visit, arg, err);
		if (r < 0)
			return mb_fail_in(err, r, "%s", proc);
		++*ret_n;
	}
	return errno ? mb_fail(err, errno, "%s: %m", proc) : 0;
}

int mb_processes_check(const char *proc, struct mb_err *err)
{
	mb_autoclose int dir = open(proc, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[32];

	if (dir < 0)
		return mb_fail(err, errno, "%s: %m", proc);
	/* The kernel's own, the parent of its threads: nobody but the machine's root sees it. */
	if (!read_small(dir, "2/comm", name, sizeof(name)) || strcmp(name, "kthreadd\n") != 0)
		return mb_fail(err, EPERM,
			       "%s does not show all processes: this is a PID namespace, or it is "
			       "mounted so (hidepid)",
			       proc);
	return 0;
}
