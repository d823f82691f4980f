// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/track_bpf.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <inttypes.h>
#include <linux/bpf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent/bpf_drain.h"
#include "agent/bpf_object.h"
#include "agent/mbwalk.h"
#include "agent/privileges.h"
#include "agent/pagemap.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/digest.h"
#include "proto/page.h"

struct track_bpf {
	struct mb_tracker base;
	struct mb_tracker_ops ops; /* mb_track_bpf's, but for the strength */
	struct bpf_object *object;
	struct bpf_link *links[2 * MB_HOOKS_MAX];
	size_t n_links;
	uint64_t *map;
	size_t n_words;
	struct mb_frame_set dirty;
	int counters; /* file descriptor of their map, the object's */
	struct mb_dirty_counters before;
	struct mb_dirty_frames other; /* of the last epoch, by those there was no room for */
	uint64_t missed;
	int stats;	  /* file descriptor; while it is open programs are timed */
	uint64_t told_ns; /* of their run time */
	uint64_t epochs;
	bool no_protect, protect_first;
	struct mb_track_bpf_who *who;
	size_t n_who;
	struct mb_track_bpf_report report;
	char doubt[160];
};

static struct track_bpf *to_bpf(struct mb_tracker *t)
{
	return (struct track_bpf *)t;
}

const char *mb_dirty_kind_name(enum mb_dirty_kind kind)
{
	static const char *const names[] = {
		"allocated",   "freed",	   "first write", "copy on write", "rewrite", "cache new",
		"cache write", "migrated", "truncated",	  "writeback",	   "exec",
	};

	_Static_assert(MB_ARRAY_LEN(names) == MB_DIRTY_KINDS, "names");
	return names[kind];
}

/* --- opening --- */

static int ask_module(struct mbwalk_info *ret, struct mb_err *err)
{
	mb_autofree struct mbwalk_range *ranges = NULL;
	int fd, r = mb_mbwalk_open(&fd, err);

	if (r < 0)
		return r;
	r = mb_mbwalk_info(fd, ret, &ranges, err);
	mb_mbwalk_close(fd);
	if (r == 0 && (!ret->vmemmap_base || !ret->page_offset_base))
		r = mb_fail(err, EOPNOTSUPP, "the module does not know where frames are");
	return r;
}

/* Direct maps of machines with five levels of page tables begin in the lower half of these. */
static __u32 page_table_levels(uint64_t page_offset_base)
{
	return page_offset_base < 0xffff800000000000 ? 5 : 4;
}

static int configure(struct track_bpf *t, const struct mbwalk_info *info, struct mb_err *err)
{
	struct mb_dirty_config config = {
		.vmemmap_base = info->vmemmap_base,
		.page_offset_base = info->page_offset_base,
		.struct_page_bytes = info->struct_page_bytes,
		.page_table_levels = page_table_levels(info->page_offset_base),
		.who = 1,
	};
	struct bpf_map *map = bpf_object__find_map_by_name(t->object, MB_DIRTY_MAP);
	struct bpf_map *rodata = bpf_object__find_map_by_name(t->object, MB_CONFIG_MAP);
	uint64_t per_word = t->report.bits ? 64 : 8;
	int r;

	if (!map || !rodata)
		return mb_fail(err, EINVAL, "programs without maps");
	t->n_words = (info->end_frame + per_word - 1) / per_word;
	if (!t->n_words || t->n_words > UINT32_MAX)
		return mb_fail(err, E2BIG, "no map for frames up to %llu", info->end_frame);
	config.n_frames = t->n_words * per_word;
	t->dirty.n = config.n_frames;
	t->dirty.words = calloc((config.n_frames + 63) / 64, sizeof(uint64_t));
	if (!t->dirty.words)
		return mb_fail_mem(err, "a set of frames");
	r = bpf_map__set_max_entries(map, (__u32)t->n_words);
	if (r == 0)
		r = bpf_map__set_initial_value(rodata, &config, sizeof(config));
	return r < 0 ? mb_fail(err, -r, "programs: %s", strerror(-r)) : 0;
}

