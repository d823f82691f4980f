/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What can be set for plans, once for all who set it: the fleet file's "options", the parameters of
 * the HTTP API and the command line of mbctl are all made from this one table.
 */
#ifndef MB_SERVER_FLEET_OPTIONS_H
#define MB_SERVER_FLEET_OPTIONS_H

#include "server/plan/plan.h"

enum mb_option {
	MB_OPTION_OVERCOMMIT,
	MB_OPTION_COUNT_SHARING,
	MB_OPTION_MEAN,
	MB_OPTION_PEAK,
	MB_OPTION_ONE_TENANT,
	MB_OPTION_ONE_TRUST_DOMAIN,
	MB_OPTION_INFLOW,
	MB_OPTION_MIN_GAIN,
	MB_OPTION_HOLD,
	MB_OPTION_COOLDOWN,
	MB_OPTION_CONCURRENT,
	MB_OPTION_LINK,
	MB_OPTION_MERGE,
	MB_OPTION_DURABLE,
	MB_OPTION_VOLATILE,
	MB_OPTIONS
};

struct mb_option_info {
	const char *name;  /* in files and parameters; '-' for '_' on the command line */
	const char *alias; /* another name of the parameter, or NULL */
	bool flag;	   /* true or false, else a whole number */
	uint64_t min, max, initial;
	const char *unit; /* of the number, for people */
	const char *help;
};

extern const struct mb_option_info mb_option_infos[MB_OPTIONS];

struct mb_fleet_options {
	uint64_t value[MB_OPTIONS];
};

void mb_fleet_options_init(struct mb_fleet_options *o);
/* From text: "80"; flags are 0 or 1. The error names the option as `shown`. */
int mb_fleet_options_set(struct mb_fleet_options *o, enum mb_option option, const char *shown,
			 const char *text, struct mb_err *err);
void mb_fleet_options_plan(const struct mb_fleet_options *o, struct mb_plan_options *ret);

#endif
