/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The mappings of a process, from /proc/PID/smaps. */
#ifndef MB_MAPS_H
#define MB_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/err.h"

struct mb_map {
	uint64_t start, end; /* virtual addresses */
	uint64_t inode;	     /* 0: anonymous */
	uint64_t rss_bytes, swap_bytes;
	uint64_t huge_bytes;	/* of rss_bytes: anonymous and in huge pages */
	uint64_t hugetlb_bytes; /* in memory, of hugetlbfs; rss_bytes does not count it */
	bool readable, writable, executable, shared;
	bool mergeable; /* VmFlags mg: marked for KSM */
	bool hugetlb;	/* VmFlags ht */
	bool device;	/* VmFlags io or pf: reading may have side effects, or is not possible */
	char name[32];	/* path or "[heap]", cut; "" when there is none */
};

struct mb_maps {
	struct mb_map *maps; /* [0, n), ascending; owned */
	size_t n, cap;
};

void mb_maps_deinit(struct mb_maps *m);
int mb_maps_add(struct mb_maps *m, const struct mb_map *map, struct mb_err *err);
/* What `m` held is forgotten. -EBADMSG names the line. */
int mb_maps_parse(FILE *smaps, struct mb_maps *m, struct mb_err *err);

static inline uint64_t mb_map_bytes(const struct mb_map *m)
{
	return m->end - m->start;
}

#endif
