/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What answers of the API start from: the view of the fleet, locked, with the fleet file read. */
#ifndef MB_SERVER_SCENE_H
#define MB_SERVER_SCENE_H

#include "server/api.h"
#include "server/fleet_file.h"
#include "server/live_fleet.h"

struct mb_scene {
	struct mb_sharing *sharing;
	const struct mb_sharing_view *view;
	struct mb_fleet_file file;
	struct mb_live_fleet fleet;
};

/*
 * Up to date: what has changed is computed first; where the parameter `exact` is 1, exact even if
 * fingerprints are paged out. -EIO: the fleet file.
 */
int mb_scene_open(struct mb_api *api, mb_api_query query, void *ctx, struct mb_scene *ret,
		  struct mb_err *err);
/* As it was when it was computed last, which costs nothing. -EAGAIN: it never was. */
int mb_scene_peek(struct mb_api *api, struct mb_scene *ret, struct mb_err *err);
/* Also of one that could not be opened. */
void mb_scene_close(struct mb_scene *s);

#endif
