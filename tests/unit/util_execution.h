/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fleets with plans to carry out, for the tests of executions. */
#ifndef MB_UTIL_EXECUTION_H
#define MB_UTIL_EXECUTION_H

#include "server/execution_drive.h"
#include "tests/unit/util_mover_fake.h"

#define CASE_MOVES_MAX 64

struct plan_case {
	struct fleet fleet;
	struct mb_plan_options plan_options;
	struct mb_move moves[CASE_MOVES_MAX];
	struct mb_plan plan;
};

/* Hosts "h0".. of these sizes, VMs "v0".. of these sizes on these hosts; no moves yet. */
void case_init(struct plan_case *c, uint32_t n_vms, const uint64_t *vm_mb, const uint32_t *vm_host,
	       uint32_t n_hosts, const uint64_t *host_mb);
/* Adds a feasible move of 10 s from where the plan has the VM by then. */
void case_move(struct plan_case *c, uint32_t vm, uint32_t to);
/* Full hosts and moves that have room one after the other, with long chains. */
void case_random(struct plan_case *c, struct rng *r);

void case_create(const struct plan_case *c, const struct mb_execution_options *o,
		 struct mb_execution *ret);
/* By the fake, to the end; *now_ms goes on. Fails when it does not end or anything went wrong. */
void case_run(struct mb_execution *x, struct fake *f, uint64_t *now_ms);
/* "done", "failed" ... of move i. */
const char *state_of(const struct mb_execution *x, uint32_t i);

#endif
