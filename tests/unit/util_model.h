/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small fleets with rules, and what the headers of server/plan/ say of them, written down as
 * naively as can be: whole placements are looked at anew each time, nothing is kept up to date.
 */
#ifndef MB_UTIL_MODEL_H
#define MB_UTIL_MODEL_H

#include "tests/unit/util_fleet.h"

#ifdef __SANITIZE_ADDRESS__
#define MODEL_FLEETS 300
#else
#define MODEL_FLEETS 3000
#endif
#define MODEL_RULES_MAX 4

struct model {
	struct fleet f;
	struct mb_plan_options o;
	struct mb_plan_rule rules[MODEL_RULES_MAX];
	uint32_t rule_vms[MODEL_RULES_MAX][FLEET_VMS_MAX];
};

/* Random fleet, options, loads, labels, states and rules; all VMs nowhere. */
void model_random(struct rng *r, struct model *m, uint32_t n_vms, uint32_t n_hosts);
/* Puts each VM on a random host that is switched on, whether it fits or not. */
void model_scatter(struct rng *r, struct model *m);
void model_deinit(struct model *m);
struct mb_plan_rule *model_add_rule(struct model *m, enum mb_rule_kind kind, uint64_t set);
/*
 * Puts VMs on random hosts, full size on arrival and every rule obeyed; groups that want to be
 * together wholly or not at all. Who finds no place stays nowhere.
 */
void model_settle(struct rng *r, struct model *m);

/* Whether VMs a and b must be together, by however many rules. */
bool model_together(const struct model *m, uint32_t a, uint32_t b);
/* Do the VMs that `at` puts on a host get on: loads, tenants, trust, anti-affinity? */
bool model_gets_on(const struct model *m, const uint32_t *at, uint32_t host);
/* May a VM be there, as far as the host's state goes? */
bool model_is_open(const struct model *m, uint32_t vm, uint32_t host);
/* How many VMs on a host came from another one. */
uint32_t model_inflow(const struct model *m, const uint32_t *at, uint32_t host);

/* Memory, in hundredths of pages: a VM's full size, and what is left of a host when all merged. */
int64_t model_full(const struct model *m, uint32_t vm);
int64_t model_room(const struct model *m, const uint32_t *at, uint32_t host);
/* May a VM, which is not there, come to a host at full size? */
bool model_may_come(const struct model *m, const uint32_t *at, uint32_t vm, uint32_t host);

/*
 * Carries the feasible moves out and asserts that each is allowed when its turn comes, and that
 * the infeasible ones stand at the end. `at` gets where the VMs end.
 */
void model_replay(const struct model *m, const struct mb_move *moves, size_t n, uint32_t *at);
/* The plan's figures are those of its moves. */
void model_check_plan(const struct model *m, const struct mb_plan *plan);

#endif
