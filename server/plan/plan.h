/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Planners: which VM goes to which host, and which moves get there.
 *
 * Pure: const input, result in the caller's storage, no clock, no randomness but from `seed`; ties
 * are broken by index, so that the same input gives the same plan.
 *
 * Memory has two units here. A VM occupies memory_mb when nothing is shared (its full size, what it
 * needs on arrival). After sharing a host holds the distinct pages of its VMs' union; usage_mb() is
 * that divided by 256 and cut to whole MB, as in the seed's report (background: report's table).
 */
#ifndef MB_PLAN_H
#define MB_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "server/groups.h"

#define MB_NOWHERE	   UINT32_MAX /* a VM that is on no host */
#define MB_PLAN_NOTE_BYTES 256

struct mb_plan_host {
	const char *name;
	uint64_t memory_mb;
};

struct mb_plan_vm {
	const char *name;
	uint64_t memory_mb; /* full size */
	uint64_t pages;	    /* in its fingerprint, copies included */
	uint64_t distinct;  /* distinct digests */
	uint32_t host;	    /* where it is now, or MB_NOWHERE */
};

struct mb_fleet_view {
	const struct mb_plan_host *hosts;
	const struct mb_plan_vm *vms;
	uint32_t n_hosts, n_vms;
	const struct mb_groups *groups; /* over the same VM indices */
};

struct mb_move {
	uint32_t vm;
	uint32_t from; /* MB_NOWHERE: first placement */
	uint32_t to;
	bool feasible; /* the destination has room for the full size when the move's turn comes */
	bool detour;   /* first half of a two-step move, to make room */
};

struct mb_plan_options {
	bool strict;		     /* planner `seed`: with the original's flaws mended */
	uint64_t seed;		     /* of every random choice */
	uint32_t overcommit_percent; /* hosts count as memory_mb * (100 + this) / 100 */
};

struct mb_plan {
	uint32_t *host;	       /* [0, n_vms): where each VM goes, or MB_NOWHERE; owned */
	struct mb_move *moves; /* in order; infeasible ones last; owned */
	size_t n_moves;
	uint64_t *before_mb, *after_mb; /* [0, n_hosts): usage_mb() before and after; owned */
	uint64_t before_total_mb, after_total_mb;
	uint64_t saving_before_pages; /* sum over hosts of VMs' pages - the union's distinct */
	uint64_t saving_after_pages;
	/* What the operator must know of this plan (a flaw met, a limit), or "". */
	char note[MB_PLAN_NOTE_BYTES];
};

struct mb_planner {
	const char *name;
	const char *summary;
	/*
	 * Fills ret_host[0, n_vms). -ENOSPC when a VM fits nowhere, -ERANGE when the seed's
	 * algorithm runs past the last host: both name the VM. Only the plain `seed` may over-fill
	 * a host or leave a VM at MB_NOWHERE; its note then says so. `note` is "" on entry and has
	 * MB_PLAN_NOTE_BYTES.
	 */
	int (*place)(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		     uint32_t *ret_host, char *note, struct mb_err *err);
};

extern const struct mb_planner mb_planner_seed, mb_planner_best;
/* NULL after the last. */
const struct mb_planner *mb_planner_at(size_t i);
/* NULL if there is none of that name. */
const struct mb_planner *mb_planner_find(const char *name);

/* What a host may hold, at full size. */
static inline uint64_t mb_plan_capacity_mb(const struct mb_plan_host *host,
					   const struct mb_plan_options *options)
{
	return host->memory_mb * (100 + (uint64_t)options->overcommit_percent) / 100;
}

/*
 * Checks the view (-EINVAL), runs the planner, orders the moves, computes before and after. A VM
 * that the planner leaves out has no move and no part in the figures after.
 */
int mb_plan_make(struct mb_plan *ret, const struct mb_planner *planner,
		 const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 struct mb_err *err);
void mb_plan_deinit(struct mb_plan *plan);

/* The one score (design.md 8): exact inter-VM saving of a placement, in pages, over all hosts. */
uint64_t mb_score_inter_pages(const struct mb_fleet_view *fleet, const uint32_t *host);
/* Distinct pages of the union of the VMs that `host` puts on `on`. */
uint64_t mb_score_union_pages(const struct mb_fleet_view *fleet, const uint32_t *host, uint32_t on);
/* The same for all hosts at once: ret_union[0, n_hosts). */
void mb_score_unions(const struct mb_fleet_view *fleet, const uint32_t *host, uint64_t *ret_union);

#endif
