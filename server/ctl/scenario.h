/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The scenario of a simulation:
 *
 *	{ "hosts": [ { "count": 4, "memory_mb": 1536 } ],
 *	  "types": [ { "name": "tpcw", "memory_mb": 384, "share_percent": 41 },
 *	             { "name": "mail", "memory_mb": 384, "share_percent": 20,
 *	               "data_percent": 10, "data_sets": 8 } ],
 *	  "arrivals": { "count": 40, "order": "random", "start": 4 } }
 *
 * docs/planner.md says what else there is. Two VMs of one type have share_percent of their pages in
 * common; data_percent of all pages, which is a part of that, only if they have the same of the
 * data sets; common_percent (of the smallest type's pages, and a part of that, too) VMs of any
 * types; self_percent are copies within a VM, which share with nobody. Or each type has a "trace",
 *relative to the file's folder, and VMs have its last epoch.
 *
 * Anything that is not understood is an error, which says where.
 */
#ifndef MB_CTL_SCENARIO_H
#define MB_CTL_SCENARIO_H

#include "server/plan/simulate.h"

enum {
	MB_SCENARIO_BYTES_MAX = 1 << 20,
	MB_SCENARIO_HOSTS_MAX = 10000,
	MB_SCENARIO_VMS_MAX = 100000,
	MB_SCENARIO_CELLS_MAX = 20000000, /* hosts x VMs */
	MB_SCENARIO_TYPES_MAX = 1000,
	MB_SCENARIO_DATA_SETS_MAX = 10000,
	MB_SCENARIO_STEPS_MAX = 10000,
};
#define MB_SCENARIO_MEMORY_MB_MAX ((uint64_t)1 << 23)

struct mb_scenario_type {
	char *name;
	uint64_t memory_mb; /* 0, of a trace only: what it takes */
	char *trace;	    /* path, or NULL */
	uint32_t share_percent, data_percent, data_sets, self_percent;
};

struct mb_scenario {
	uint64_t *host_mb; /* [0, n_hosts) */
	uint32_t n_hosts;
	struct mb_scenario_type *types; /* all with a trace, or none */
	uint32_t n_types;
	uint32_t common_percent;
	uint32_t n_vms;
	bool random_order; /* of the VMs' types; else in turn */
	struct mb_sim_rules rules;
	struct mb_plan_options options;
	/* What somebody else got: VMs placed. `published` is NULL where there is nothing. */
	char *note, *published;
	uint32_t published_aware, published_oblivious;
};

/* `folder` is what relative traces are put behind ("" for none). On error nothing is left. */
int mb_scenario_parse(const char *text, size_t n, const char *folder, struct mb_scenario *ret,
		      struct mb_err *err);
/* The same for a file; errors start with its path. */
int mb_scenario_read(const char *path, struct mb_scenario *ret, struct mb_err *err);
void mb_scenario_deinit(struct mb_scenario *s);

#endif
