/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a process, its BPF programs and a file of metrics say, for bench_soak. */
#ifndef SOAK_FIGURES_H
#define SOAK_FIGURES_H

#include <stdint.h>

struct figures {
	uint64_t rss_kib, anon_kib, most_kib; /* VmRSS, RssAnon, VmHWM */
	uint64_t fds, threads;
	double cpu_s; /* user and system, since it started */
	double bpf_s; /* that programs it holds have run, on whose behalf ever */
	uint64_t bpf_runs, bpf_missed;
};

/* Fails where the process is no more. */
void figures_of(int pid, struct figures *ret);
/* The sum of a metric's values over all its labels; those that have `label` only, if not NULL. */
double metric(const char *file, const char *name, const char *label);
/* A line of /proc/meminfo, in KiB. */
uint64_t meminfo_kib(const char *name);

#endif
