/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Planners: which VM goes to which host, and which moves get there.
 *
 * Pure: const input, result in the caller's storage, no clock, no randomness but from `seed`; ties
 * are broken by index, so that the same input gives the same plan.
 *
 * Memory has two units here. A VM occupies memory_mb when nothing is shared (its full size, what it
 * needs on arrival: a live migration loses all sharing). After sharing a host holds the distinct
 * pages of its VMs' union; usage_mb() is that divided by 256 and cut to whole MB, as in the seed's
 * report (background: report's table).
 *
 * Rules are hard (paper 4.1, 4.3): no planner but the plain `seed`, which knows none of them, ever
 * trades one for gain. What breaks a rule already when planning begins is mended if it can be.
 */
#ifndef MB_PLAN_H
#define MB_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "server/groups.h"

#define MB_NOWHERE	     UINT32_MAX /* a VM that is on no host */
#define MB_PLAN_NOTE_BYTES   256
#define MB_PLAN_PAGES_PER_MB 256 /* of 4 KiB */

/* What a VM uses of a host beside memory. Mean and peak of one resource are two loads. */
enum mb_resource { MB_CPU_MILLICORES, MB_NETWORK_KBIT_S, MB_DISK_KB_S, MB_RESOURCES };

enum mb_host_state {
	MB_HOST_ACTIVE,
	MB_HOST_MAINTENANCE, /* takes no VM; those on it stay until it is drained */
	MB_HOST_POOL,	     /* switched off and empty: woken only when a question says so */
	MB_HOST_EMPTYING,    /* being drained: nobody may come or stay */
	MB_HOST_STATES
};

struct mb_plan_host {
	const char *name;
	uint64_t memory_mb;
	uint64_t reserve_mb;		 /* of it, for the host itself: never planned with */
	uint64_t capacity[MB_RESOURCES]; /* 0: not given, no limit */
	enum mb_host_state state;
	uint32_t trust;	   /* the trust domain whose VMs it takes; 0: any */
	uint64_t free_mb;  /* measured now; UINT64_MAX: not known */
	uint64_t cooled_s; /* since the last migration to or from it ended; UINT64_MAX: long ago */
};

struct mb_plan_vm {
	const char *name;
	uint64_t memory_mb; /* full size */
	uint64_t pages;	    /* in its fingerprint, copies included */
	uint64_t distinct;  /* distinct digests */
	uint32_t host;	    /* where it is now, or MB_NOWHERE */
	bool pinned;	    /* stays there */
	uint32_t tenant;    /* 0: none given. Numbers are the caller's, names are its business */
	uint32_t trust;	    /* trust domain; 0: none given */
	uint64_t mean[MB_RESOURCES], peak[MB_RESOURCES]; /* 0: not given */
	uint64_t dirty_kb_s;   /* memory that it rewrites, for the time of a migration */
	uint64_t swap_pages_s; /* swapping in its guest: hotspots */
	uint64_t stall_percent; /* of the time, tasks in its guest wait for memory: hotspots */
	uint64_t lost_pages;   /* sharing that it lost of late: hotspots */
	uint64_t lost_error_pages; /* by which that may be off; 0: exact */
	uint64_t settled_s;    /* since it came to its host; UINT64_MAX: long ago */
	/* Of a unit of several (server/plan/unit.h), which sets these; else 0. */
	uint32_t others, others_running; /* VMs beside the first; those of all but one that run */
	uint64_t beyond_pages; /* by which its VMs' fingerprints are larger than they are */
	/* What it shares is known from 1 in 2^this of its digests; VMs that share have the same. */
	uint32_t sample_shift;
};

enum mb_rule_kind {
	MB_RULE_TOGETHER, /* affinity: all on one host */
	MB_RULE_APART,	  /* anti-affinity: no two on one host */
};

struct mb_plan_rule {
	enum mb_rule_kind kind;
	const char *name;
	const uint32_t *vms; /* ascending */
	uint32_t n_vms;
};

struct mb_fleet_view {
	const struct mb_plan_host *hosts;
	const struct mb_plan_vm *vms;
	uint32_t n_hosts, n_vms;
	/* Over the same VM indices; exact but for those of VMs with a sample_shift. */
	const struct mb_groups *groups;
	/*
	 * What a planner goes by, where it is not `groups`: the same with less weight for digests
	 * that do not stay (server/plan/durable.h). No VM shares more of it than of `groups`.
	 */
	const struct mb_groups *score_groups;
	const struct mb_plan_rule *rules;
	uint32_t n_rules;
};

struct mb_plan_options {
	bool strict;		     /* planner `seed`: with the original's flaws mended */
	uint64_t seed;		     /* of every random choice */
	uint32_t overcommit_percent; /* hosts count as memory_mb * (100 + this) / 100 */
	/*
	 * How much of what a host's VMs share counts as room on it, 0 (none: all VMs at full size)
	 * to 100 (all of it). The rest is head-room for un-sharing.
	 */
	uint32_t count_sharing_percent;
	uint32_t mean_percent; /* of a capacity that the means may fill; 0: 100 */
	uint32_t peak_percent; /* that the peaks may fill; 0: 100 */
	bool one_tenant_per_host;
	bool one_trust_domain_per_host;
	uint32_t inflow_max; /* migrations to one host in one plan; 0: no limit */
	/* A plan's moves, but those that must be, save at least so much each ... */
	uint64_t min_gain_pages;
	/* ... and more than the figures are wrong by, in all, beside what samples are. */
	uint64_t error_pages;
	uint64_t hold_s;     /* VMs that came to their host later than this stay */
	uint64_t cooldown_s; /* so do VMs on hosts with a migration later than this */
	/* For the expected time. */
	uint32_t concurrent_max; /* migrations at a time to or from one host; 0: 1 */
	uint32_t link_mbit_s;	 /* that a migration gets; 0: 10000 */
	uint32_t merge_mb_s;	 /* how fast a host merges what arrived; 0: 20, KSM's default */
};

/* Why a move is there: the goal that it serves (server/plan/explain.h puts it into words). */
enum mb_move_why {
	MB_WHY_GAIN,	 /* saves memory where it goes */
	MB_WHY_PLACE,	 /* ran nowhere */
	MB_WHY_RULE,	 /* where it is breaks a rule, or has no room for it */
	MB_WHY_EMPTY,	 /* its host is to be emptied */
	MB_WHY_RELIEVE,	 /* its host is a hotspot */
	MB_WHY_ROOM,	 /* makes room for another one */
	MB_WHY_TOGETHER, /* goes where the others of its affinity group go */
};

struct mb_move {
	uint32_t vm;
	uint32_t from; /* MB_NOWHERE: first placement */
	uint32_t to;
	bool feasible; /* rules and room for the full size hold when the move's turn comes */
	bool detour;   /* first half of a two-step move, to make room */
	enum mb_move_why why;
	int64_t gain_pages;	  /* what this move changes of the saving when its turn comes */
	uint64_t there_pages;	  /* of its pages are at its destination already */
	uint32_t with;		  /* whom it shares most with there; MB_NOWHERE: nobody */
	uint64_t copy_mb;	  /* memory, and what is dirtied meanwhile */
	uint64_t start_s, time_s; /* from the plan's begin; its duration */
	bool converges;		  /* the link is faster than the VM dirties its memory */
};

struct mb_plan {
	uint32_t *host;	       /* [0, n_vms): where each VM goes, or MB_NOWHERE; owned */
	struct mb_move *moves; /* in order; infeasible ones last; owned */
	size_t n_moves;
	uint64_t *before_mb, *after_mb; /* [0, n_hosts): usage_mb() before and after; owned */
	uint64_t before_total_mb, after_total_mb;
	uint64_t saving_before_pages; /* sum over hosts of VMs' pages - the union's distinct */
	uint64_t saving_after_pages;
	uint64_t copy_mb, time_s; /* of all feasible moves */
	/* What the operator must know of this plan (a flaw met, a limit), or "". */
	char note[MB_PLAN_NOTE_BYTES];
};

struct mb_tally;

struct mb_planner {
	const char *name;
	const char *summary;
	/*
	 * Fills ret_host[0, n_vms). -ENOSPC when a VM fits nowhere, -ERANGE when the seed's
	 * algorithm runs past the last host: both name the VM. Only the plain `seed` may over-fill
	 * a host, break a rule or leave a VM at MB_NOWHERE; its note then says so. `note` is "" on
	 * entry and has MB_PLAN_NOTE_BYTES. There are no rules of MB_RULE_TOGETHER in the view:
	 * such VMs are one VM here (server/plan/unit.h).
	 */
	int (*place)(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		     uint32_t *ret_host, char *note, struct mb_err *err);
	/*
	 * How well a VM that is nowhere would do on a host where it fits: the largest wins, the
	 * lower index on a tie. For placing, draining, consolidating, relieving.
	 */
	double (*value)(const struct mb_tally *t, uint32_t vm, uint32_t host);
	/*
	 * What an empty host is worth to a new VM, of all that it could share: whom it shares more
	 * with may come there later. With 0, a page that all have makes hosts fill up in the order
	 * in which VMs come.
	 */
	uint32_t open_percent;
};

extern const struct mb_planner mb_planner_seed, mb_planner_paper, mb_planner_best;
/* NULL after the last. */
const struct mb_planner *mb_planner_at(size_t i);
/* NULL if there is none of that name. */
const struct mb_planner *mb_planner_find(const char *name);

/* What VMs may take of a host's memory. */
static inline uint64_t mb_plan_capacity_mb(const struct mb_plan_host *host,
					   const struct mb_plan_options *options)
{
	uint64_t mb = host->memory_mb * (100 + (uint64_t)options->overcommit_percent) / 100;

	return mb > host->reserve_mb ? mb - host->reserve_mb : 0;
}

/* ret_here[0, n_vms): distinct pages of each VM that another VM on its host has, too. */
void mb_score_here(const struct mb_fleet_view *fleet, const uint32_t *host, uint64_t *ret_here);

/*
 * -EINVAL for a fleet that cannot be: sizes, indices, groups that do not belong to it, rules that
 * contradict each other or the pins; names the VM, host or rule.
 */
int mb_plan_check(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		  struct mb_err *err);

/*
 * Rebalances: checks the view, runs the planner, drops what does not pay (the planner `best` only:
 * the others are for comparison), orders the moves, computes before and after. A VM that the
 * planner leaves out has no move and no part in the figures after.
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
