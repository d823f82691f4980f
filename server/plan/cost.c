// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/cost.h"

#include "proto/base/cleanup.h"

#define LINK_MBIT_S_DEFAULT 10000
#define MERGE_MB_S_DEFAULT  20 /* 100 pages every 20 ms */
/* QEMU's pre-copy gives up before: what is left is copied at a stop. */
#define ROUNDS_MAX 30
#define STOP_MB	   16 /* so little left is copied while the VM stands still */

static uint64_t to_u64(double x)
{
	return x < 0x1p64 ? (uint64_t)x : UINT64_MAX;
}

void mb_plan_cost(struct mb_move *move, const struct mb_plan_vm *vm,
		  const struct mb_plan_options *options)
{
	double mbit_s = options->link_mbit_s ? options->link_mbit_s : LINK_MBIT_S_DEFAULT;
	double mb_s = mbit_s * 1e6 / 8 / (1 << 20);
	double ratio = (double)vm->dirty_kb_s / 1024 / mb_s;
	double left = (double)vm->memory_mb, sum = 0;

	move->copy_mb = move->time_s = 0;
	move->converges = true;
	if (move->from == MB_NOWHERE)
		return;
	move->converges = ratio < 1;
	for (unsigned int i = 0; i < ROUNDS_MAX && left > 0; i++) {
		sum += left;
		/* What is dirtied is at most all of it. */
		left = left <= STOP_MB ? 0 : MB_MIN(left * ratio, (double)vm->memory_mb);
	}
	sum += left;
	move->copy_mb = to_u64(sum + 0.5);
	move->time_s = to_u64(sum / mb_s + 1);
}

uint64_t mb_plan_merge_s(const struct mb_plan_vm *vm, const struct mb_plan_options *options)
{
	uint64_t mb_s = options->merge_mb_s ? options->merge_mb_s : MERGE_MB_S_DEFAULT;

	return vm->memory_mb / mb_s + (vm->memory_mb % mb_s != 0);
}
