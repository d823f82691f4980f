/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fleet as a planner sees it: what was seen (by agents, or in traces), completed by the fleet
 * file.
 *
 * The file wins where both speak (a VM's size, host and trust domain): it is what the operator
 * wrote. VMs that only the file knows take their place and share nothing.
 */
#ifndef MB_SERVER_LIVE_FLEET_H
#define MB_SERVER_LIVE_FLEET_H

#include "server/fleet_file.h"
#include "server/plan/plan.h"
#include "server/sharing.h"

/* A VM that has a fingerprint. */
struct mb_seen_vm {
	const char *name, *host, *domain; /* "": not known */
	uint64_t memory_mb, pages, distinct, zero_pages;
	uint64_t settled_s;	/* on its host; UINT64_MAX: long ago */
	const char *moved_from; /* the host before, or "" */
	uint64_t swap_pages_s;	/* by its agent's word; 0: none, or not known */
	uint64_t stall_percent; /* the same: of the last minute, some task waited for memory */
	uint32_t sample_shift;	/* as in mb_plan_vm */
	bool no_groups;		/* it sends cut digests (proto/cut.h): it is in no group */
};

struct mb_live_fleet {
	struct mb_fleet_view view; /* VMs: those seen first, at their indices, then the file's */
	unsigned int sample_shift; /* figures of groups are estimates (estimate.h); 0: exact */
	uint32_t n_paged_out;
	uint32_t n_file_hosts; /* the first hosts; further ones are known by name only, memory 0 */
	struct mb_plan_host *hosts; /* owned, as all below; names are borrowed */
	struct mb_plan_vm *vms;
	uint64_t *zero_pages; /* [0, n_vms) */
	uint32_t
		n_no_groups; /* VMs that planners take as sharing nothing, since they cannot know */
	struct mb_plan_rule *rules;
	uint32_t *rule_vms;
	struct mb_groups blend; /* what view.score_groups may point to */
};

/* `groups` is over seen[]. All that is given must outlive it. */
int mb_live_fleet_join(struct mb_live_fleet *ret, const struct mb_seen_vm *seen, uint32_t n_seen,
		       const struct mb_groups *groups, const struct mb_fleet_file *file,
		       struct mb_err *err);
/* The same from a server's view. `file` and `sharing` must outlive it. */
int mb_live_fleet_init(struct mb_live_fleet *ret, const struct mb_sharing_view *sharing,
		       const struct mb_fleet_file *file, struct mb_err *err);
/*
 * Sets view.score_groups: what does not last counts `volatile_percent` of what lasts does.
 * `durable` is over seen[] like the groups; NULL: all of it lasts.
 */
int mb_live_fleet_weigh(struct mb_live_fleet *f, const struct mb_groups *durable,
			uint32_t volatile_percent, struct mb_err *err);
void mb_live_fleet_deinit(struct mb_live_fleet *f);

#endif
