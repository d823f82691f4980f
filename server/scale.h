/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sharing groups of samples (proto/sample.h), brought up to what they stand for.
 *
 * A group of VMs has all their contents' share of what their samples have:
 *
 *	weight = weight in the sample * (sum of its VMs' distinct / sum of their samples')
 *
 * The sizes are known exactly, so twins stay twins. Where that would make a VM share more than it
 * has, its groups are cut in proportion: planners subtract.
 */
#ifndef MB_SERVER_SCALE_H
#define MB_SERVER_SCALE_H

#include "proto/sample.h"
#include "server/groups.h"

/*
 * `sizes` [0, n_vms): all at the threshold that the groups were computed at. Weights are cut to
 * whole pages; groups that have none left go.
 */
int mb_groups_scale(struct mb_groups *g, const struct mb_sample_size *sizes, uint32_t n_vms,
		    struct mb_err *err);

#endif
