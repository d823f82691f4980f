/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A scenario's hosts and VMs with their memory: what a simulation is played on. */
#ifndef MB_CTL_SCENARIO_WORLD_H
#define MB_CTL_SCENARIO_WORLD_H

#include "server/ctl/scenario.h"

struct mb_scenario_world {
	struct mb_sim_world world;
	/* What the world borrows. */
	char (*names)[140];
	struct mb_plan_host *hosts;
	struct mb_plan_vm *vms;
	struct mb_groups groups; /* of traces */
	struct mb_synth_image *images;
	struct mb_synth_vm *synth;
	struct mb_sim_data *data;
	uint32_t *type_of; /* [0, n_vms) */
};

/*
 * Reads the traces, if there are any (with a bar on a terminal); several VMs of one trace are
 * clones. The scenario's seed decides what is drawn.
 */
int mb_scenario_world_init(struct mb_scenario_world *w, const struct mb_scenario *scenario,
			   struct mb_err *err);
void mb_scenario_world_deinit(struct mb_scenario_world *w);

#endif
