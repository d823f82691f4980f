// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet_options.h"

#include "proto/base/cli.h"

#define YEAR_S (366 * 86400)

/* clang-format off */
const struct mb_option_info mb_option_infos[MB_OPTIONS] = {
	[MB_OPTION_OVERCOMMIT] = { "overcommit_percent", "overcommit", false, 0, 1000, 0, "PERCENT",
		"Count hosts as that much larger than they are" },
	[MB_OPTION_COUNT_SHARING] = { "count_sharing_percent", NULL, false, 0, 100, 0, "PERCENT",
		"How much of what a host's VMs share counts as room on it; the rest is head-room "
		"for un-sharing" },
	[MB_OPTION_MEAN] = { "mean_percent", NULL, false, 1, 1000, 80, "PERCENT",
		"Of a host's CPU, network and disk, what its VMs' means may fill" },
	[MB_OPTION_PEAK] = { "peak_percent", NULL, false, 1, 1000, 100, "PERCENT",
		"The same for their peaks" },
	[MB_OPTION_ONE_TENANT] = { "one_tenant_per_host", NULL, true, 0, 1, 0, NULL,
		"No two tenants on one host" },
	[MB_OPTION_ONE_TRUST_DOMAIN] = { "one_trust_domain_per_host", NULL, true, 0, 1, 0, NULL,
		"No two trust domains on one host" },
	[MB_OPTION_INFLOW] = { "inflow_max", NULL, false, 0, 1000000, 0, "N",
		"Migrations to one host in one plan; 0: no limit" },
	[MB_OPTION_MIN_GAIN] = { "min_gain_mb", NULL, false, 0, 1 << 20, 16, "MB",
		"A move that only saves memory saves at least so much (planner best)" },
	[MB_OPTION_HOLD] = { "hold_s", NULL, false, 0, YEAR_S, 600, "SECONDS",
		"VMs that came to their host later than that stay" },
	[MB_OPTION_COOLDOWN] = { "cooldown_s", NULL, false, 0, YEAR_S, 300, "SECONDS",
		"So do VMs on hosts with a migration later than that" },
	[MB_OPTION_CONCURRENT] = { "concurrent_max", NULL, false, 1, 1000, 2, "N",
		"Migrations at a time to or from one host, for the expected time" },
	[MB_OPTION_LINK] = { "link_mbit_s", NULL, false, 1, 10000000, 10000, "MBIT",
		"What one migration gets of the network, for the expected time" },
	[MB_OPTION_MERGE] = { "merge_mb_s", NULL, false, 1, 1000000, 20, "MB",
		"How fast a host merges what arrived (KSM), for the expected time" },
	[MB_OPTION_DURABLE] = { "durable_s", NULL, false, 0, YEAR_S, 3600, "SECONDS",
		"Contents that a VM has had for so long are durable" },
	[MB_OPTION_VOLATILE] = { "volatile_percent", NULL, false, 0, 100, 50, "PERCENT",
		"Weight of the sharing of contents that are not durable" },
};
/* clang-format on */

void mb_fleet_options_init(struct mb_fleet_options *o)
{
	for (int i = 0; i < MB_OPTIONS; i++)
		o->value[i] = mb_option_infos[i].initial;
}

int mb_fleet_options_set(struct mb_fleet_options *o, enum mb_option option, const char *shown,
			 const char *text, struct mb_err *err)
{
	const struct mb_option_info *info = &mb_option_infos[option];

	return mb_parse_u64(text, info->min, info->max, shown, &o->value[option], err);
}

void mb_fleet_options_plan(const struct mb_fleet_options *o, struct mb_plan_options *ret)
{
	const uint64_t *v = o->value;

	/* No value is above 2^31 (the table's maxima). */
	*ret = (struct mb_plan_options){
		.overcommit_percent = (uint32_t)v[MB_OPTION_OVERCOMMIT],
		.count_sharing_percent = (uint32_t)v[MB_OPTION_COUNT_SHARING],
		.mean_percent = (uint32_t)v[MB_OPTION_MEAN],
		.peak_percent = (uint32_t)v[MB_OPTION_PEAK],
		.one_tenant_per_host = v[MB_OPTION_ONE_TENANT],
		.one_trust_domain_per_host = v[MB_OPTION_ONE_TRUST_DOMAIN],
		.inflow_max = (uint32_t)v[MB_OPTION_INFLOW],
		.min_gain_pages = v[MB_OPTION_MIN_GAIN] * MB_PLAN_PAGES_PER_MB,
		.hold_s = v[MB_OPTION_HOLD],
		.cooldown_s = v[MB_OPTION_COOLDOWN],
		.concurrent_max = (uint32_t)v[MB_OPTION_CONCURRENT],
		.link_mbit_s = (uint32_t)v[MB_OPTION_LINK],
		.merge_mb_s = (uint32_t)v[MB_OPTION_MERGE],
	};
}
