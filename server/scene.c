// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/scene.h"

void mb_scene_close(struct mb_scene *s)
{
	mb_live_fleet_deinit(&s->fleet);
	mb_fleet_file_deinit(&s->file);
	if (s->view)
		mb_sharing_unlock(s->sharing);
}

static int open_scene(struct mb_api *api, struct mb_scene *s, bool peek, struct mb_err *err)
{
	int r = 0;

	*s = (struct mb_scene){ .sharing = api->sharing };
	mb_fleet_file_init(&s->file);
	if (api->fleet_path)
		r = mb_fleet_file_read(api->fleet_path, &s->file, err);
	/* Not the questioner's fault. */
	if (r < 0)
		return mb_fail_in(err, -EIO, "fleet file");
	mb_sharing_set_durable(api->sharing, s->file.options.value[MB_OPTION_DURABLE] * 1000000000);
	r = (peek ? mb_sharing_peek : mb_sharing_lock)(api->sharing, &s->view, err);
	if (r < 0) {
		s->view = NULL;
		return r;
	}
	return mb_live_fleet_init(&s->fleet, s->view, &s->file, err);
}

int mb_scene_open(struct mb_api *api, struct mb_scene *ret, struct mb_err *err)
{
	return open_scene(api, ret, false, err);
}

int mb_scene_peek(struct mb_api *api, struct mb_scene *ret, struct mb_err *err)
{
	return open_scene(api, ret, true, err);
}
