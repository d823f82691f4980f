/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The question "what if these VMs ran there?" from text to JSON (docs/json.md). */
#ifndef MB_SERVER_WHATIF_H
#define MB_SERVER_WHATIF_H

#include <jansson.h>

#include "server/live_fleet.h"

/*
 * One of two, separated by blanks: `moves`, "VM=HOST" (HOST "-": out of the picture), where all
 * other VMs stay as they are, or, with `only`, are out of the picture; or `together`, VMs that
 * would run alone on the largest host. -EINVAL: neither, both, or a word that is not understood;
 * -ENOENT: no such VM or host.
 */
int mb_whatif_answer(const struct mb_live_fleet *f, const struct mb_plan_options *options,
		     const char *moves, const char *together, bool only, json_t **ret,
		     struct mb_err *err);

#endif
