// SPDX-License-Identifier: GPL-2.0-or-later
/* The null tracker: knows nothing, so every pass is a full walk. */
#include "agent/track.h"

#include <stddef.h>
#include <stdio.h>

static struct mb_tracker none;

static int none_open(const struct mb_tracker_options *options, struct mb_tracker **ret,
		     struct mb_err *err)
{
	(void)options;
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

/* It sees what was written, not who did. */
static void none_who(struct mb_tracker *tracker, struct mb_who *to)
{
	(void)tracker;
	(void)to;
}

static void none_describe(struct mb_tracker *t, char ret[MB_DESCRIBE_MAX])
{
	(void)t;
	snprintf(ret, MB_DESCRIBE_MAX, "every pass is a full walk");
}

static uint64_t none_cost_ns(struct mb_tracker *t)
{
	(void)t;
	return 0;
}

const struct mb_tracker_ops mb_track_none = {
	.name = "none",
	.strength = MB_STRENGTH_NONE,
	.open = none_open,
	.close = none_close,
	.epoch = none_epoch,
	.who = none_who,
	.describe = none_describe,
	.cost_ns = none_cost_ns,
};
