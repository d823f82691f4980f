/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Affinity: VMs that belong together are one unit, and planners see units only. A fleet without
 * such rules is its own view of units.
 *
 * A unit that is spread over hosts counts as running where its pinned VM is, else where most of its
 * memory is, of the active hosts if it is on any; the rest of it then has to move there.
 */
#ifndef MB_PLAN_UNIT_H
#define MB_PLAN_UNIT_H

#include "server/plan/plan.h"

struct mb_units {
	struct mb_fleet_view view; /* of units as VMs; its rules are MB_RULE_APART only */
	uint32_t *unit_of;	   /* [0, n_vms) */
	/* A unit's VMs, ascending: members[first_of[u], first_of[u + 1]). */
	uint32_t *first_of, *members;
	/* What the view points to, where it does not point to the fleet; owned. */
	struct mb_plan_vm *vms;
	struct mb_plan_rule *rules;
	uint32_t *rule_vms;
	char (*names)[MB_PLAN_NOTE_BYTES];
	struct mb_groups groups, score_groups;
};

/* `fleet` must have passed mb_plan_check(), and must outlive it. */
int mb_units_init(struct mb_units *u, const struct mb_fleet_view *fleet, struct mb_err *err);
void mb_units_deinit(struct mb_units *u);
/* Where the VMs are when the units are at unit_host[0, view.n_vms). */
void mb_units_expand(const struct mb_units *u, uint32_t n_vms, const uint32_t *unit_host,
		     uint32_t *ret_host);

static inline uint32_t mb_unit_size(const struct mb_units *u, uint32_t unit)
{
	return u->first_of[unit + 1] - u->first_of[unit];
}

#endif
