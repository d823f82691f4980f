// SPDX-License-Identifier: GPL-2.0
/*
 * Flags the frames of RAM whose content may have changed: where the kernel hands them out, maps
 * them writable, or writes to them itself. It does not see a process write to what it can write to
 * already: for that the agent takes the permission away at the start of each epoch
 * (agent/write_protect.h), so that the first write faults. agent/bpf_hooks.c says what is missed
 * without each of these.
 */
#include "bpf/compat.bpf.h"
#include "bpf/dirty.h"
#include "bpf/flag.bpf.h"
#include "bpf/hook.bpf.h"
#include "bpf/walk.bpf.h"
#include "bpf/who.bpf.h"

/* The programs call functions that are for GPL programs only. */
char _license[] SEC("license") = "GPL";

/* All pages of the compound that begins at `head`. */
static __always_inline void dirty_compound(u64 head, u32 kind)
{
	u64 frame = mb_frame(head);

	mb_account(frame, mb_flag(frame, mb_n_pages(head)), kind, kind);
}

/* --- the page allocator --- */

SEC("raw_tp/mm_page_alloc")
int raw_mm_page_alloc(struct bpf_raw_tracepoint_args *ctx)
{
	u64 page = ctx->args[0], frame;
	u32 n = 1u << (ctx->args[1] & 15), fresh;

	if (!page) /* there was none */
		return 0;
	if (n > 1 << MB_MAX_ORDER)
		n = 1 << MB_MAX_ORDER;
	frame = mb_frame(page);
	fresh = mb_flag(frame, n);
	if (ctx->args[2] & MB_GFP_MOVABLE)
		mb_hold(frame, n, fresh);
	else
		mb_account(frame, fresh, MB_DIRTY_ALLOC, MB_DIRTY_ALLOC);
	return 0;
}

SEC("raw_tp/mm_page_free")
int raw_mm_page_free(struct bpf_raw_tracepoint_args *ctx)
{
	u64 frame = mb_frame(ctx->args[0]);
	u32 n = 1u << (ctx->args[1] & 15);

	if (n > 1 << MB_MAX_ORDER)
		n = 1 << MB_MAX_ORDER;
	mb_account(frame, mb_flag(frame, n), MB_DIRTY_FREE, MB_DIRTY_FREE);
	return 0;
}

/* --- memory of processes --- */

/*
 * In a mapping whose writes are not followed yet (it is new) a fault maps the pages around, too,
 * and writable where the mapping is shared.
 */
static __always_inline void dirty_around(const struct mb_mapping *at)
{
	enum { AROUND = 16 }; /* fault_around_bytes, 64 KiB; from a multiple of it, or up to one */
	u32 slot = at->slot & ~(AROUND - 1u);

	for (u32 i = 0; i < 2 * AROUND && slot + i < 512; i++) {
		u64 entry = mb_entry(at->table, slot + i), frame = MB_PTE_FRAME(entry);

		if (entry & MB_PTE_WRITE)
			mb_account(frame, mb_flag(frame, 1), MB_DIRTY_REWRITE, MB_DIRTY_TOUCH);
	}
}

HOOK(handle_mm_fault, 3)
{
	struct vm_area_struct *vma = (void *)args[0];
	u32 flags = args[2];
	struct mb_mapping at;
	u64 vm_flags = BPF_CORE_READ(vma, vm_flags), pgd, page;
	u32 new = MB_DIRTY_TOUCH;

	/*
	 * Of programs and their constants, most faults of a new process: nothing can have become
	 * writable. A mapping that is gone by now tells nonsense, but then nothing was mapped yet.
	 */
	if (!(flags & MB_FAULT_WRITE) && !(vm_flags & MB_VM_WRITE))
		return;
	/* The mapping may be gone by now, which does not harm; but one's own memory is there. */
	pgd = flags & MB_FAULT_REMOTE ? (u64)BPF_CORE_READ(vma, vm_mm, pgd) : mb_my_pgd();
	mb_walk(pgd, args[1], &at);
	/* FOLL_FORCE writes to what is not writable. */
	if (!at.n || !(at.writable || (flags & MB_FAULT_WRITE)))
		return;
	if (at.n == 1 && (vm_flags & MB_VM_SHARED)) {
		/* 6.11: all of a large folio is mapped at once. */
		page = mb_config.vmemmap_base + at.frame * mb_config.struct_page_bytes;
		page = mb_head(page);
		if (mb_is_head(page))
			dirty_compound(page, MB_DIRTY_REWRITE);
		if ((vm_flags & MB_VM_WRITE) && (vm_flags & MB_VM_SOFTDIRTY))
			dirty_around(&at);
	}
	if (mb_config.who && !(vm_flags & MB_VM_SHARED) && BPF_CORE_READ(vma, vm_file))
		new = MB_DIRTY_COW;
	mb_account(at.frame, mb_flag(at.frame, at.n), MB_DIRTY_REWRITE, new);
}

/*
 * A program's arguments are written before its memory is any process's, so the agent may not have
 * found it to protect.
 */
