/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Who dirtied frames, and by what: counted once per frame and epoch, when its flag is set. To count
 * costs as much as to flag, so that it may be done for a sample of frames, others in each epoch.
 *
 * A page is flagged when it is handed out, which does not tell for sure what for. So what a process
 * gets is held back, one allocation per CPU, until an event says it, or there is another
 * allocation.
 */
#ifndef MB_WHO_BPF_H
#define MB_WHO_BPF_H

#include "bpf/flag.bpf.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MB_WHO_MAX);
	__type(key, struct mb_dirty_by);
	__type(value, struct mb_dirty_frames);
} mb_who SEC(".maps");

/* Not on the stack, which is small. */
const volatile struct mb_dirty_frames mb_no_frames SEC(".rodata.none") = { 0 };

struct mb_held {
	struct mb_dirty_by by;
	u64 frame;
	u32 n, fresh; /* fresh 0: nothing is held */
	u32 tid;
	u32 kind;   /* what it is so far */
	bool known; /* for sure */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct mb_held);
} mb_held SEC(".maps");

volatile u64 mb_seed SEC(MB_SEED_MAP) = 0;

static __always_inline bool mb_is_counted(u64 frame)
{
	if (!mb_config.who)
		return false;
	return !((frame + mb_seed) * 0x9e3779b97f4a7c15ull >> 40 & (mb_config.who - 1));
}

static __always_inline void mb_count(const struct mb_dirty_by *by, u64 kind, u32 n)
{
	struct mb_dirty_frames *frames = bpf_map_lookup_elem(&mb_who, by);

	if (!frames) {
		bpf_map_update_elem(&mb_who, by, (void *)&mb_no_frames, BPF_NOEXIST);
		frames = bpf_map_lookup_elem(&mb_who, by);
	}
	/* Known to the kernel only when it is done here, whatever the compiler knows. */
	asm volatile("%0 &= 15" : "+r"(kind));
	if (frames)
		__sync_fetch_and_add(&frames->n[kind], n);
	else
		__sync_fetch_and_add(&mb_counters.other[kind], n);
}

static __always_inline void mb_by_me(struct mb_dirty_by *by)
{
	/* Older kernels leave what is behind the name as it is. */
	__builtin_memset(by, 0, sizeof(*by));
	bpf_get_current_comm(by->comm, sizeof(by->comm));
	by->cgroup = bpf_get_current_cgroup_id();
}

static __always_inline struct mb_held *mb_get_held(void)
{
	u32 key = 0;

	return bpf_map_lookup_elem(&mb_held, &key);
}

/* Handed out for a process, `fresh` frames of a counted one, of which we will hear more. */
static __always_inline void mb_hold(u64 frame, u32 n, u32 fresh, u32 kind)
{
	struct mb_held *held = mb_get_held();

	if (!held)
		return;
	if (held->fresh)
		mb_count(&held->by, held->kind, held->fresh);
	mb_by_me(&held->by);
	held->frame = frame;
	held->n = n;
	held->fresh = fresh;
	held->tid = bpf_get_current_pid_tgid();
	held->kind = kind;
	held->known = false;
}

static __always_inline struct mb_held *mb_held_of_mine(u64 frame)
{
	struct mb_held *held = mb_get_held();

	if (!held || !held->fresh || frame - held->frame >= held->n ||
	    held->tid != (u32)bpf_get_current_pid_tgid())
		return NULL;
	return held;
}

/* More is known of what is held back: it is of this kind at least. */
static __always_inline void mb_know(u64 frame, u32 kind)
{
	struct mb_held *held = mb_is_counted(frame) ? mb_held_of_mine(frame) : NULL;

	if (!held)
		return;
	held->kind = kind;
	held->known = true;
}

/* `fresh` frames at `frame` are of this kind; `new`: what is held back of them is of that. */
static __always_inline void mb_account(u64 frame, u32 fresh, u32 kind, u32 new)
{
	struct mb_dirty_by by;

	if (fresh && kind == MB_DIRTY_REWRITE)
		__sync_fetch_and_add(&mb_counters.rewrites, 1);
	if (!mb_is_counted(frame))
		return;
	if (fresh) {
		mb_by_me(&by);
		mb_count(&by, kind, fresh);
	} else {
		struct mb_held *held = mb_held_of_mine(frame);

		if (!held)
			return;
		mb_count(&held->by, held->known ? held->kind : new, held->fresh);
		held->fresh = 0;
	}
}

#endif
