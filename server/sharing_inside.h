/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How the groups of one identity are made: for sharing*.c only. */
#ifndef MB_SERVER_SHARING_INSIDE_H
#define MB_SERVER_SHARING_INSIDE_H

#include "server/sharing.h"

/* What sets of VMs are counted with. */
struct mb_counting {
	const struct mb_fleet_snapshot *fleet;	/* with the fingerprints */
	const struct mb_fleet_changes *changes; /* since `before`; of the snapshot's VMs */
	const struct mb_sharing_view *before;	/* NULL: there is none to go on from */
	struct mb_sharing_stats *stats;
};

/* What is counted of a set, by position in its vms[]; on its way into the view. */
struct mb_counted {
	struct mb_groups groups, durable_groups; /* all_last: the latter is empty */
};

/* All of them make groups, durable groups and matrix of the set, and its shift. */
int mb_sharing_count(const struct mb_counting *c, struct mb_comparable *set, struct mb_counted *ret,
		     struct mb_err *err);
int mb_sharing_estimate(const struct mb_counting *c, struct mb_comparable *set,
			struct mb_counted *ret, struct mb_err *err);
/* `room_bytes` for what is read of the source at a time. */
int mb_sharing_count_paged(const struct mb_counting *c, struct mb_comparable *set,
			   const struct mb_page_source *from, uint64_t room_bytes,
			   struct mb_counted *ret, struct mb_err *err);

/* Has one of its VMs sent less than all (proto/small.h)? Then `any` and errors are made, too. */
bool mb_sharing_is_small(const struct mb_counting *c, const struct mb_comparable *set);
int mb_sharing_estimate_small(const struct mb_counting *c, struct mb_comparable *set,
			      struct mb_counted *ret, struct mb_err *err);

/* Do all contents of all VMs of the set last? Of cut digests it is not asked. */
bool mb_sharing_all_last(const struct mb_counting *c, const struct mb_comparable *set);

#endif
