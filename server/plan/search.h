/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The steps of planner `best`, each on a tally; all deterministic, ties go to the lower index. */
#ifndef MB_PLAN_SEARCH_H
#define MB_PLAN_SEARCH_H

#include "server/plan/tally.h"

struct mb_search {
	struct mb_tally tally;
	struct mb_tally packing; /* the same fleet as if nothing were shared: cheap to try in */
	struct mb_fleet_view nothing_shared;
	struct mb_plan_options all_full;
	bool told_apart; /* hosts or VMs differ in more than memory */
	uint64_t *any;	 /* [0, n_vms): pages that at least one other VM has */
	struct mb_ways_out {
		bool known;
		uint32_t first, second;
	} * ways_out; /* [0, n_vms) */
	/* Scratch, [0, n_vms) each; from `used` on [0, n_hosts). */
	uint64_t *own;
	uint32_t *best_host;
	uint32_t *order;
	int64_t *tried_room;
	int64_t *used;
	uint64_t *gain_of;
	int64_t *lacks;
};

/* Why a VM could not be placed. */
struct mb_no_fit {
	uint32_t vm;
	uint32_t host; /* with the largest room, or with room that a rule forbids; MB_NOWHERE: none
			*/
	int64_t room_mb;
	char rule[MB_PLAN_NOTE_BYTES]; /* or "" */
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
 * Any packing at all, at full size: largest VM first into the host it fills best, with bounded
 * backtracking. Starts from the pinned. False when none was found; *ret then says what best-fit-
 * decreasing could not place.
 */
bool mb_search_pack(struct mb_search *s, struct mb_no_fit *ret);

enum { MB_SEARCH_ALL_VMS_MAX = 16 };

/*
 * Looks at all placements of a fleet of at most so many VMs beside the pinned, as far as `work`
 * leads: *ret_found, ret_host[0, n_vms) gets the first of those that save most, if that is more
 * than *more_than (NULL: if there is any at all). True: it has seen them all, so that there is none
 * better. The tally is to be loaded again.
 */
bool mb_search_all(struct mb_search *s, const uint64_t *more_than, uint64_t work,
		   uint32_t *ret_host, bool *ret_found);

/* Moves, swaps and pushes (one VM in, another one out) that save more, until none or `work`. */
void mb_search_improve(struct mb_search *s, uint64_t work);

/*
 * One move after the other, each saving more than `min_gain_pages` and with room for the VM at full
 * size when it comes: where a better placement cannot be reached, some of the way to it.
 */
void mb_search_climb(struct mb_search *s, uint64_t min_gain_pages, uint64_t work);

/* Moves a VM to a host, saving or not; if it does not fit, in exchange for one VM that is there. */
void mb_search_kick(struct mb_search *s, uint32_t vm, uint32_t host);

/*
 * Fewer moves from `now`: hosts trade places, and every VM goes back whose move, alone or with the
 * one that takes its place, does not save more than `min_gain_pages` a move.
 */
void mb_search_settle(struct mb_search *s, const uint32_t *now, uint64_t min_gain_pages);

/* --- what the steps are made of --- */

/* For qsort_r() of VM indices by a tally: the larger at full size first, then the lower index. */
int mb_search_compare_larger(const void *a, const void *b, void *tally);
/* Why a VM, which is nowhere, fits nowhere now. */
void mb_search_no_fit(const struct mb_tally *t, uint32_t v, struct mb_no_fit *ret);
/* -ENOSPC, and that in words. */
int mb_search_fail(const struct mb_fleet_view *fleet, const struct mb_no_fit *no,
		   struct mb_err *err);

/* Where a VM, except where it is, would gain most; MB_NOWHERE where it fits nowhere. */
uint32_t mb_search_best_host(struct mb_tally *t, uint32_t v);
/* own[] of all VMs on two hosts. */
void mb_search_refresh(struct mb_search *s, uint32_t host_a, uint32_t host_b);
/* Necessary for a swap, and cheap; mb_search_swap() says false, and does nothing, if it won't do.
 */
bool mb_search_may_swap(const struct mb_tally *t, uint32_t a, uint32_t b);
bool mb_search_swap(struct mb_tally *t, uint32_t a, uint32_t b);

static inline void mb_search_move(struct mb_tally *t, uint32_t v, uint32_t to)
{
	mb_tally_take(t, v);
	mb_tally_put(t, v, to);
}

#endif
