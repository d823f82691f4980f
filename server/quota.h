/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Quotas: how much one peer may have of the server. What flows (bytes, frames) flows at a steady
 * rate, up to a whole quota at once after a rest; the frame that goes over is taken, the next one
 * waits. So no frame is too large for a quota, and none is taken that is then thrown away.
 */
#ifndef MB_SERVER_QUOTA_H
#define MB_SERVER_QUOTA_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

enum mb_quota_kind {
	MB_QUOTA_MB_PER_HOUR, /* of frames as they come, compressed */
	MB_QUOTA_MB_PER_DAY,
	MB_QUOTA_FRAMES_PER_MINUTE, /* Deltas */
	MB_QUOTA_VMS,		    /* that it was the last to write, or wants to */
	MB_QUOTA_SESSIONS,	    /* at once */
	MB_QUOTA_END,
};

struct mb_quota {
	uint64_t max[MB_QUOTA_END]; /* 0: no limit */
};

/* For who comes from another machine. */
extern const struct mb_quota mb_quota_default;

const char *mb_quota_name(enum mb_quota_kind kind);
/* "vms=10,mb_per_day=500": sets these, leaves the others as they are. */
int mb_quota_parse(const char *text, struct mb_quota *quota, struct mb_err *err);

/* What a peer has taken of what flows. All zero: nothing yet. */
struct mb_flow {
	uint64_t full_ns[MB_QUOTA_FRAMES_PER_MINUTE + 1]; /* when all of it is given back */
};

/*
 * A frame of so many bytes at `now_ns`, which never goes back. -EDQUOT: not now; `err` says which
 * quota is used up, *ret_kind too, *ret_wait_ns until when.
 */
int mb_flow_take(struct mb_flow *f, const struct mb_quota *quota, uint64_t bytes, uint64_t now_ns,
		 enum mb_quota_kind *ret_kind, uint64_t *ret_wait_ns, struct mb_err *err);
/*
 * What it had taken before the server started: bytes of each of the last hours, the first of them
 * the one that ends now. Frames are forgotten, a minute gives them back.
 */
enum { MB_FLOW_HOURS = 25 };
void mb_flow_recall(struct mb_flow *f, const struct mb_quota *quota,
		    const uint64_t bytes[MB_FLOW_HOURS], uint64_t now_ns);
/* Nothing is taken any more. */
bool mb_flow_is_idle(const struct mb_flow *f, uint64_t now_ns);
/* The error for a quota that is used up; -EDQUOT. */
int mb_quota_fail(const struct mb_quota *quota, enum mb_quota_kind kind, struct mb_err *err);

#endif
