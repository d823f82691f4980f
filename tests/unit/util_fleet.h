/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small fleets for the planners' tests: sharing groups, VMs "v0".., hosts "h0".. */
#ifndef MB_UTIL_FLEET_H
#define MB_UTIL_FLEET_H

#include "server/plan/plan.h"
#include "tests/unit/util_test.h"

#define FLEET_VMS_MAX	64
#define FLEET_HOSTS_MAX 16

struct fleet {
	struct mb_plan_host hosts[FLEET_HOSTS_MAX];
	struct mb_plan_vm vms[FLEET_VMS_MAX];
	struct mb_groups groups;
	struct mb_fleet_view view;
};

/* VMs of `vm_mb`, all on MB_NOWHERE, that share nothing yet; hosts of `host_mb`. */
void fleet_init(struct fleet *f, uint32_t n_vms, const uint64_t *vm_mb, uint32_t n_hosts,
		const uint64_t *host_mb);
void fleet_deinit(struct fleet *f);
/* `weight` pages that just the VMs in the bitmap `set` have. */
void fleet_share(struct fleet *f, uint64_t set, uint64_t weight);
/* Random sizes and sharing; `coarse` makes ties frequent. All VMs nowhere. */
void fleet_random(struct rng *r, struct fleet *f, uint32_t n_vms, uint32_t n_hosts, bool coarse);
/* Puts each VM on a random host, whether it fits or not. */
void fleet_scatter(struct rng *r, struct fleet *f);

/* Every VM on a host and no host over its capacity. */
bool fleet_fits(const struct fleet *f, const struct mb_plan_options *o, const uint32_t *host);
/* The highest saving of all placements that fit, by trying all; UINT64_MAX if none fits. */
uint64_t fleet_optimum(const struct fleet *f, const struct mb_plan_options *o);
/*
 * Carries the moves out, the infeasible ones excepted, and asserts that each fits when its turn
 * comes, that no infeasible one would, and that the feasible ones come first.
 * `at` gets where the VMs end.
 */
void fleet_replay(const struct fleet *f, const struct mb_plan_options *o,
		  const struct mb_move *moves, size_t n, uint32_t *at);

#endif
