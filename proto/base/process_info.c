// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/process_info.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"

/* The fields behind the command, which may hold anything but ends with the last ")". */
static int read_stat(struct mb_process_info *ret, struct mb_err *err)
{
	mb_autofclose FILE *f = fopen("/proc/self/stat", "re");
	uint64_t user, system, start, vsize, rss, boot_ns;
	long hz = sysconf(_SC_CLK_TCK);
	char line[1024], *fields;

	fields = f && fgets(line, sizeof(line), f) ? strrchr(line, ')') : NULL;
	if (!fields ||
	    sscanf(fields + 1,
		   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
		   " %*d %*d %*d %*d %*d %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
		   &user, &system, &start, &vsize, &rss) != 5)
		return mb_fail(err, EIO, "/proc/self/stat is not as proc(5) says");
	boot_ns = mb_unix_ns() - mb_clock_ns(CLOCK_BOOTTIME);
	ret->cpu_s = (double)(user + system) / (double)hz;
	ret->start_unix_s = boot_ns / 1000000000 + start / (uint64_t)hz;
	ret->virtual_bytes = vsize;
	ret->resident_bytes = rss * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

static uint64_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	uint64_t n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n > 3 ? n - 3 : 0; /* ".", "..", and the folder itself */
}

int mb_process_info_get(struct mb_process_info *ret, struct mb_err *err)
{
	struct rlimit limit;

	*ret = (struct mb_process_info){ .max_fds = UINT64_MAX };
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
		ret->max_fds = limit.rlim_cur;
	ret->open_fds = count_fds();
	return read_stat(ret, err);
}