/* "raw_mm_page_alloc", "fexit_handle_mm_fault" */
static struct bpf_program *program(const struct track_bpf *t, const char *prefix, const char *name)
{
	char text[64];

	snprintf(text, sizeof(text), "%s_%s", prefix, name);
	return bpf_object__find_program_by_name(t->object, text);
}

static size_t programs_of(const struct track_bpf *t, size_t hook, struct bpf_program *ret[2])
{
	const struct mb_hook_plan *plan = &t->report.hooks;
	size_t n = 0;

	switch (plan->way[hook]) {
	case MB_WAY_NONE:
		return 0;
	case MB_WAY_TRACEPOINT:
		ret[n++] = program(t, "raw", plan->name[hook]);
		break;
	case MB_WAY_FEXIT:
		ret[n++] = program(t, "fexit", plan->name[hook]);
		break;
	case MB_WAY_KPROBE:
		/* The way back first: who is on the way in must be met when he returns. */
		ret[n++] = program(t, "leave", plan->name[hook]);
		ret[n++] = program(t, "enter", plan->name[hook]);
		break;
	}
	return n;
}

static int load(struct track_bpf *t, struct mb_err *err)
{
	struct bpf_program *p, *wanted[2];

	bpf_object__for_each_program(p, t->object) bpf_program__set_autoload(p, false);
	for (size_t i = 0; i < mb_n_hooks; i++) {
		size_t n = programs_of(t, i, wanted);

		for (size_t k = 0; k < n; k++) {
			if (!wanted[k])
				return mb_fail(err, EINVAL, "no program for %s",
					       t->report.hooks.name[i]);
			bpf_program__set_autoload(wanted[k], true);
		}
	}
	return mb_bpf_object_load(t->object, err);
}

static int attach_hook(struct track_bpf *t, size_t hook)
{
	struct bpf_program *wanted[2];
	size_t n = programs_of(t, hook, wanted), first = t->n_links;
	int r;

	for (size_t k = 0; k < n; k++) {
		struct bpf_link *link = bpf_program__attach(wanted[k]);

		if (!link) {
			r = -errno;
			while (t->n_links > first)
				bpf_link__destroy(t->links[--t->n_links]);
			return r;
		}
		t->links[t->n_links++] = link;
	}
	return 0;
}

static int attach(struct track_bpf *t, struct mb_err *err)
{
	struct mb_hook_plan *plan = &t->report.hooks;

	for (size_t i = 0; i < mb_n_hooks; i++) {
		const struct mb_hook *h = &mb_hooks[i];
		int r = attach_hook(t, i);

		if (r < 0 && h->need == MB_NEED_ALWAYS)
			return mb_fail(err, -r, "cannot hook %s: %s", plan->name[i], strerror(-r));
		if (r < 0)
			plan->way[i] = MB_WAY_NONE;
		/* Kretprobes that had no room are not counted in a way that can be read. */
		if (h->need != MB_NEED_WHO && plan->name[i] &&
		    (plan->way[i] == MB_WAY_NONE || plan->way[i] == MB_WAY_KPROBE))
			t->ops.strength = MB_STRENGTH_HINT;
	}
	return 0;
}

static int map_memory(struct track_bpf *t, struct mb_err *err)
{
	struct bpf_map *map = bpf_object__find_map_by_name(t->object, MB_DIRTY_MAP);
	struct bpf_map *counters = bpf_object__find_map_by_name(t->object, MB_COUNTERS_MAP);

	if (!counters || bpf_map__value_size(counters) != sizeof(struct mb_dirty_counters))
		return mb_fail(err, EINVAL, "programs without counters");
	t->counters = bpf_map__fd(counters);
	t->map = mmap(NULL, t->n_words * sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED,
		      bpf_map__fd(map), 0);
	if (t->map == MAP_FAILED) {
		t->map = NULL;
		return mb_fail(err, errno, "the map of frames: %m");
	}
	return 0;
}

