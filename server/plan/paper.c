// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The paper's rule, taken literally (section 4.1): VMs come one after the other, each to the
 * feasible host whose aggregate fingerprint it overlaps most. No VM is looked at twice, and any
 * overlap, be it the zero page alone, beats an empty host.
 */
#include "server/plan/plan.h"

#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/search.h"

static double value(const struct mb_tally *t, uint32_t vm, uint32_t host)
{
	return (double)mb_tally_gain(t, host, vm);
}

static int place(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t *ret_host, char *note, struct mb_err *err)
{
	mb_cleanup(mb_tally_deinit) struct mb_tally t;
	struct mb_no_fit no;
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
		if (best == MB_NOWHERE) {
			mb_search_no_fit(&t, v, &no);
			return mb_search_fail(fleet, &no, err);
		}
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
