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
#include "agent/bpf_set.h"
#include "agent/cgroup.h"
#include "agent/mbwalk.h"
#include "agent/privileges.h"
#include "agent/pagemap.h"
#include "agent/printable.h"
#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/digest.h"
#include "proto/page.h"

/* Native, on machines of today. */
enum { FAULT_NS = 1000 };

/* Epochs in which programs are timed. */
enum { TIMED_EPOCHS = 16 };

struct track_bpf {
	struct mb_tracker base;
	struct mb_tracker_ops ops; /* mb_track_bpf's, but for the strength */
	struct mb_bpf_set programs, second;
	bool doubled;	    /* the second one is attached */
	uint32_t who_every; /* one frame in so many is counted; 0: none */
	uint64_t *map;
	size_t n_words;
	struct mb_frame_set dirty;
	int counters; /* file descriptor of their map, the object's */
	struct mb_dirty_counters before;
	struct mb_dirty_frames other; /* of the last epoch, by those there was no room for */
	/* Totals as of the last epoch. */
	uint64_t missed[MB_HOOKS_MAX], missed_twice[MB_HOOKS_MAX];
	int stats;			  /* file descriptor; while it is open programs are timed */
	uint64_t timed_ns, timed_flagged; /* all of their run time, and what they flagged in it */
	uint64_t cost_ns;		  /* that nobody was told of yet */
	uint64_t epochs;
	bool no_protect, protect_first, always_double;
	struct mb_track_bpf_who *who;
	size_t n_who;
	struct mb_cgroup_names cgroups;
	struct mb_track_bpf_report report;
	char doubt[160];
};

static struct track_bpf *to_bpf(struct mb_tracker *t)
{
	return (struct track_bpf *)t;
}

const char *mb_dirty_kind_name(enum mb_dirty_kind kind)
{
	/* The wire's, which has one more in front. */
	_Static_assert((int)MB_WHO_ALLOC == MB_DIRTY_ALLOC + 1 &&
			       (int)MB_WHO_MIGRATE == MB_DIRTY_MIGRATE + 1 &&
			       (int)MB_WHO_EXEC == MB_DIRTY_EXEC + 1 &&
			       (int)MB_WHO_KINDS == MB_DIRTY_KINDS + 1,
		       "kinds");
	return mb_who_kind_name(kind + 1);
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
		.who = t->who_every,
	};
	struct bpf_map *map = bpf_object__find_map_by_name(t->programs.object, MB_DIRTY_MAP);
	struct bpf_map *rodata = bpf_object__find_map_by_name(t->programs.object, MB_CONFIG_MAP);
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

/* What an attached set is good for. */
static enum mb_strength strength(const struct track_bpf *t)
{
	const struct mb_hook_plan *plan = &t->report.hooks;

	if (!t->report.knows_pinned)
		return MB_STRENGTH_HINT;
	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (mb_hooks[i].need == MB_NEED_WHO || !plan->name[i])
			continue;
		/* What goes past a kretprobe is noticed only when an epoch ends. */
		if (plan->way[i] == MB_WAY_NONE || plan->way[i] == MB_WAY_KPROBE)
			return MB_STRENGTH_HINT;
	}
	return MB_STRENGTH_PROOF;
}

static int map_memory(struct track_bpf *t, struct mb_err *err)
{
	struct bpf_map *map = bpf_object__find_map_by_name(t->programs.object, MB_DIRTY_MAP);
	struct bpf_map *counters =
		bpf_object__find_map_by_name(t->programs.object, MB_COUNTERS_MAP);

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
	uint64_t frame = 0;
	int r;

	*(volatile char *)page = 1;
	r = frame_of(page, &frame, err);
	if (r < 0)
		return r;
	drain(t);
	if (!mb_frame_set_has(&t->dirty, frame))
		return mb_fail(err, EOPNOTSUPP, "a page that was just made is not flagged");
	r = mb_write_protect_self(err);
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

	mb_bpf_set_close(&t->second);
	mb_bpf_set_close(&t->programs);
	if (t->stats >= 0)
		close(t->stats);
	if (t->map)
		munmap(t->map, t->n_words * sizeof(uint64_t));
	free(t->dirty.words);
	free(t->who);
	free(t);
}