static uint64_t drain(struct track_bpf *t)
{
	return t->report.bits ? mb_bpf_drain_bits(t->map, t->n_words, t->dirty.words) :
				mb_bpf_drain_bytes(t->map, t->n_words, t->dirty.words);
}

static int frame_of(const void *at, uint64_t *ret, struct mb_err *err)
{
	uint64_t entry = 0;
	int r = mb_pagemap_own(at, &entry, err);

	*ret = MB_ENTRY_FRAME(entry);
	return r < 0 || entry & MB_ENTRY_PRESENT ? r :
						   mb_fail(err, EAGAIN, "a page was taken away");
}

/* A write of our own, to a page just protected, must be flagged. */
static int test_page(struct track_bpf *t, char *page, struct mb_err *err)
{
	struct mb_write_protect protect;
	uint64_t frame = 0;
	int r;

	*(volatile char *)page = 1;
	r = frame_of(page, &frame, err);
	if (r < 0)
		return r;
	drain(t);
	if (!mb_frame_set_has(&t->dirty, frame))
		return mb_fail(err, EOPNOTSUPP, "a page that was just made is not flagged");
	r = mb_write_protect_all("/proc", &protect, err);
	if (r < 0)
		return r;
	drain(t);
	*(volatile char *)page = 2;
	drain(t);
	/* It may have been copied. */
	r = frame_of(page, &frame, err);
	if (r < 0)
		return r;
	if (!mb_frame_set_has(&t->dirty, frame))
		return mb_fail(
			err, EOPNOTSUPP,
			"a write to a protected page is not flagged: this kernel seems to be "
			"built without CONFIG_MEM_SOFT_DIRTY");
	return 0;
}

static int self_test(struct track_bpf *t, struct mb_err *err)
{
	char *page = mmap(NULL, MB_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);
	int r;

	if (page == MAP_FAILED)
		return mb_fail_mem(err, "a page to test with");
	r = test_page(t, page, err);
	munmap(page, MB_PAGE_BYTES);
	return r;
}

static void bpf_close(struct mb_tracker *tracker)
{
	struct track_bpf *t = to_bpf(tracker);

	while (t->n_links)
		bpf_link__destroy(t->links[--t->n_links]);
	if (t->stats >= 0)
		close(t->stats);
	if (t->map)
		munmap(t->map, t->n_words * sizeof(uint64_t));
	bpf_object__close(t->object);
	free(t->dirty.words);
	free(t->who);
	free(t);
}

static int open_all(struct track_bpf *t, struct mb_err *err)
{
	const char *debug = getenv("MB_DEBUG_TRACK");
	struct mbwalk_info info;
	struct btf *kernel;
	int r;

	t->no_protect = debug && strstr(debug, "no-protect");
	t->protect_first = debug && strstr(debug, "protect-first");
	r = ask_module(&info, err);
	if (r < 0)
		return r;
	r = mb_bpf_kernel_types(&kernel, err);
	if (r < 0)
		return r;
	r = mb_hooks_probe(kernel, &t->report.hooks, err);
	btf__free(kernel);
	if (r < 0)
		return r;
	t->report.bits = mb_bpf_has_atomic_or();
	r = mb_bpf_object_open(t->report.bits, &t->object, err);
	if (r == 0)
		r = configure(t, &info, err);
	if (r == 0)
		r = load(t, err);
	if (r == 0)
		r = map_memory(t, err);
	if (r == 0)
		r = attach(t, err);
	if (r == 0)
		r = self_test(t, err);
	/* Where the kernel cannot, nobody knows what the programs cost. */
	t->stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return r;
}

