/* SPDX-License-Identifier: GPL-2.0-or-later */
/* All processes of the machine, from a /proc that has them all. */
#ifndef MB_PROCESSES_H
#define MB_PROCESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

/* Files of one that ends meanwhile cannot be opened, or are empty. */
struct mb_process {
	int dir;	/* /proc/ID, open */
	const char *id; /* its number; that of a thread when the first one has ended */
};

/* > 0: has done what there is to do for the process; its other threads need not be visited. */
typedef int (*mb_process_visit)(void *arg, const struct mb_process *p, struct mb_err *err);

/*
 * Visits the processes that are in `proc` (/proc) when it begins, kernel threads included; those
 * that come later perhaps. A process whose first thread has ended before others still has its
 * memory, but not under its own number: it is visited by each of the others, too.
 */
int mb_processes_each(const char *proc, mb_process_visit visit, void *arg, uint64_t *ret_n,
		      struct mb_err *err);
/* -EPERM: some are hidden from us, by a PID namespace or by how `proc` is mounted. */
int mb_processes_check(const char *proc, struct mb_err *err);

struct mb_process_stat {
	char state; /* 'Z': has ended */
	/* In ticks since boot: with it the number is of one process only. */
	uint64_t start;
};
/* -ESRCH: it has ended, or does not say. */
int mb_process_stat(int dir, struct mb_process_stat *ret);

/* What open() and read() say of a process that has ended. */
bool mb_process_is_gone(int code);

#endif