static int open_all(struct track_bpf *t, const char *btf, struct mb_err *err)
{
	const char *debug = getenv("MB_DEBUG_TRACK");
	/* A trampoline is asked for by numbers in the kernel's own types, which it then has. */
	bool fexit = !btf && !(debug && strstr(debug, "no-fexit"));
	struct mbwalk_info info;
	struct btf *kernel;
	int r;

	t->no_protect = debug && strstr(debug, "no-protect");
	t->protect_first = debug && strstr(debug, "protect-first");
	t->always_double = debug && strstr(debug, "double");
	r = ask_module(&info, err);
	if (r < 0)
		return r;
	r = mb_bpf_kernel_types(btf, &kernel, err);
	if (r < 0)
		return r;
	r = mb_hooks_probe(kernel, fexit, &t->report.hooks, err);
	btf__free(kernel);
	if (r < 0)
		return r;
	if (!t->who_every)
		mb_hooks_leave_out(&t->report.hooks, MB_NEED_WHO);
	if (debug)
		mb_hooks_leave_out_named(&t->report.hooks, debug);
	t->report.bits = mb_bpf_has_atomic_or();
	t->report.knows_pinned = info.knows & MBWALK_KNOWS_PINNED;
	r = mb_bpf_object_open(t->report.bits, btf, &t->programs.object, err);
	if (r == 0)
		r = configure(t, &info, err);
	if (r == 0)
		r = mb_bpf_set_load(&t->programs, &t->report.hooks, err);
	if (r == 0)
		r = map_memory(t, err);
	if (r == 0)
		r = mb_bpf_set_attach(&t->programs, &t->report.hooks, err);
	if (r == 0)
		r = self_test(t, err);
	if (r < 0)
		return r;
	t->ops.strength = strength(t);
	/* Now, while we may; and it can be done without. */
	if (mb_bpf_object_open(t->report.bits, btf, &t->second.object, NULL) < 0 ||
	    mb_bpf_set_load_second(&t->second, &t->programs, &t->report.hooks, NULL) < 0)
		mb_bpf_set_close(&t->second);
	/* Where the kernel cannot, nobody knows what the programs cost. */
	t->stats = bpf_enable_stats(BPF_STATS_RUN_TIME);
	return 0;
}

static int bpf_open(const struct mb_tracker_options *options, struct mb_tracker **ret,
		    struct mb_err *err)
{
	struct track_bpf *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return mb_fail_mem(err, "a tracker");
	t->ops = mb_track_bpf;
	t->stats = -1;
	t->who_every = options->who;
	t->base.ops = &t->ops;
	t->who = calloc(MB_WHO_MAX + 1, sizeof(*t->who));
	r = t->who ? open_all(t, options->btf, err) : mb_fail_mem(err, "a tracker");
	if (r < 0) {
		bpf_close(&t->base);
		return r;
	}
	*ret = &t->base;
	return 0;
}

/* --- epochs --- */

/*
 * From 5.12 on programs that are met by themselves are passed over, and counted. With two sets an
 * event is lost if both were met so: at most as many as the one of the two has counted that has
 * counted less.
 */
static int count_missed(struct track_bpf *t, struct mb_err *err)
{
	const struct mb_hook_plan *plan = &t->report.hooks;
	int r = mb_bpf_set_count(&t->programs, plan, err);

	if (r == 0 && t->doubled)
		r = mb_bpf_set_count(&t->second, plan, err);
	if (r < 0)
		return r;
	t->report.run_ns = t->programs.run_ns + t->second.run_ns;
	for (size_t i = 0; i < mb_n_hooks; i++) {
		uint64_t once = t->programs.missed[i] - t->missed[i];
		uint64_t twice = t->second.missed[i] - t->missed_twice[i];
		bool both = t->doubled && mb_bpf_set_is_in_second(plan, i);

		t->report.calls[i] = t->programs.calls[i];
		t->report.held_up[i] = once;
		t->report.missed[i] = both ? MB_MIN(once, twice) : once;
		t->missed[i] = t->programs.missed[i];
		t->missed_twice[i] = t->second.missed[i];
	}
	return 0;
}

