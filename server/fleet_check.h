/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a fleet file cannot mean: each line may be right, and the whole still contradict itself.
 * What depends on options and on the planner (is there room?) is the planner's to say.
 */
#ifndef MB_SERVER_FLEET_CHECK_H
#define MB_SERVER_FLEET_CHECK_H

#include "server/fleet_file.h"
#include "server/json_doc.h"

/* -EINVAL: a line, a place, and what contradicts what. `f` is what `doc` says. */
int mb_fleet_check(const struct mb_json_doc *doc, const struct mb_fleet_file *f,
		   struct mb_err *err);

#endif
