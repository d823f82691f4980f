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
/*
 * v0 on h0 goes to h1; v1 on h1 makes room for it and goes to h2; v2 on h3 goes to h0 after v0; v3
 * has to do with none of them.
 */
void case_chain(struct plan_case *c);
/* Full hosts and moves that have room one after the other, with long chains. */
void case_random(struct plan_case *c, struct rng *r);

void case_create(const struct plan_case *c, const struct mb_execution_options *o,
		 struct mb_execution *ret);
/* By the fake, to the end; *now_ms goes on. Fails when it does not end or anything went wrong. */
void case_run(struct mb_execution *x, struct fake *f, uint64_t *now_ms);
/* Makes it, and runs it from 1000 ms on by a fake with this script (NULL: at random). */
void case_play(struct plan_case *c, const struct mb_execution_options *o,
	       const enum fake_fate *script, struct fake *f, struct mb_execution *x);
/* The states of all moves: "done failed skipped". */
void case_expect(const struct mb_execution *x, const char *states);
/* The next order is this one, about this move. */
struct mb_order case_step(struct mb_execution *x, enum mb_order_kind kind, uint32_t move,
			  uint64_t now);
/* "done", "failed" ... of move i. */
const char *state_of(const struct mb_execution *x, uint32_t i);

#endif
