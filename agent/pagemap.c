// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pagemap.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/digest.h"

/* From the kernel's fs.h, which may be older than the kernel. */
struct scan_region {
	uint64_t start, end, categories;
};

struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};

#define SCAN _IOWR('f', 16, struct scan_arg)

enum {
	SCAN_PRESENT = 1 << 3,
	SCAN_SWAPPED = 1 << 4,
	SCAN_GUARD = 1 << 8, /* 6.15; before that an error */
};

enum {
	WINDOW_PAGES = 512,    /* with memory, by scan */
	WINDOW_ENTRIES = 4096, /* of any kind, one by one */
};

static int scan(const struct mb_pagemap *pm, uint64_t guard, struct scan_region *regions,
		size_t n_regions, uint64_t *ret_walk_end)
{
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = pm->pos,
		.end = pm->end,
		.vec = (uintptr_t)regions,
		.vec_len = n_regions,
		.max_pages = WINDOW_PAGES,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT | SCAN_SWAPPED | guard,
	};
	int n = ioctl(pm->fd, SCAN, &arg);

	*ret_walk_end = arg.walk_end;
	return n;
}

int mb_pagemap_open(struct mb_pagemap *pm, int proc, struct mb_err *err)
{
	struct scan_region region;
	uint64_t walk_end;

	*pm = (struct mb_pagemap){ .fd = openat(proc, "pagemap", O_RDONLY | O_CLOEXEC) };
	if (pm->fd < 0)
		return mb_fail(err, errno, "pagemap: %m");
	pm->end = MB_PAGE_BYTES;
	if (scan(pm, SCAN_GUARD, &region, 1, &walk_end) >= 0) {
		pm->scan = true;
		pm->scan_guard = SCAN_GUARD;
	} else {
		pm->scan = scan(pm, 0, &region, 1, &walk_end) >= 0;
	}
	pm->end = 0;
	return 0;
}

bool mb_pagemap_alive(const struct mb_pagemap *pm)
{
	uint64_t entry;

	return pread(pm->fd, &entry, sizeof(entry), 0) == sizeof(entry);
}

void mb_pagemap_close(struct mb_pagemap *pm)
{
	mb_closep(&pm->fd);
	pm->fd = -1;
}

void mb_pagemap_seek(struct mb_pagemap *pm, uint64_t start, uint64_t end)
{
	pm->pos = start;
	pm->end = end;
	pm->i = pm->n = 0;
}

static int refill_scan(struct mb_pagemap *pm, struct mb_err *err)
{
	struct scan_region regions[MB_ARRAY_LEN(pm->runs)];
	uint64_t from = pm->pos;
	int n = scan(pm, pm->scan_guard, regions, MB_ARRAY_LEN(regions), &pm->pos);

	if (n < 0)
		return mb_fail(err, errno, "pagemap: %m");
	for (int i = 0; i < n; i++) {
		if (regions[i].categories & SCAN_GUARD)
			continue;
		pm->runs[pm->n++] = (struct mb_run){
			.start = regions[i].start,
			.end = regions[i].end,
			.swapped = !(regions[i].categories & SCAN_PRESENT),
		};
	}
	if (pm->pos <= from) {
		pm->scan = false;
		pm->pos = from;
		pm->n = 0;
	}
	/* A scan of a dead address space finds nothing and says nothing. */
	return mb_pagemap_alive(pm) ? 0 : mb_fail(err, ESRCH, "pagemap: the process has ended");
}

int mb_pagemap_read(const struct mb_pagemap *pm, uint64_t at, uint64_t *entries, size_t n,
		    struct mb_err *err)
{
	ssize_t got = pread(pm->fd, entries, n * sizeof(*entries),
			    (off_t)(at / MB_PAGE_BYTES * sizeof(*entries)));

	if (got < 0)
		return mb_fail(err, errno, "pagemap: %m");
	if (got < (ssize_t)sizeof(*entries))
		return mb_fail(err, ESRCH, "pagemap: the process has ended");
	return (int)((size_t)got / sizeof(*entries));
}

int mb_pagemap_own(const void *at, uint64_t *ret, struct mb_err *err)
{
	mb_autoclose int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0 ||
	    pread(fd, ret, sizeof(*ret), (off_t)((uintptr_t)at / MB_PAGE_BYTES * sizeof(*ret))) < 0)
		return mb_fail(err, errno, "/proc/self/pagemap: %m");
	if (*ret & MB_ENTRY_PRESENT && !MB_ENTRY_FRAME(*ret))
		return mb_fail(err, EPERM,
			       "/proc/self/pagemap hides frames: CAP_SYS_ADMIN is needed");
	return 0;
}

static int refill_entries(struct mb_pagemap *pm, struct mb_err *err)
{
	uint64_t entries[WINDOW_ENTRIES];
	size_t want = MB_MIN((pm->end - pm->pos) / MB_PAGE_BYTES, MB_ARRAY_LEN(entries));
	int got = mb_pagemap_read(pm, pm->pos, entries, want, err);

	if (got < 0)
		return got;
	for (int i = 0; i < got; i++, pm->pos += MB_PAGE_BYTES) {
		struct mb_run *last = pm->n ? &pm->runs[pm->n - 1] : NULL;
		bool present = entries[i] & MB_ENTRY_PRESENT;

		if (!present && (!(entries[i] & MB_ENTRY_SWAPPED) || entries[i] & MB_ENTRY_GUARD))
			continue;
		if (last && last->end == pm->pos && last->swapped == !present) {
			last->end += MB_PAGE_BYTES;
			continue;
		}
		if (pm->n == MB_ARRAY_LEN(pm->runs))
			break;
		pm->runs[pm->n++] = (struct mb_run){ pm->pos, pm->pos + MB_PAGE_BYTES, !present };
	}
	return 0;
}

int mb_pagemap_next(struct mb_pagemap *pm, struct mb_run *ret, struct mb_err *err)
{
	while (pm->i == pm->n) {
		int r;

		if (pm->pos >= pm->end)
			return mb_fail(err, ENODATA, "pagemap: end of range");
		pm->i = pm->n = 0;
		r = pm->scan ? refill_scan(pm, err) : refill_entries(pm, err);
		if (r < 0)
			return r;
	}
	*ret = pm->runs[pm->i++];
	return 0;
}
