/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hard rules but memory's (server/plan/tally.h has that): may this VM come to that host, given
 * who is there? Kept up to date VM by VM; a question costs no more than the VM's own rules.
 *
 * All rules are monotone: a set of VMs that is allowed stays so when one leaves. So a placement
 * obeys them all just if its VMs can be put one after the other, in any order.
 */
#ifndef MB_PLAN_ROOM_H
#define MB_PLAN_ROOM_H

#include "server/plan/plan.h"

enum { MB_LOADS = 2 * MB_RESOURCES }; /* load 2 r is resource r's mean, 2 r + 1 its peak */

struct mb_room {
	const struct mb_fleet_view *fleet; /* borrowed, as are the options */
	const struct mb_plan_options *options;
	uint32_t *n_vms;  /* [0, n_hosts) */
	uint32_t *inflow; /* migrations that brought them there */
	int64_t *load;	  /* [h * MB_LOADS + l] */
	int64_t *limit;	  /* the same; INT64_MAX: none */
	/*
	 * Sum and sum of squares of the labels on a host: all are t just if they are n t and n t^2,
	 * for then their variance about t is 0.
	 */
	uint64_t *tenants, *tenant_squares, *trusts, *trust_squares;
	/* VMs of an anti-affinity rule on a host: [rule * n_hosts + h]. */
	uint32_t *apart;
	/* Which of those rules a VM is in: rules_of[first_of[v], first_of[v + 1]). */
	uint32_t *first_of, *rules_of;
	bool any_loads;
};

int mb_room_init(struct mb_room *r, const struct mb_fleet_view *fleet,
		 const struct mb_plan_options *options, struct mb_err *err);
void mb_room_deinit(struct mb_room *r);
/* Nobody anywhere. */
void mb_room_clear(struct mb_room *r);
/* Whether the rules allow it is not looked at. */
void mb_room_put(struct mb_room *r, uint32_t vm, uint32_t host);
void mb_room_take(struct mb_room *r, uint32_t vm, uint32_t host);

/*
 * May `vm`, which is not on `host`, come there, once `without` (a VM that is there, or MB_NOWHERE)
 * has left? On false the first rule that forbids it is told in `reason` (NULL: not asked for).
 */
bool mb_room_allows(const struct mb_room *r, uint32_t vm, uint32_t host, uint32_t without,
		    char *reason, size_t reason_bytes);

/*
 * Migrations that bring `vm` to `host`: those of all VMs of a unit, but none where it counts as
 * running already (what is spread comes together there one by one: server/plan/moves.h counts).
 */
static inline uint32_t mb_room_migrations(const struct mb_room *r, uint32_t vm, uint32_t host)
{
	uint32_t now = r->fleet->vms[vm].host;

	return now == MB_NOWHERE || now == host ? 0 : 1 + r->fleet->vms[vm].others_running;
}

/* Two hosts whose VMs could trade places as a whole, as far as these rules go. */
bool mb_room_alike(const struct mb_room *r, uint32_t a, uint32_t b);

#endif
