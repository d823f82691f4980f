/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Plays a fleet against a planner, or against a scheduler that knows nothing of sharing: VMs arrive
 * one by one until there is no room, then memory churns, step by step, and the planner may move
 * VMs.
 *
 * All players live on the same hosts, and those do merge equal pages: the oblivious ones have what
 * is shared by chance, and see it in the free memory (as in the paper, section 7). A host's used
 * memory is the full sizes of its VMs less what they save there, self-sharing included.
 *
 * On arrival a VM has its full size, and needs room for it: what it shares is merged later. With
 * arrive_merged it needs room for the rest only, as if it had been merged before it came (on the
 * paper's staging host, say); no rule but memory is looked at then.
 *
 * Pure and deterministic, as all planning (plan.h).
 */
#ifndef MB_PLAN_SIMULATE_H
#define MB_PLAN_SIMULATE_H

#include "server/plan/plan.h"
#include "server/plan/synth.h"

enum mb_sim_policy {
	MB_SIM_PLANNER,	  /* new VMs by mb_plan_rank(), moves by mb_plan_make() */
	MB_SIM_FIRST_FIT, /* the first host with room */
	MB_SIM_MOST_FREE, /* the host with the most free memory */
};

struct mb_sim_player {
	const char *name;
	enum mb_sim_policy policy;
	const struct mb_planner *planner; /* of MB_SIM_PLANNER only */
};

/* Where a VM's memory comes from when it gets other data: one of so many images. */
struct mb_sim_data {
	uint32_t slot; /* of mb_synth_vm.images[] */
	uint32_t first_image, n_images;
};

struct mb_sim_world {
	const struct mb_plan_host *hosts;
	uint32_t n_hosts;
	/* In order of arrival; where they are is the simulation's business. */
	const struct mb_plan_vm *vms;
	uint32_t n_vms;
	/* Their memory: either it stays as it is (traces) ... */
	const struct mb_groups *groups;
	/* ... or is synthetic, and may change. data may be NULL. */
	const struct mb_synth_image *images;
	uint32_t n_images;
	const struct mb_synth_vm *synth;
	const struct mb_sim_data *data;
};

struct mb_sim_rules {
	uint64_t seed;
	uint32_t n_start; /* the first VMs run already, in turn on the hosts, whoever plays */
	bool arrive_merged;
	bool make_room; /* before a planner refuses a VM it may move others, once a refusal */
	/* Steps after the arrivals, and what happens in each, in percent of the VMs that run. */
	uint32_t n_steps;
	uint32_t leave_percent;
	uint32_t change_percent; /* get other data */
	uint32_t arrive_percent; /* new ones, of the kinds that do not run */
	bool rebalance;		 /* the planner may move VMs at the end of each step */
};

struct mb_sim_step {
	uint32_t left, changed, arrived, refused;
	uint32_t moves;	     /* migrations made */
	uint32_t infeasible; /* planned, but there was no room when their turn came */
	bool plan_failed;
	/* At its end. */
	uint32_t vms, hosts_used;
	uint64_t full_mb, used_mb;
	uint64_t inter_pages; /* saved because of who runs where */
	uint32_t hosts_over;  /* use more than they have: they swap */
	uint64_t over_mb;     /* by so much, all together */
};

struct mb_sim_result {
	struct mb_sim_step *steps; /* [0]: all arrivals; owned */
	uint32_t n_steps;	   /* with that one */
	uint32_t before_refusal;   /* VMs that arrived before one was refused */
	struct mb_err no_plan;	   /* why a plan failed, the first time, or "" */
};

/* -EINVAL for a world that cannot be, -EOPNOTSUPP for data that should change and cannot. */
int mb_sim_run(struct mb_sim_result *ret, const struct mb_sim_world *world,
	       const struct mb_sim_player *player, const struct mb_sim_rules *rules,
	       const struct mb_plan_options *options, struct mb_err *err);
void mb_sim_result_deinit(struct mb_sim_result *r);

#endif