SEC("raw_tp/sched_process_exec")
int raw_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	enum { PAGES = 64 };
	struct mm_struct *mm = BPF_CORE_READ((struct task_struct *)ctx->args[0], mm);
	u64 at = BPF_CORE_READ(mm, start_stack) & ~4095ull;
	u64 end = BPF_CORE_READ(mm, env_end) + 4096 + 8; /* then the program's path */
	u64 pgd = (u64)BPF_CORE_READ(mm, pgd);
	struct mb_mapping mapping;

	if (end - at > PAGES * 4096ull)
		mb_lost(MB_LOST_EXEC);
	for (int i = 0; i < PAGES; i++, at += 4096) {
		if (at >= end)
			break;
		mb_walk(pgd, at, &mapping);
		if (mapping.n)
			mb_account(mapping.frame, mb_flag(mapping.frame, mapping.n), MB_DIRTY_EXEC,
				   MB_DIRTY_EXEC);
	}
	return 0;
}

/*
 * To 5.18 mprotect() makes what is dirty and shared writable again without a fault. Which pages,
 * only the page tables tell, so that all are read anew. What does it is inlined; this comes before
 * it, under the lock that write protection takes, too.
 */
HOOK(security_file_mprotect, 3)
{
	struct vm_area_struct *vma = (void *)args[0];

	if ((args[2] & MB_PROT_WRITE) && (BPF_CORE_READ(vma, vm_flags) & MB_VM_SHARED))
		mb_lost(MB_LOST_MPROTECT);
}

/* --- page cache, written to by the kernel --- */

HOOK(folio_mark_dirty, 1)
{
	dirty_compound(args[0], MB_DIRTY_CACHE_WRITE);
}

HOOK(set_page_dirty, 1)
{
	dirty_compound(mb_head(args[0]), MB_DIRTY_CACHE_WRITE);
}

HOOK(filemap_dirty_folio, 2)
{
	dirty_compound(args[1], MB_DIRTY_CACHE_WRITE);
}

HOOK(__set_page_dirty_nobuffers, 1)
{
	dirty_compound(mb_head(args[0]), MB_DIRTY_CACHE_WRITE);
}

HOOK(iomap_set_page_dirty, 1)
{
	dirty_compound(mb_head(args[0]), MB_DIRTY_CACHE_WRITE);
}

HOOK(mark_buffer_dirty, 1)
{
	dirty_compound(mb_head(mb_buffer_page(args[0])), MB_DIRTY_CACHE_WRITE);
}

HOOK(__folio_start_writeback, 1)
{
	dirty_compound(args[0], MB_DIRTY_WRITEBACK);
}

HOOK(__test_set_page_writeback, 1)
{
	dirty_compound(mb_head(args[0]), MB_DIRTY_WRITEBACK);
}

/* Folio, first and last byte to go. It may be split by now: its frames are where they were. */
HOOK(truncate_inode_partial_folio, 3)
{
	u64 frame = mb_frame(args[0]), index = BPF_CORE_READ((struct folio *)args[0], index);
	u64 first = (args[1] >> 12) - index, last = (args[2] >> 12) - index;

	dirty_compound(args[0], MB_DIRTY_TRUNCATE);
	if (first < 1 << MB_MAX_ORDER)
		mb_account(frame + first, mb_flag(frame + first, 1), MB_DIRTY_TRUNCATE,
			   MB_DIRTY_TRUNCATE);
	if (last < 1 << MB_MAX_ORDER)
		mb_account(frame + last, mb_flag(frame + last, 1), MB_DIRTY_TRUNCATE,
			   MB_DIRTY_TRUNCATE);
}

HOOK(block_invalidatepage, 1)
{
	dirty_compound(mb_head(args[0]), MB_DIRTY_TRUNCATE);
}

/* --- migration --- */

HOOK(folio_migrate_flags, 1)
{
	dirty_compound(args[0], MB_DIRTY_MIGRATE);
}

HOOK(migrate_page_states, 1)
{
	dirty_compound(mb_head(args[0]), MB_DIRTY_MIGRATE);
}

/*
 * The copy is mapped again, writable if the page was before it was protected. What does it is
 * inlined; it is the one walk over all mappings that needs none of these.
 */
HOOK(rmap_walk, 2)
{
	struct rmap_walk_control *control = (void *)args[1];

	if (!BPF_CORE_READ(control, done) && !BPF_CORE_READ(control, anon_lock) &&
	    !BPF_CORE_READ(control, invalid_vma))
		dirty_compound(mb_head(args[0]), MB_DIRTY_MIGRATE);
}

/* --- only to say what was done --- */

SEC("raw_tp/mm_filemap_add_to_page_cache")
int raw_mm_filemap_add_to_page_cache(struct bpf_raw_tracepoint_args *ctx)
{
	mb_know(mb_frame(ctx->args[0]), MB_DIRTY_CACHE_NEW);
	return 0;
}

HOOK(wp_page_copy, 0)
{
	struct mb_held *held = mb_get_held();

	(void)args;
	if (held && held->fresh && held->kind == MB_DIRTY_ALLOC &&
	    held->tid == (u32)bpf_get_current_pid_tgid())
		held->kind = MB_DIRTY_COW;
}
