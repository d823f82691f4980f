// SPDX-License-Identifier: GPL-2.0-or-later
/* The null tracker: knows nothing, so every pass is a full walk. */
#include "agent/track.h"

#include <stddef.h>

static struct mb_tracker none;

static int none_open(struct mb_tracker **ret, struct mb_err *err)
{
	(void)err;
	none.ops = &mb_track_none;
	*ret = &none;
	return 0;
}

static void none_close(struct mb_tracker *t)
{
	(void)t;
}

static int none_epoch(struct mb_tracker *t, const struct mb_frame_set **ret_dirty,
		      const char **ret_doubt, struct mb_err *err)
{
	(void)t;
	(void)err;
	*ret_dirty = NULL;
	*ret_doubt = NULL;
	return 0;
}

const struct mb_tracker_ops mb_track_none = {
	.name = "none",
	.strength = MB_STRENGTH_NONE,
	.open = none_open,
	.close = none_close,
	.epoch = none_epoch,
};
