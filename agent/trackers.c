// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/trackers.h"

#include <string.h>

#include "proto/base/cleanup.h"

static const struct mb_tracker_ops *const trackers[] = { &mb_track_bpf, &mb_track_softdirty,
							 &mb_track_none };

const struct mb_tracker_ops *mb_tracker_at(size_t i)
{
	return i < MB_ARRAY_LEN(trackers) ? trackers[i] : NULL;
}

static int open_one(const struct mb_tracker_ops *ops, const struct mb_tracker_wish *wish,
		    const struct mb_source_info *source, struct mb_tracker **ret,
		    struct mb_err *err)
{
	if (!source->this_machine && ops != &mb_track_none)
		return mb_fail(err, EOPNOTSUPP,
			       "it follows this machine's memory, not the source's");
	return ops->open(&wish->options, ret, err);
}

static int choose_best(const struct mb_tracker_wish *wish, const struct mb_source_info *source,
		       struct mb_tracker **ret, struct mb_err *err)
{
	int r = -EINVAL;

	for (size_t i = 0; i < MB_ARRAY_LEN(trackers); i++) {
		r = open_one(trackers[i], wish, source, ret, err);
		if (r == 0)
			return 0;
		/* Who has another source does not wonder. */
		if (wish->refused && source->this_machine)
			wish->refused(wish->ctx, trackers[i]->name, err->text);
	}
	return r;
}

int mb_tracker_choose(const struct mb_tracker_wish *wish, const struct mb_source_info *source,
		      struct mb_tracker **ret, struct mb_err *err)
{
	char names[64] = "auto";

	if (strcmp(wish->name, "auto") == 0)
		return choose_best(wish, source, ret, err);
	for (size_t i = 0; i < MB_ARRAY_LEN(trackers); i++) {
		int r;

		if (strcmp(wish->name, trackers[i]->name) != 0) {
			size_t n = strlen(names);

			snprintf(names + n, sizeof(names) - n, ", %s", trackers[i]->name);
			continue;
		}
		r = open_one(trackers[i], wish, source, ret, err);
		return r < 0 ? mb_fail_in(err, r, "tracker %s", wish->name) : 0;
	}
	return mb_fail(err, EINVAL, "no tracker \"%.40s\", but: %s", wish->name, names);
}

void mb_trackers_try(const struct mb_tracker_options *options,
		     void (*each)(void *ctx, const struct mb_tracker_ops *ops, bool works,
				  const char *text),
		     void *ctx)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(trackers); i++) {
		char text[MB_DESCRIBE_MAX];
		struct mb_err err = { 0 };
		struct mb_tracker *t;

		if (trackers[i]->open(options, &t, &err) < 0) {
			each(ctx, trackers[i], false, err.text);
			continue;
		}
		t->ops->describe(t, text);
		each(ctx, trackers[i], true, text);
		trackers[i]->close(t);
	}
}

const char *mb_strength_name(enum mb_strength s)
{
	static const char *const names[] = { "none", "hint", "proof" };

	return names[s];
}
