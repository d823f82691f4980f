/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of a process have memory behind them, from /proc/PID/pagemap: looking there touches
 * nothing, reading the pages themselves would bring them in.
 */
#ifndef MB_PAGEMAP_H
#define MB_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mb_run {
	uint64_t start, end; /* virtual addresses */
	bool swapped;	     /* out on swap; else in memory */
};

struct mb_pagemap {
	int fd;
	/* PAGEMAP_SCAN (Linux 6.7) jumps over what is not mapped; else entry by entry. */
	bool scan;
	uint64_t scan_guard;
	uint64_t pos, end;
	struct mb_run runs[64];
	size_t i, n;
};

/* `proc`: open /proc/PID. The errno is as open(2) gave it; the caller knows what is needed. */
int mb_pagemap_open(struct mb_pagemap *pm, int proc, struct mb_err *err);
/* The address space that was opened is still some process's; a dead one has no more pages. */
bool mb_pagemap_alive(const struct mb_pagemap *pm);
void mb_pagemap_close(struct mb_pagemap *pm);

/* The next runs will be those of [start, end). */
void mb_pagemap_seek(struct mb_pagemap *pm, uint64_t start, uint64_t end);
/*
 * The next run, ascending; -ENODATA after the last, -ESRCH when the address space has gone. Runs
 * are looked up few at a time, so that they are fresh.
 */
int mb_pagemap_next(struct mb_pagemap *pm, struct mb_run *ret, struct mb_err *err);

#endif
