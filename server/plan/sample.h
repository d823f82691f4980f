/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fleet's sharing, made small: groups are drawn with a chance in proportion to what they can
 * save, weight * (VMs - 1), and the lighter ones that are drawn stand for those that are not. So
 * every placement's saving is right on average, and heavy groups, which decide, are exact.
 */
#ifndef MB_PLAN_SAMPLE_H
#define MB_PLAN_SAMPLE_H

#include "server/groups.h"

/* About `members` entries of vms[], never more than twice that. The same seed draws the same. */
int mb_groups_sample(struct mb_groups *ret, const struct mb_groups *groups, size_t members,
		     uint64_t seed, struct mb_err *err);

#endif
