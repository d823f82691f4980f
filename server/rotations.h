/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Rotations of keys between fleet, store and JSON (docs/json.md). */
#ifndef MB_SERVER_ROTATIONS_H
#define MB_SERVER_ROTATIONS_H

#include <jansson.h>

#include "server/fleet.h"
#include "server/store.h"

/* Those that were under way when the last server ended; before any agent is greeted. */
int mb_rotations_resume(struct mb_fleet *f, struct mb_store *s, struct mb_err *err);

/* A list; `f` NULL: an empty one. */
json_t *mb_rotations_list(struct mb_fleet *f);
/*
 * From now on the domain's VMs may have key `to` (mb_key_id_parse()), too: durable when it returns
 * 0. *ret says how it stands. -EINVAL, -ENOENT: no such key or domain; else as
 * mb_key_rotation_plan().
 */
int mb_rotations_begin(struct mb_fleet *f, struct mb_store *s, const char *domain, const char *to,
		       json_t **ret, struct mb_err *err);

#endif
