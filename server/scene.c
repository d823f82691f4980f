// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/scene.h"

#include "proto/base/cli.h"
#include "server/store_page.h"

void mb_scene_close(struct mb_scene *s)
{
	mb_live_fleet_deinit(&s->fleet);
	mb_fleet_file_deinit(&s->file);
	if (s->view)
		mb_sharing_unlock(s->sharing);
}

static int read_file(struct mb_api *api, struct mb_scene *s, struct mb_err *err)
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
	return 0;
}

/* `r`: how the view was locked. */
static int begin(struct mb_scene *s, int r, struct mb_err *err)
{
	if (r < 0) {
		s->view = NULL;
		return r;
	}
	return mb_live_fleet_init(&s->fleet, s->view, &s->file, err);
}

int mb_scene_open(struct mb_api *api, mb_api_query query, void *ctx, struct mb_scene *ret,
		  struct mb_err *err)
{
	struct mb_page_source store = mb_store_page_source(api->store);
	const char *text = query(ctx, "exact");
	uint64_t exact = 0;
	int r = read_file(api, ret, err);

	if (r == 0 && text)
		r = mb_parse_u64(text, 0, 1, "exact", &exact, err);
	if (r < 0)
		return r;
	r = exact ? mb_sharing_lock_exact(api->sharing, &store, &ret->view, err) :
		    mb_sharing_lock(api->sharing, &ret->view, err);
	return begin(ret, r, err);
}

int mb_scene_peek(struct mb_api *api, struct mb_scene *ret, struct mb_err *err)
{
	int r = read_file(api, ret, err);

	return r < 0 ? r : begin(ret, mb_sharing_peek(api->sharing, &ret->view, err), err);
}