/* Once it has been seen to be of use. What has been missed up to now has been. */
static void double_programs(struct track_bpf *t)
{
	bool any = t->always_double;

	for (size_t i = 0; i < mb_n_hooks; i++)
		any = any || (t->report.missed[i] && mb_hooks[i].need != MB_NEED_WHO);
	if (!any || t->doubled || !t->second.object)
		return;
	if (mb_bpf_set_attach_second(&t->second, &t->report.hooks, NULL) == 0)
		t->doubled = true;
	else
		mb_bpf_set_close(&t->second);
}

/*
 * Calls that a kprobe has met and no kretprobe yet: under way, or past all that there were. Which,
 * nobody tells, so all are given up; the return of one that was under way is counted then.
 */
static uint64_t give_up_calls(struct track_bpf *t)
{
	int fd = bpf_object__find_map_fd_by_name(t->programs.object, MB_ARGS_MAP);
	uint64_t key, n = 0;

	while (n < MB_ARGS_MAX && bpf_map_get_next_key(fd, NULL, &key) == 0) {
		n++;
		if (bpf_map_delete_elem(fd, &key) < 0)
			break;
	}
	return n;
}

/* What was counted since the last time. */
static int count_losses(struct track_bpf *t, struct mb_err *err)
{
	struct mb_dirty_counters now;
	__u32 key = 0;
	int r = count_missed(t, err);

	if (r < 0)
		return r;
	if (bpf_map_lookup_elem(t->counters, &key, &now) < 0)
		return mb_fail(err, errno, "counters: %m");
	for (int i = 0; i < MB_LOST_REASONS; i++)
		t->report.lost[i] = now.lost[i] - t->before.lost[i];
	t->report.lost[MB_LOST_RETURN] += give_up_calls(t);
	t->report.rewrites = now.rewrites - t->before.rewrites;
	for (int i = 0; i < MB_DIRTY_KINDS; i++)
		t->other.n[i] = now.other[i] - t->before.other[i];
	t->before = now;
	return 0;
}

static int by_total(const void *a, const void *b)
{
	const struct mb_track_bpf_who *x = a, *y = b;

	return (x->total < y->total) - (x->total > y->total);
}

/* Others are counted in the next epoch; one that cannot be told so has the same ones again. */
static void change_sample(struct track_bpf *t)
{
	int fd = bpf_object__find_map_fd_by_name(t->programs.object, MB_SEED_MAP);
	__u64 seed = t->epochs;
	__u32 key = 0;

	if (t->who_every > 1)
		bpf_map_update_elem(fd, &key, &seed, BPF_ANY);
}

/* Takes the table of who; what is counted to an entry while it is taken may be lost. */
static void take_who(struct track_bpf *t)
{
	int fd = bpf_object__find_map_fd_by_name(t->programs.object, MB_WHO_MAP);
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
		for (int i = 0; i < MB_DIRTY_KINDS; i++) {
			t->who[k].frames.n[i] *= t->who_every;
			t->who[k].total += t->who[k].frames.n[i];
		}
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
		[MB_LOST_RETURN] = "calls that were entered and not seen to return",
		[MB_LOST_EXEC] = "programs started with too many arguments",
		[MB_LOST_MPROTECT] = "mprotect() of shared memory, which needs no fault here",
	};
	if (!t->epochs++)
		return "nothing was write-protected before";
	for (int i = 0; i < MB_LOST_REASONS; i++) {
		if (!t->report.lost[i])
			continue;
		snprintf(t->doubt, sizeof(t->doubt), "%" PRIu64 " %s", t->report.lost[i], lost[i]);
		return t->doubt;
	}
	for (size_t i = 0; i < mb_n_hooks; i++) {
		if (!t->report.missed[i] || mb_hooks[i].need == MB_NEED_WHO)
			continue;
		snprintf(t->doubt, sizeof(t->doubt),
			 "%" PRIu64 " times %s, while the program there was at work on that CPU",
			 t->report.missed[i], t->report.hooks.name[i]);
		return t->doubt;
	}
	return NULL;
}

