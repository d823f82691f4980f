/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tracker by BPF: programs in the kernel flag frames, write protection makes every process's
 * first write to a page seen. For a guest that the agent runs in, with the module mbwalk.
 *
 *	epoch():  take the flags  ->  write-protect all processes  ->  (the pass reads pages)
 *
 * in this order: a page that is written before it is protected is read afterwards, one that is
 * written after that is flagged for the next epoch.
 *
 * It follows anonymous memory and the page cache of regular files (mb_page_class ANON and FILE). Of
 * these clean means clean, as long as the pass reads anew
 *	- all pages of the other classes, and those whose class is not the last epoch's;
 *	- pages that were UNSTABLE or PINNED when they were read, and those that are PINNED now.
 *
 * In the first epochs the kernel times BPF programs (bpf_enable_stats()), those of others too; that
 * costs each event a tenth, so later ones are estimated by how many frames were flagged.
 *
 * Not seen: userfaultfd that puts existing pages in place (UFFDIO_CONTINUE, UFFDIO_MOVE).
 */
#ifndef MB_TRACK_BPF_H
#define MB_TRACK_BPF_H

#include <stddef.h>
#include <stdint.h>

#include "agent/bpf_hooks.h"
#include "agent/track.h"
#include "agent/write_protect.h"
#include "bpf/dirty.h"

/*
 * mb_track_bpf: PROOF. One that is open says HINT (in ops->strength) if a hook that this takes is
 * not to be had.
 *
 * MB_DEBUG_TRACK in the environment, for tests, breaks it ("no-protect", "protect-first") or has it
 * do without what most kernels have ("no-fexit": kprobes and kretprobes instead) or without a hook
 * ("without-NAME,"), or attaches the second set of programs at once ("double").
 */

struct mb_track_bpf_report {
	struct mb_hook_plan hooks; /* as they are attached */
	bool bits;		   /* a bit per frame; else a byte */
	bool knows_pinned;	   /* the module tells pages that devices write to */
	/* Since it is there, where the kernel counts them (5.8, or kernel.bpf_stats_enabled). */
	uint64_t calls[MB_HOOKS_MAX];
	uint64_t run_ns;  /* of all programs */
	uint64_t flagged; /* frames, of the last epoch, as all that follows */
	/*
	 * Of each hook: events that were passed over, since its program was at work on that CPU;
	 * how often that happened to the first of two sets (bpf_set.h), of which the other saw
	 * them.
	 */
	uint64_t missed[MB_HOOKS_MAX], held_up[MB_HOOKS_MAX];
	uint64_t lost[MB_LOST_REASONS];
	uint64_t drain_ns;
	uint64_t rewrites; /* faults that there were because pages were protected */
	struct mb_write_protect protect;
};

/* Who dirtied frames, by frames (of a sample, times what it leaves out), most first. An empty comm:
 * those that there was no room for. */
struct mb_track_bpf_who {
	struct mb_dirty_by by;
	struct mb_dirty_frames frames;
	uint64_t total;
};

/* Both: of an open tracker that is mb_track_bpf. */
void mb_track_bpf_report(struct mb_tracker *t, struct mb_track_bpf_report *ret);
/* Until the next epoch. Returns how many; none if nobody asked for it. */
size_t mb_track_bpf_who(struct mb_tracker *t, const struct mb_track_bpf_who **ret);

/* "page cache write" */
const char *mb_dirty_kind_name(enum mb_dirty_kind kind);

#endif
