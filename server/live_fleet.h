/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fleet as a planner sees it: what agents report, completed by the fleet file.
 *
 * The file wins where both speak (a VM's size and host): it is what the operator wrote. VMs that
 * only the file knows take their place and share nothing.
 */
#ifndef MB_SERVER_LIVE_FLEET_H
#define MB_SERVER_LIVE_FLEET_H

#include "server/fleet_file.h"
#include "server/plan/plan.h"
#include "server/sharing.h"

struct mb_live_fleet {
	struct mb_fleet_view
		view;	       /* VMs: the snapshot's first, at their indices, then the file's */
	uint32_t n_file_hosts; /* the first hosts; further ones are known by name only, memory 0 */
	struct mb_plan_host *hosts; /* owned, as the array below; names are borrowed */
	struct mb_plan_vm *vms;
};

/* `file` and `sharing` must outlive it. */
int mb_live_fleet_init(struct mb_live_fleet *ret, const struct mb_sharing_view *sharing,
		       const struct mb_fleet_file *file, struct mb_err *err);
void mb_live_fleet_deinit(struct mb_live_fleet *f);

#endif
