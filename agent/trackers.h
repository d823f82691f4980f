/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The trackers there are, and which one it will be. */
#ifndef MB_TRACKERS_H
#define MB_TRACKERS_H

#include <stddef.h>

#include "agent/source.h"
#include "agent/track.h"

/* Best first, the last is mb_track_none; NULL after that. */
const struct mb_tracker_ops *mb_tracker_at(size_t i);

struct mb_tracker_wish {
	const char *name; /* "auto": the first that works */
	struct mb_tracker_options options;
	/* For each that was not taken, with its reason; may be NULL. */
	void (*refused)(void *ctx, const char *name, const char *reason);
	void *ctx;
};

/*
 * A tracker for a source. All but none see this machine's own memory only.
 * -EINVAL: no such name. With a name, what the tracker says if it does not work.
 */
int mb_tracker_choose(const struct mb_tracker_wish *wish, const struct mb_source_info *source,
		      struct mb_tracker **ret, struct mb_err *err);

/*
 * Opens each in the order in which they are tried, and closes it again: nothing else tells whether
 * it works. `text`: what it is made of here, or why it does not work.
 */
void mb_trackers_try(const struct mb_tracker_options *options,
		     void (*each)(void *ctx, const struct mb_tracker_ops *ops, bool works,
				  const char *text),
		     void *ctx);

/* "proof" */
const char *mb_strength_name(enum mb_strength s);

#endif