static int bpf_open(struct mb_tracker **ret, struct mb_err *err)
{
	struct track_bpf *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return mb_fail_mem(err, "a tracker");
	t->ops = mb_track_bpf;
	t->stats = -1;
	t->base.ops = &t->ops;
	t->who = calloc(MB_WHO_MAX + 1, sizeof(*t->who));
	r = t->who ? open_all(t, err) : mb_fail_mem(err, "a tracker");
	if (r < 0) {
		bpf_close(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}

/* --- epochs --- */

/* From 5.12 on programs that are met by themselves are passed over, and counted. */
static int count_missed(struct track_bpf *t, uint64_t *ret, struct mb_err *err)
{
	struct bpf_program *of[2];

	*ret = 0;
	t->report.run_ns = 0;
	for (size_t i = 0; i < mb_n_hooks; i++) {
		size_t n = programs_of(t, i, of);

		for (size_t k = 0; k < n; k++) {
			struct bpf_prog_info info = { 0 };
			__u32 size = sizeof(info);

			if (bpf_obj_get_info_by_fd(bpf_program__fd(of[k]), &info, &size) < 0)
				return mb_fail(err, errno, "%s: %m", bpf_program__name(of[k]));
			*ret += info.recursion_misses;
			t->report.calls[i] = info.run_cnt;
			t->report.run_ns += info.run_time_ns;
		}
	}
	return 0;
}

/* What was counted since the last time. */
static int count_losses(struct track_bpf *t, struct mb_err *err)
{
	struct mb_dirty_counters now;
	uint64_t missed;
	__u32 key = 0;
	int r = count_missed(t, &missed, err);

	if (r < 0)
		return r;
	if (bpf_map_lookup_elem(t->counters, &key, &now) < 0)
		return mb_fail(err, errno, "counters: %m");
	t->report.missed = missed - t->missed;
	for (int i = 0; i < MB_LOST_REASONS; i++)
		t->report.lost[i] = now.lost[i] - t->before.lost[i];
	for (int i = 0; i < MB_DIRTY_KINDS; i++)
		t->other.n[i] = now.other[i] - t->before.other[i];
	t->missed = missed;
	t->before = now;
	return 0;
}

static int by_total(const void *a, const void *b)
{
	const struct mb_track_bpf_who *x = a, *y = b;

	return (x->total < y->total) - (x->total > y->total);
}

/* Takes the table of who; what is counted to an entry while it is taken may be lost. */
static void take_who(struct track_bpf *t)
{
	int fd = bpf_object__find_map_fd_by_name(t->object, MB_WHO_MAP);
	struct mb_dirty_by key;
	struct mb_track_bpf_who *w;

	t->n_who = 0;
	while (t->n_who < MB_WHO_MAX && bpf_map_get_next_key(fd, NULL, &key) == 0) {
		w = &t->who[t->n_who++];
		*w = (struct mb_track_bpf_who){ .by = key };
		bpf_map_lookup_elem(fd, &key, &w->frames);
		if (bpf_map_delete_elem(fd, &key) < 0)
			break;
	}
	w = &t->who[t->n_who++];
	*w = (struct mb_track_bpf_who){ .frames = t->other };
	for (size_t k = 0; k < t->n_who; k++) {
		for (int i = 0; i < MB_DIRTY_KINDS; i++)
			t->who[k].total += t->who[k].frames.n[i];
	}
	if (!w->total)
		t->n_who--;
	qsort(t->who, t->n_who, sizeof(*t->who), by_total);
}

static int protect(struct track_bpf *t, struct mb_err *err)
{
	if (t->no_protect)
		return 0;
	return mb_write_protect_all("/proc", &t->report.protect, err);
}

/* Rule 5: events were lost, or may have been. */
static const char *doubt(struct track_bpf *t)
{
	static const char *const lost[MB_LOST_REASONS] = {
		[MB_LOST_ARGS] = "calls that there was no room for",
		[MB_LOST_PAGE] = "pages whose frame is not known",
		[MB_LOST_WALK] = "page tables that could not be read",
		[MB_LOST_EXEC] = "programs started with too many arguments",
	};
	const char *what = "events while a program was running on the same CPU";
	uint64_t n = t->report.missed;

	if (!t->epochs++)
		return "nothing was write-protected before";
	for (int i = 0; !n && i < MB_LOST_REASONS; i++) {
		n = t->report.lost[i];
		what = lost[i];
	}
	if (!n)
		return NULL;
	snprintf(t->doubt, sizeof(t->doubt), "%" PRIu64 " %s", n, what ? what : "events");
	return t->doubt;
}

static int bpf_epoch(struct mb_tracker *tracker, const struct mb_frame_set **ret_dirty,
		     const char **ret_doubt, struct mb_err *err)
{
	struct track_bpf *t = to_bpf(tracker);
	uint64_t start_ns = mb_now_ns();
	int r = 0;

	if (t->protect_first)
		r = protect(t, err);
	if (r < 0)
		return r;
	t->report.flagged = drain(t);
	t->report.drain_ns = mb_now_ns() - start_ns;
	/*
	 * Between taking and protecting: what was lost up to now is read anew, or it was before the
	 * pages are protected, and they are read after that.
	 */
	r = count_losses(t, err);
	if (r < 0)
		return r;
	take_who(t);
	if (!t->protect_first)
		r = protect(t, err);
	if (r < 0)
		return r;
	*ret_dirty = &t->dirty;
	*ret_doubt = doubt(t);
	return 0;
}

static void bpf_describe(struct mb_tracker *tracker, char ret[MB_DESCRIBE_MAX])
{
	struct track_bpf *t = to_bpf(tracker);
	const struct mb_hook_plan *plan = &t->report.hooks;
	size_t ways[4] = { 0 }, n;
	const char *before = "; not seen: ";

	for (size_t i = 0; i < mb_n_hooks; i++)
		ways[plan->name[i] ? plan->way[i] : MB_WAY_NONE]++;
	n = (size_t)snprintf(
		ret, MB_DESCRIBE_MAX, "%s: %zu tracepoints, %zu fexit, %zu kprobes, a %s per frame",
		t->ops.strength == MB_STRENGTH_PROOF ? "misses nothing of anon and file" :
						       "may miss some of anon and file",
		ways[MB_WAY_TRACEPOINT], ways[MB_WAY_FEXIT], ways[MB_WAY_KPROBE],
		t->report.bits ? "bit" : "byte");
	for (size_t i = 0; i < mb_n_hooks && n < MB_DESCRIBE_MAX; i++) {
		if (!plan->name[i] || plan->way[i] != MB_WAY_NONE ||
		    mb_hooks[i].need == MB_NEED_WHO)
			continue;
		n += (size_t)snprintf(ret + n, MB_DESCRIBE_MAX - n, "%s%s", before,
				      mb_hooks[i].followed);
		before = ", ";
	}
}

/* As of the last epoch. */
static uint64_t bpf_cost_ns(struct mb_tracker *tracker)
{
	struct track_bpf *t = to_bpf(tracker);
	uint64_t ns = t->report.run_ns - t->told_ns;

	t->told_ns = t->report.run_ns;
	return ns;
}

const struct mb_tracker_ops mb_track_bpf = {
	.name = "bpf",
	.strength = MB_STRENGTH_PROOF,
	.follows = 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE,
	.needs = MB_KEEP_BPF | MB_CAP(PERFMON) | MB_CAP(SYS_ADMIN),
	.keeps = MB_KEEP_BPF,
	.open = bpf_open,
	.close = bpf_close,
	.epoch = bpf_epoch,
	.describe = bpf_describe,
	.cost_ns = bpf_cost_ns,
};

/* --- what it did --- */

void mb_track_bpf_report(struct mb_tracker *t, struct mb_track_bpf_report *ret)
{
	*ret = to_bpf(t)->report;
}

size_t mb_track_bpf_who(struct mb_tracker *t, const struct mb_track_bpf_who **ret)
{
	*ret = to_bpf(t)->who;
	return to_bpf(t)->n_who;
}
