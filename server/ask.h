/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Questions to the planners as text, answers as JSON (docs/json.md): the same from the server's API
 * and, offline, from mbctl.
 */
#ifndef MB_SERVER_ASK_H
#define MB_SERVER_ASK_H

#include <jansson.h>

#include "server/live_fleet.h"

/* A parameter's text, or NULL. */
typedef const char *(*mb_ask_query)(void *ctx, const char *name);

struct mb_ask {
	struct mb_live_fleet *fleet;		/* hosts that no file knows are taken out of it */
	const struct mb_groups *durable;	/* as mb_live_fleet_weigh() wants it */
	const struct mb_fleet_options *options; /* those not in the query */
	mb_ask_query query;
	void *ctx;
	/* A plan that was made, and its report, which may be added to; NULL: just report it. */
	int (*on_plan)(void *ctx, const struct mb_fleet_view *fleet,
		       const struct mb_plan_options *options, const struct mb_plan *plan,
		       json_t *report, struct mb_err *err);
	void *on_plan_ctx;
};

/* Is there a question of that name? "plan", "place", "drain", ... */
bool mb_ask_knows(const char *question);
/* Does its answer have a plan, so that there is something to carry out? */
bool mb_ask_plans(const char *question);
/*
 * *ret is a new reference. -ENOENT: no such VM or host; -EINVAL: a bad parameter, or a fleet that
 * cannot be; -ENOSPC, -ERANGE: no placement is possible.
 */
int mb_ask(const struct mb_ask *ask, const char *question, json_t **ret, struct mb_err *err);

#endif
