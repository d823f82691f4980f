/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A tracker: tells which frames may have changed since it was armed.
 *
 * The pass calls epoch() before it reads a single page: what is written after that is the next
 * epoch's (rule 1 of pass.h). All hooks are required. Trackers do not see each other, nor the
 * source.
 */
#ifndef MB_TRACK_H
#define MB_TRACK_H

#include "agent/frame_set.h"
#include "proto/base/err.h"
#include "proto/who.h"

enum mb_strength {
	MB_STRENGTH_NONE,  /* knows nothing: every pass is a full walk */
	MB_STRENGTH_HINT,  /* what it calls clean probably is */
	MB_STRENGTH_PROOF, /* what it calls clean is clean */
};

enum { MB_DESCRIBE_MAX = 512 };

struct mb_tracker {
	const struct mb_tracker_ops *ops; /* each tracker embeds this first */
};

struct mb_tracker_options {
	const char *btf; /* a file with the kernel's types, where it does not tell them; or NULL */
	/* Say who dirties frames, where that can be told: of one in so many, 2^n; 0: do not. */
	uint32_t who;
};

struct mb_tracker_ops {
	const char *name;
	enum mb_strength strength;
	uint32_t follows;      /* bits 1 << enum mb_page_class: of other pages it knows nothing */
	uint64_t needs, keeps; /* bits MB_CAP(): to open; from then on (privileges.h) */

	int (*open)(const struct mb_tracker_options *options, struct mb_tracker **ret,
		    struct mb_err *err);
	void (*close)(struct mb_tracker *t);
	/*
	 * Takes what was flagged since the last call and arms for the next. *ret_dirty is the
	 * tracker's, valid until the next call; NULL: knows nothing. *ret_doubt: why more may have
	 * been written than is flagged, in words that live as long; NULL: it was not. When it fails
	 * it may not be armed: neither this epoch nor the next can be told from it.
	 */
	int (*epoch)(struct mb_tracker *t, const struct mb_frame_set **ret_dirty,
		     const char **ret_doubt, struct mb_err *err);
	/*
	 * Adds who has dirtied what the last epoch() took, if it was asked to say and can tell.
	 * Asked once an epoch.
	 */
	void (*who)(struct mb_tracker *t, struct mb_who *to);
	/* What it is made of here, and what it does not see, for people. */
	void (*describe)(struct mb_tracker *t, char ret[MB_DESCRIBE_MAX]);
	/*
	 * CPU time that it has made others spend since it was asked last, an estimate: what hooks
	 * cost those who meet them. What epoch() takes is not in it.
	 */
	uint64_t (*cost_ns)(struct mb_tracker *t);
};

extern const struct mb_tracker_ops mb_track_bpf, mb_track_softdirty, mb_track_none;

#endif
