/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The questions beside rebalancing (plan.h), each with any planner. All check the fleet first, as
 * mb_plan_make() does, and the plans that they give are ordered, costed and simulated like its.
 */
#ifndef MB_PLAN_QUESTION_H
#define MB_PLAN_QUESTION_H

#include "server/plan/plan.h"

enum { MB_REASON_BYTES = 200 };

/* --- place VM (paper 4.1) --- */

struct mb_rank {
	uint32_t host;
	bool fits;		      /* rules, loads and room hold */
	bool wakes;		      /* it is in the pool, and would be switched on */
	double value;		      /* the planner's */
	uint64_t gain_pages;	      /* exact: distinct pages of the VM that are there already */
	uint64_t used_after_mb;	      /* after sharing */
	char reason[MB_REASON_BYTES]; /* why it is that good, or why it does not fit */
};

/*
 * Ranks all hosts for one VM, best first, those that do not fit last; if it runs somewhere, as if
 * it did not. *ret has n_hosts entries; the caller frees it.
 */
int mb_plan_rank(struct mb_rank **ret, const struct mb_planner *planner,
		 const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t vm, struct mb_err *err);

/* --- drain HOST --- */

/* Everything off one host. -ENOSPC names a VM that fits nowhere else, and why; -EINVAL a pinned
 * one. */
int mb_plan_drain(struct mb_plan *ret, const struct mb_planner *planner,
		  const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		  uint32_t host, struct mb_err *err);

/* --- consolidate (paper 4.2) --- */

/*
 * Empties hosts that use less than `low_percent` of their memory after sharing, lowest first,
 * largest VM first, each host wholly or not at all; with two-step moves where nothing else fits.
 * ret_emptied[0, n_hosts) says which hosts can go to the pool.
 */
int mb_plan_consolidate(struct mb_plan *ret, bool *ret_emptied, const struct mb_planner *planner,
			const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
			uint32_t low_percent, struct mb_err *err);

/* --- hotspot (paper 4.4) --- */

struct mb_hotspot_limits {
	uint64_t swap_pages_s;	/* a host's guests together swap more; 0: not looked at */
	uint64_t stall_percent; /* their waits for memory add up to more; 0: not looked at */
	uint64_t free_mb;	/* a host has less free memory; 0: not looked at */
	/* A host's guests lost more sharing, by more than that may be off; 0: not looked at. */
	uint64_t lost_pages;
};

struct mb_hotspot {
	uint32_t host;
	char reason[MB_REASON_BYTES];
	uint64_t lost_pages;	   /* sharing that its guests lost of late */
	uint64_t lost_error_pages; /* by which that may be off; 0: exact */
	uint32_t woken; /* the pooled host that helps, or MB_NOWHERE */
	bool relieved;	/* by the plan */
};

/*
 * Finds hotspots and moves, from each, the VM whose best feasible destination gains most, until the
 * cause is gone as far as the figures tell; else wakes a pooled host. *ret_spots is the caller's.
 */
int mb_plan_hotspot(struct mb_plan *ret, struct mb_hotspot **ret_spots, size_t *ret_n_spots,
		    const struct mb_planner *planner, const struct mb_fleet_view *fleet,
		    const struct mb_plan_options *options, const struct mb_hotspot_limits *limits,
		    struct mb_err *err);

/* --- what if (paper 4.3) --- */

struct mb_whatif_host {
	uint64_t full_mb, pages, zero_pages, self_pages, inter_pages, distinct_pages;
	bool fits;		      /* all rules and room */
	char reason[MB_REASON_BYTES]; /* the first rule that is broken, or "" */
};

/*
 * Any placement: `host` says where each VM would be (MB_NOWHERE: out of the picture), zero_pages
 * the copies of the zero page of each (NULL: not known, counted as self). ret[0, n_hosts).
 */
int mb_plan_whatif(struct mb_whatif_host *ret, const struct mb_fleet_view *fleet,
		   const struct mb_plan_options *options, const uint32_t *host,
		   const uint64_t *zero_pages, struct mb_err *err);

#endif
