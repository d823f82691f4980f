// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

static const struct mb_planner *const planners[] = { &mb_planner_seed, &mb_planner_paper,
						     &mb_planner_best };

const struct mb_planner *mb_planner_at(size_t i)
{
	return i < MB_ARRAY_LEN(planners) ? planners[i] : NULL;
}

const struct mb_planner *mb_planner_find(const char *name)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(planners); i++)
		if (strcmp(planners[i]->name, name) == 0)
			return planners[i];
	return NULL;
}

void mb_plan_deinit(struct mb_plan *plan)
{
	free(plan->host);
	free(plan->moves);
	free(plan->before_mb);
	free(plan->after_mb);
	*plan = (struct mb_plan){ 0 };
}
