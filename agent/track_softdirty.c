// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/track_softdirty.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/mbwalk.h"
#include "agent/privileges.h"
#include "agent/pagemap.h"
#include "agent/processes.h"
#include "agent/write_protect.h"
#include "proto/base/cleanup.h"
#include "proto/digest.h"
#include "proto/page.h"

enum { FAULT_NS = 1000 };

struct track_softdirty {
	struct mb_tracker base;
	struct mb_soft_dirty *frames;
	uint64_t epochs;
	uint64_t faults; /* that nobody was told of yet */
	struct mb_soft_dirty_report report;
};

static struct track_softdirty *to_softdirty(struct mb_tracker *t)
{
	return (struct track_softdirty *)t;
}

/* --- opening --- */

static int ask_module(uint64_t *ret_frames, struct mb_err *err)
{
	mb_autofree struct mbwalk_range *ranges = NULL;
	struct mbwalk_info info;
	int fd, r = mb_mbwalk_open(&fd, err);

	if (r < 0)
		return r;
	r = mb_mbwalk_info(fd, &info, &ranges, err);
	mb_mbwalk_close(fd);
	*ret_frames = info.end_frame;
	return r;
}

/* A write of our own must be seen, and not be seen before: clearing does nothing in some kernels.
 */
static int test_page(char *page, struct mb_err *err)
{
	uint64_t before = 0, after = 0;
	int r;

	*(volatile char *)page = 1;
	r = mb_write_protect_self(err);
	if (r == 0)
		r = mb_pagemap_own(page, &before, err);
	if (r < 0)
		return r;
	*(volatile char *)page = 2;
	r = mb_pagemap_own(page, &after, err);
	if (r < 0)
		return r;
	if (before & MB_ENTRY_SOFT_DIRTY || !(after & MB_ENTRY_SOFT_DIRTY))
		return mb_fail(err, EOPNOTSUPP,
			       "a write is %s: this kernel seems to be built without "
			       "CONFIG_MEM_SOFT_DIRTY",
			       after & MB_ENTRY_SOFT_DIRTY ? "not forgotten" : "not seen");
	return 0;
}

static int self_test(struct mb_err *err)
{
	char *page = mmap(NULL, MB_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	int r;

	if (page == MAP_FAILED)
		return mb_fail_mem(err, "a page to test with");
	r = test_page(page, err);
	munmap(page, MB_PAGE_BYTES);
	return r;
}

static int open_all(struct track_softdirty *t, struct mb_err *err)
{
	const char *debug = getenv("MB_DEBUG_TRACK");
	uint64_t n_frames;
	int r = ask_module(&n_frames, err);

	if (r == 0)
		r = mb_processes_check("/proc", err);
	if (r == 0)
		r = self_test(err);
	if (r == 0)
		r = mb_soft_dirty_open("/proc", n_frames, &t->frames, err);
	if (r == 0 && debug)
		mb_soft_dirty_break(t->frames,
				    (strstr(debug, "no-clear") ? MB_BREAK_CLEAR : 0u) |
					    (strstr(debug, "no-place") ? MB_BREAK_PLACE : 0u));
	return r;
}

static int softdirty_open(const struct mb_tracker_options *options, struct mb_tracker **ret,
			  struct mb_err *err)
{
	struct track_softdirty *t = calloc(1, sizeof(*t));
	int r;

	(void)options;
	if (!t)
		return mb_fail_mem(err, "a tracker");
	t->base.ops = &mb_track_softdirty;
	r = open_all(t, err);
	if (r < 0) {
		free(t);
		return r;
	}
	*ret = &t->base;
	return 0;
}

static void softdirty_close(struct mb_tracker *tracker)
{
	struct track_softdirty *t = to_softdirty(tracker);

	mb_soft_dirty_close(t->frames);
	free(t);
}

/* --- epochs --- */

static int softdirty_epoch(struct mb_tracker *tracker, const struct mb_frame_set **ret_dirty,
			   const char **ret_doubt, struct mb_err *err)
{
	struct track_softdirty *t = to_softdirty(tracker);
	bool known;
	int r = mb_soft_dirty_look(t->frames, ret_dirty, &known, &t->report, err);

	if (r < 0)
		return r;
	*ret_doubt = known	? NULL :
		     !t->epochs ? "no process was looked at before" :
				  "the epoch before has failed";
	/* At the first look all that was ever written to is soft-dirty. */
	if (t->epochs++)
		t->faults += t->report.written;
	return 0;
}

/* It sees what was written, not who did. */
static void softdirty_who(struct mb_tracker *tracker, struct mb_who *to)
{
	(void)tracker;
	(void)to;
}

static void softdirty_describe(struct mb_tracker *tracker, char ret[MB_DESCRIBE_MAX])
{
	(void)tracker;
	snprintf(ret, MB_DESCRIBE_MAX,
		 "may miss some of anon: what a process writes while it is looked at");
}

/* A write that clearing has made a fault costs about a microsecond; of a huge page there is one. */
static uint64_t softdirty_cost_ns(struct mb_tracker *tracker)
{
	struct track_softdirty *t = to_softdirty(tracker);
	uint64_t ns = t->faults * FAULT_NS;

	t->faults = 0;
	return ns;
}

const struct mb_tracker_ops mb_track_softdirty = {
	.name = "softdirty",
	.strength = MB_STRENGTH_HINT,
	.follows = 1 << MB_CLASS_ANON,
	.needs = MB_KEEP_SOFTDIRTY,
	.keeps = MB_KEEP_SOFTDIRTY,
	.open = softdirty_open,
	.close = softdirty_close,
	.epoch = softdirty_epoch,
	.who = softdirty_who,
	.describe = softdirty_describe,
	.cost_ns = softdirty_cost_ns,
};

void mb_track_softdirty_report(struct mb_tracker *t, struct mb_soft_dirty_report *ret)
{
	*ret = to_softdirty(t)->report;
}
