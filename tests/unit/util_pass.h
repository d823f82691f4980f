/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A pass over a VM of a few frames, with a tracker that is told what was written. */
#ifndef MB_UTIL_PASS_H
#define MB_UTIL_PASS_H

#include "agent/pass.h"
#include "tests/unit/util_test.h"

enum { FRAMES = 256 };

/* A VM of a few frames; raw digest 0: no page there. */
struct fake_source {
	struct mb_source source;
	struct mb_source_info info;
	uint64_t raw[FRAMES];
	uint8_t cls[FRAMES], flags[FRAMES]; /* class 0: anon */
	const struct mb_frame_set *only;
	uint64_t at;
	size_t per_read;
	uint64_t fail_at, swap_at; /* frames; 0: never */
	uint64_t unread;
	bool ended, moved; /* no further epoch; frames are not what they were */
	int begun;
	bool was_full;
	/* Something writes while it is read: once, when this frame is come to. */
	uint64_t write_at, write_frame;
	struct fake_tracker *tracker;
};

/* Flags what vm_writes() said since the last epoch, as a real tracker does. */
struct fake_tracker {
	struct mb_tracker tracker;
	uint64_t flagged[FRAMES / 64], given[FRAMES / 64];
	struct mb_frame_set set;
	bool can_tell, fails;
	const char *doubt, *doubt_later; /* later: each second time it is asked in an epoch */
	int asked;
};
extern const struct mb_tracker_ops fake_tracker_ops;

struct scene {
	struct fake_source source;
	struct fake_tracker tracker;
	struct mb_pass pass;
};

void raw_identity(struct mb_identity *ret);
/* Frames that are stable; a tracker that can tell. */
void pass_scene_init(struct scene *s, bool stable, bool can_tell);

/* The VM writes. */
void vm_writes(struct scene *s, uint64_t frame, uint64_t raw);

/* What a full walk of an honest agent would send. */
void expect_epoch(struct scene *s, const struct mb_epoch *e);

/* It must be just that. */
void run_pass(struct scene *s, struct mb_epoch *ret);

/* The same, for tests that look at the figures only. */
struct mb_pass_info run_pass_info(struct scene *s);

#endif
