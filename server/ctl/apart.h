/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sharing groups of a fleet of several hash identities: VMs of different ones share nothing. */
#ifndef MB_CTL_APART_H
#define MB_CTL_APART_H

#include "proto/digest.h"
#include "server/groups.h"

/* identities[i] is that of lists[i]. Groups as mb_groups_compute() makes them, over all VMs. */
int mb_groups_apart(struct mb_groups *ret, const struct mb_identity *const *identities,
		    const struct mb_digest_list *lists, uint32_t n, struct mb_err *err);

#endif
