/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sharing groups under construction: VM set -> weight, by a 64-bit signature and then the whole
 * list. Weights are modulo 2^64, so that pages may be taken away, too. For groups.c and recount.c.
 */
#ifndef MB_SERVER_GROUP_TABLE_H
#define MB_SERVER_GROUP_TABLE_H

#include "server/groups.h"

/* Zeroed: empty. */
struct mb_group_table {
	uint32_t *slots;      /* group + 1, 0 = free; 2^bits */
	uint64_t *signatures; /* per group */
	struct mb_group *groups;
	uint32_t *vms;
	size_t n_groups, cap_groups;
	size_t n_vms, cap_vms;
	unsigned int bits;
};

/* So many more pages for this set of VMs; ascending, two at least. */
int mb_group_table_add(struct mb_group_table *t, const uint32_t *vms, uint32_t n,
		       uint64_t weight_pages, struct mb_err *err);
/* Hands over all groups whose weight is not 0, ordered by VM set and their sets likewise. */
int mb_group_table_finish(struct mb_group_table *t, struct mb_groups *ret, struct mb_err *err);
void mb_group_table_deinit(struct mb_group_table *t);

#endif
