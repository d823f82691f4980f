// SPDX-License-Identifier: GPL-2.0-or-later
#include "soak_figures.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util_file.h"
#include "util_test.h"

/* The number after a line's name ("VmRSS:"); 0: there is no such line. */
static uint64_t field(const char *text, const char *name)
{
	const char *at = text;
	size_t n = strlen(name);

	while (at && strncmp(at, name, n)) {
		at = strchr(at, '\n');
		at = at ? at + 1 : NULL;
	}
	return at ? strtoull(at + n, NULL, 10) : 0;
}

/* Of all threads, those that have ended too, in clock ticks: fields 14 and 15. */
static double cpu_s(int pid)
{
	unsigned long long user, system;
	char path[64], text[1024], *at;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (!file_get(path, text, sizeof(text)))
		fail_errno("%s", path);
	at = strrchr(text, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user,
			  &system) != 2)
		fail("%s: %s", path, text);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* A program's descriptor says what kernel.bpf_stats_enabled has counted of it. */
static void look_at_fds(int pid, struct figures *f)
{
	char path[64 + 256], text[4096];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fdinfo", pid);
	dir = opendir(path);
	if (!dir)
		fail_errno("%s", path);
	while ((e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		f->fds++;
		snprintf(path, sizeof(path), "/proc/%d/fdinfo/%s", pid, e->d_name);
		if (!file_get(path, text, sizeof(text)) || !strstr(text, "\nprog_id:"))
			continue;
		f->bpf_s += (double)field(text, "run_time_ns:") / 1e9;
		f->bpf_runs += field(text, "run_cnt:");
		f->bpf_missed += field(text, "recursion_misses:");
	}
	closedir(dir);
}

void figures_of(int pid, struct figures *ret)
{
	char path[64], text[8192];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	if (!file_get(path, text, sizeof(text)))
		fail_errno("%s", path);
	*ret = (struct figures){
		.rss_kib = field(text, "VmRSS:"),
		.anon_kib = field(text, "RssAnon:"),
		.most_kib = field(text, "VmHWM:"),
		.threads = field(text, "Threads:"),
		.cpu_s = cpu_s(pid),
	};
	if (!ret->rss_kib)
		fail("process %d has ended", pid);
	look_at_fds(pid, ret);
}

double metric(const char *file, const char *name, const char *label)
{
	static char text[1 << 16];
	size_t n = strlen(name);
	double sum = 0;

	if (!file_get(file, text, sizeof(text)))
		return 0;
	for (char *at = strtok(text, "\n"); at; at = strtok(NULL, "\n")) {
		if (strncmp(at, name, n) || (at[n] != ' ' && at[n] != '{'))
			continue;
		if (!label || strstr(at, label))
			sum += strtod(strrchr(at, ' '), NULL);
	}
	return sum;
}

uint64_t meminfo_kib(const char *name)
{
	char text[8192], line[64];

	if (!file_get("/proc/meminfo", text, sizeof(text)))
		fail_errno("/proc/meminfo");
	snprintf(line, sizeof(line), "%s:", name);
	return field(text, line);
}
