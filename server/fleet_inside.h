/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of the fleet: for fleet*.c only. */
#ifndef MB_SERVER_FLEET_INSIDE_H
#define MB_SERVER_FLEET_INSIDE_H

#include <pthread.h>

#include "server/fleet.h"
#include "server/fpref_inside.h"
#include "server/key_rotation.h"
#include "server/names.h"

/* A VM, at an address of its own, so that the array may move. */
struct mb_fleet_slot {
	struct mb_vm vm;
	uint64_t bytes; /* of held_bytes */
	/* Since mb_fleet_take(): under settle_lock. */
	struct mb_change changed, lasting_changed;
};

struct mb_fleet {
	/* What lasts and what changed is worked out by one at a time; taken before `lock`. */
	pthread_mutex_t settle_lock;
	/* Held for copies only, never while anything is computed. */
	pthread_mutex_t lock;
	struct mb_fpref *unsettled, **unsettled_end; /* published since the last time, in order */
	uint64_t durable_ns;
	struct mb_fleet_slot **slots;
	uint64_t *stamps; /* of each VM: the generation in which it changed last */
	uint32_t n, cap;
	struct mb_names names; /* of all slots; room for `cap` */
	uint64_t generation;
	uint64_t budget_bytes, held_bytes; /* 0: no budget */
	unsigned int shift;		   /* what samples must have at least (estimate.h) */
	uint32_t n_paged_out;
	uint64_t page_outs, page_ins; /* ever */
	struct mb_key_rotations rotations;
};

/* Under the lock: counts again what a VM holds. */
void mb_fleet_account(struct mb_fleet *f, struct mb_fleet_slot *slot);
/* Under settle_lock: settles a list that was taken off f->unsettled, and lets go of it. */
void mb_fleet_settle_list(struct mb_fleet *f, struct mb_fpref *first);

#endif
