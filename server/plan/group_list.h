/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sharing groups put together by hand: any order and any set twice becomes groups as they must be.
 */
#ifndef MB_PLAN_GROUP_LIST_H
#define MB_PLAN_GROUP_LIST_H

#include "server/groups.h"

struct mb_group_list {
	struct mb_groups groups; /* as they come */
	size_t cap_groups, cap_vms;
	size_t first_vm; /* of the set that is being put together */
};

/* The next VM of a set; ascending. */
int mb_group_list_vm(struct mb_group_list *l, uint32_t vm, struct mb_err *err);
/* The set is complete: `weight_pages` pages that just these VMs have. One of a single VM is none.
 */
int mb_group_list_end(struct mb_group_list *l, uint64_t weight_pages, struct mb_err *err);
/* Sorts, makes one of equal sets, and hands over. The list is empty then, on error too. */
int mb_group_list_finish(struct mb_group_list *l, struct mb_groups *ret, struct mb_err *err);
void mb_group_list_deinit(struct mb_group_list *l);

/*
 * The groups of some VMs only: `renamed`, by the old index, is a VM's new one, or UINT32_MAX where
 * it is not among them. New indices are in the order of the old ones.
 */
int mb_group_list_restrict(const struct mb_groups *from, const uint32_t *renamed,
			   struct mb_groups *ret, struct mb_err *err);

#endif
