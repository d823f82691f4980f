/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which pages of a process have memory behind them, and which, from /proc/PID/pagemap: looking
 * there touches nothing, reading the pages themselves would bring them in.
 */
#ifndef MB_PAGEMAP_H
#define MB_PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

/* Of an entry: Documentation/admin-guide/mm/pagemap.rst */
#define MB_ENTRY_PRESENT    (1ull << 63)
#define MB_ENTRY_SWAPPED    (1ull << 62)
#define MB_ENTRY_FILE	    (1ull << 61) /* of a file, or anonymous and shared */
#define MB_ENTRY_GUARD	    (1ull << 58)
#define MB_ENTRY_SOFT_DIRTY (1ull << 55)
/* Of one that is present; 0: hidden from those without CAP_SYS_ADMIN. */
#define MB_ENTRY_FRAME(entry) ((entry) & ((1ull << 55) - 1))

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

/* The entries of at most n pages from `at` on: how many; -ESRCH when the address space has gone. */
int mb_pagemap_read(const struct mb_pagemap *pm, uint64_t at, uint64_t *entries, size_t n,
		    struct mb_err *err);
/* The entry of a page of our own. -EPERM: its frame is hidden. */
int mb_pagemap_own(const void *at, uint64_t *ret, struct mb_err *err);

#endif
