/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of planner `best`, each on a tally; all deterministic, ties go to the lower index. */
#ifndef MB_PLAN_SEARCH_H
#define MB_PLAN_SEARCH_H

#include "server/plan/tally.h"

struct mb_search {
	struct mb_tally tally;
	uint64_t *any; /* [0, n_vms): pages that at least one other VM has */
	/* Scratch, [0, n_vms) each. */
	uint64_t *own;
	uint32_t *best_host;
	uint32_t *order;
};

int mb_search_init(struct mb_search *s, const struct mb_fleet_view *fleet,
		   const struct mb_plan_options *options, struct mb_err *err);
void mb_search_deinit(struct mb_search *s);

/*
 * Greedy: puts the VMs that are nowhere, each time the (VM, host) that saves most. If no VM would
 * get `open_percent` of what it can share at all, a new host is opened instead, as long as there
 * is an empty one. False when a VM fits nowhere.
 */
bool mb_search_fill(struct mb_search *s, unsigned int open_percent);

/*
 * Any packing at all: largest VM first into the host it fills best, with bounded backtracking.
 * Starts from nobody anywhere. False when none was found; *ret_vm is then the VM that best-fit-
 * decreasing could not place, *ret_room_mb and *ret_host the largest room it met.
 */
bool mb_search_pack(struct mb_search *s, uint32_t *ret_vm, uint32_t *ret_host,
		    int64_t *ret_room_mb);

/* Moves, swaps and pushes (one VM in, another one out) that save more, until none or `work`. */
void mb_search_improve(struct mb_search *s, uint64_t work);

/* Moves a VM to a host, saving or not; if it does not fit, in exchange for one VM that is there. */
void mb_search_kick(struct mb_search *s, uint32_t vm, uint32_t host);

/* Fewer moves from `now` at no less saving: hosts trade places, VMs go back. */
void mb_search_settle(struct mb_search *s, const uint32_t *now);

#endif
