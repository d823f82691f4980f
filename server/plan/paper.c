// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The paper's rule, taken literally (section 4.1): VMs come one after the other, each to the
 * feasible host whose aggregate fingerprint it overlaps most. No VM is looked at twice, and any
 * overlap, be it the zero page alone, beats an empty host.
 */
#include "server/plan/plan.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/tally.h"

static double value(const struct mb_tally *t, uint32_t vm, uint32_t host)
{
	return (double)mb_tally_gain(t, host, vm);
}

static int fits_nowhere(const struct mb_tally *t, uint32_t vm, struct mb_err *err)
{
	const struct mb_plan_vm *v = &t->fleet->vms[vm];
	char rule[MB_PLAN_NOTE_BYTES];
	uint32_t largest = 0;

	if (!t->fleet->n_hosts)
		return mb_fail(err, ENOSPC, "VM \"%.80s\" (%llu MB) fits on no host: there is none",
			       v->name, (unsigned long long)v->memory_mb);
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++) {
		if (mb_tally_need(t, vm, h) <= t->room[h] &&
		    !mb_room_allows(&t->rules, vm, h, MB_NOWHERE, rule, sizeof(rule)))
			return mb_fail(err, ENOSPC,
				       "VM \"%.80s\" fits on no host when its turn comes: there is "
				       "room on \"%.80s\", but %s",
				       v->name, t->fleet->hosts[h].name, rule);
		if (t->room[h] > t->room[largest])
			largest = h;
	}
	return mb_fail(
		err, ENOSPC,
		"VM \"%.80s\" (%llu MB) fits on no host when its turn comes: the largest room "
		"is %lld MB on \"%.80s\"",
		v->name, (unsigned long long)v->memory_mb,
		(long long)(t->room[largest] / MB_TALLY_MB), t->fleet->hosts[largest].name);
}

static int place(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t *ret_host, char *note, struct mb_err *err)
{
	mb_cleanup(mb_tally_deinit) struct mb_tally t;
	int r = mb_tally_init(&t, fleet, options, err);

	(void)note;
	if (r < 0)
		return r;
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		uint32_t best = MB_NOWHERE;

		if (t.host[v] != MB_NOWHERE)
			continue;
		for (uint32_t h = 0; h < fleet->n_hosts; h++)
			if ((best == MB_NOWHERE ||
			     mb_tally_gain(&t, h, v) > mb_tally_gain(&t, best, v)) &&
			    mb_tally_fits(&t, v, h))
				best = h;
		if (best == MB_NOWHERE)
			return fits_nowhere(&t, v, err);
		mb_tally_put(&t, v, best);
	}
	memcpy(ret_host, t.host, fleet->n_vms * sizeof(*ret_host));
	return 0;
}

const struct mb_planner mb_planner_paper = {
	.name = "paper",
	.summary = "one VM after the other to the host that has most of its pages (VEE 2009, 4.1)",
	.place = place,
	.value = value,
};