/* Of the epoch that ends: the programs, and the faults that there are because we protect pages. */
static void add_cost(struct track_bpf *t)
{
	uint64_t ns;

	if (t->stats >= 0) {
		ns = t->report.run_ns - t->timed_ns;
		t->timed_ns = t->report.run_ns;
		t->timed_flagged += t->report.flagged;
	} else {
		ns = (uint64_t)((double)t->report.flagged * (double)t->timed_ns /
				(double)MB_MAX(t->timed_flagged, 1u));
	}
	t->cost_ns += ns + t->report.rewrites * FAULT_NS;
	if (t->stats >= 0 && t->epochs >= TIMED_EPOCHS && t->timed_flagged) {
		close(t->stats);
		t->stats = -1;
	}
}

static int bpf_epoch(struct mb_tracker *tracker, const struct mb_frame_set **ret_dirty,
		     const char **ret_doubt, struct mb_err *err)
{
	struct track_bpf *t = to_bpf(tracker);
	uint64_t start_ns = mb_now_ns();
	int r = 0;

	t->n_who = 0;
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
	add_cost(t);
	double_programs(t);
	take_who(t);
	change_sample(t);
	if (!t->protect_first)
		r = protect(t, err);
	if (r < 0)
		return r;
	*ret_dirty = &t->dirty;
	*ret_doubt = doubt(t);
	return 0;
}

static void bpf_who(struct mb_tracker *tracker, struct mb_who *to)
{
	struct track_bpf *t = to_bpf(tracker);

	to->counted = to->counted || t->who_every;
	for (size_t i = 0; i < t->n_who; i++) {
		const struct mb_track_bpf_who *w = &t->who[i];
		struct mb_who_row row = { 0 };

		for (int k = 0; k < MB_DIRTY_KINDS; k++)
			row.frames[k + 1] = w->frames.n[k];
		/* Whose name will not be kept needs none. */
		if (*w->by.comm && i < MB_WHO_ROWS_MAX) {
			snprintf(row.process, sizeof(row.process), "%.*s", (int)sizeof(w->by.comm),
				 w->by.comm);
			snprintf(row.cgroup, sizeof(row.cgroup), "%s",
				 mb_cgroup_names_get(&t->cgroups, NULL, w->by.cgroup));
			mb_printable(row.process);
			mb_printable(row.cgroup);
		}
		mb_who_put(to, &row);
	}
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
	if (!t->report.knows_pinned && n < MB_DESCRIBE_MAX) {
		n += (size_t)snprintf(ret + n, MB_DESCRIBE_MAX - n,
				      "%smemory that devices write to", before);
		before = ", ";
	}
	for (size_t i = 0; i < mb_n_hooks && n < MB_DESCRIBE_MAX; i++) {
		if (!plan->name[i] || plan->way[i] != MB_WAY_NONE ||
		    mb_hooks[i].need == MB_NEED_WHO)
			continue;
		n += (size_t)snprintf(ret + n, MB_DESCRIBE_MAX - n, "%s%s", before,
				      mb_hooks[i].followed);
		before = ", ";
	}
}

static uint64_t bpf_cost_ns(struct mb_tracker *tracker)
{
	struct track_bpf *t = to_bpf(tracker);
	uint64_t ns = t->cost_ns;

	t->cost_ns = 0;
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
	.who = bpf_who,
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
