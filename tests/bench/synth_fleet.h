/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Synthetic fleets, "OS x application x data": every VM has one operating system, one application
 * and one data set, drawn at random, each an image (server/plan/synth.h). A part of the application
 * is the same on every OS, the rest on one OS only. The zero page is in all of them.
 *
 * The fleets of mb_synth_fleets[]:
 *
 *	easy    applications are half of the memory, whole: who belongs together is plain
 *	hard	1000 VMs of 65k pages on 100 hosts, no room to spare. Tuned to what the first fleet
 *		that planners were compared on gave: of all distinct pages, VMs placed in turn save
 *		5.4 %, the paper's literal rule 5.5 and the global greedy 13.3 (here 5.5, 5.4,
 *		13.3). So an OS, of 4, is common enough to be met by chance, which makes the 5.4;
 *		who has the same application, of 50, and data set, of 250, must be looked for; none
 *		follows from another; and each VM has three quarters of the parts of its images,
 *		which makes 4700 groups that overlap
 *	tight	VMs of three sizes fill the hosts to 98 %: packing limits what can be saved
 *	small	2000 small VMs, 50 on each host
 */
#ifndef MB_TESTS_SYNTH_FLEET_H
#define MB_TESTS_SYNTH_FLEET_H

#include "server/plan/plan.h"

struct mb_synth_kind {
	uint32_t n; /* how many of them there are to choose from */
	uint32_t pages, parts, keep_percent;
};

struct mb_synth_fleet_params {
	const char *name;
	const char *summary;
	uint64_t seed;
	uint32_t n_hosts, n_vms;
	uint64_t host_mb;
	uint32_t vm_pages;   /* distinct ones of the smallest VMs */
	uint32_t n_sizes;    /* VMs are 1, 2, .. 2^(n_sizes - 1) times that */
	uint32_t self_pages; /* copies beside them, of the zero page above all */
	struct mb_synth_kind os, app, data;
	uint32_t app_on_os_percent; /* of an application, what is on one OS only */
};

struct mb_synth_fleet {
	struct mb_fleet_view view;
	/* What the view borrows. */
	struct mb_plan_host *hosts;
	struct mb_plan_vm *vms;
	struct mb_groups groups;
	char (*names)[16];
};

/* Ends with one whose name is NULL. */
extern const struct mb_synth_fleet_params mb_synth_fleets[];

/*
 * VMs are placed in turn on the hosts, each on the next that has room for its full size; one that
 * no host has room for is nowhere. -EINVAL for what cannot be.
 */
int mb_synth_fleet_init(struct mb_synth_fleet *f, const struct mb_synth_fleet_params *params,
			struct mb_err *err);
void mb_synth_fleet_deinit(struct mb_synth_fleet *f);

#endif
