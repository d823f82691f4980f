/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two lists of sharing groups as one: what planners go by when sharing that lasts is to weigh more
 * (server/durable.h). A score is a sum over groups, so merging equal VM sets loses nothing.
 */
#ifndef MB_SERVER_BLEND_H
#define MB_SERVER_BLEND_H

#include "server/groups.h"

/*
 * weight = (percent_a * a's + percent_b * b's) / 100, cut to whole pages; groups of no weight are
 * left out. Any order goes in; sorted by VM set comes out.
 */
int mb_groups_blend(struct mb_groups *ret, const struct mb_groups *a, uint32_t percent_a,
		    const struct mb_groups *b, uint32_t percent_b, struct mb_err *err);

#endif
