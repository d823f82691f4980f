/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The name of a cgroup, whose id is the inode number of its folder in cgroup2. */
#ifndef MB_CGROUP_H
#define MB_CGROUP_H

#include <stddef.h>
#include <stdint.h>

/*
 * Its path below where cgroup2 is mounted, "/" for the root. Looks below `root`, or NULL: at the
 * usual places. One that is gone, or where no cgroup2 is mounted: "?" and the number.
 */
void mb_cgroup_name(const char *root, uint64_t id, char *ret, size_t size);

/* To look costs a walk through the tree: names that were found before. All zero: none yet. */
struct mb_cgroup_names {
	struct {
		uint64_t id;
		char name[128];
	} known[64];
	size_t n, oldest;
};

/* As above; valid until it is asked again. */
const char *mb_cgroup_names_get(struct mb_cgroup_names *names, const char *root, uint64_t id);

#endif
