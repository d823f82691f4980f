/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two views of the same frames compared: which pages differ, where, and of which class they are. */
#ifndef MB_CHURN_FRAMES_H
#define MB_CHURN_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/page.h"

struct mb_frame_page {
	uint64_t frame, digest;
	uint8_t cls; /* enum mb_page_class */
};

/* Pages by ascending frame; false: there is none left. */
struct mb_frame_stream {
	bool (*next)(void *ctx, struct mb_frame_page *ret);
	void *ctx;
};

enum mb_frame_fate { MB_FRAME_SAME, MB_FRAME_CHANGED, MB_FRAME_CAME, MB_FRAME_WENT };
const char *mb_frame_fate_name(enum mb_frame_fate fate);

/* Frames [first, first+n) that fared alike. */
struct mb_frame_range {
	uint64_t first, n;
	enum mb_frame_fate fate; /* never SAME, but where only the class is another one */
	uint8_t from, to;	 /* classes; of what came and went both are the one there is */
};

/* Pages by the class that they have, or of what went, had. */
struct mb_frame_classes {
	uint64_t before, after, changed, came, went;
	uint64_t reclassed; /* same frame, other class before; they may have changed, too */
};

struct mb_frames_diff {
	struct mb_frame_classes classes[MB_CLASS_END];
	uint64_t same, changed, came, went; /* pages */
	uint64_t ranges;
};

/* `range` is called with each, ascending; it may be NULL. An error from it ends the comparison. */
int mb_frames_compare(const struct mb_frame_stream *before, const struct mb_frame_stream *after,
		      struct mb_frames_diff *ret,
		      int (*range)(void *ctx, const struct mb_frame_range *r, struct mb_err *err),
		      void *ctx, struct mb_err *err);

/* A stream of an array. */
struct mb_frame_array {
	const struct mb_page *pages;
	size_t i, n;
};
bool mb_frame_array_next(void *array, struct mb_frame_page *ret);

#endif
