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

/* All pages of the compound that begins at `head`; `new`: what is held back of them is of that. */
static __always_inline void dirty_pages(bool typed, u64 head, u32 kind, u32 new)
{
	u64 page = typed ? mb_number(head) : head, frame = mb_frame(page);

	mb_account(frame, mb_flag(frame, mb_n_pages(typed, head, page)), kind, new);
}

static __always_inline void dirty_compound(bool typed, u64 head, u32 kind)
{
	dirty_pages(typed, head, kind, kind);
}

/* --- the page allocator --- */

/* What a process gets is of more than one kind; a part of it can be told by how it is asked for. */
static __always_inline u32 kind_of_new(u64 gfp, u32 n)
{
	return mb_my_pgd() && (gfp & MB_GFP_ZERO || n > 1) ? MB_DIRTY_TOUCH : MB_DIRTY_ALLOC;
}

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
	if (!fresh || !mb_is_counted(frame))
		return 0;
	if (ctx->args[2] & MB_GFP_MOVABLE)
		mb_hold(frame, n, fresh, kind_of_new(ctx->args[2], n));
	else
		mb_account(frame, fresh, MB_DIRTY_ALLOC, MB_DIRTY_ALLOC);
	return 0;
}

/*
 * --- memory of processes ---
 *
 * A new page has been flagged when it was handed out; what is left are pages that are there and
 * become writable. A fault holds a lock that write protection takes, too: it is over before that,
 * or all of it comes after. So it does not matter when on its way it flags a page.
 */

FAULT_HOOK(do_wp_page)
{
	u64 frame = MB_PTE_FRAME(vmf->orig_pte.pte), entry = 0;

	if (!mb_config.who && mb_is_flagged(frame))
		return;
	bpf_probe_read_kernel(&entry, sizeof(entry), vmf->pte);
	if (entry & MB_PTE_PRESENT && MB_PTE_FRAME(entry) != frame)
		mb_know(MB_PTE_FRAME(entry), MB_DIRTY_COW);
	else
		mb_account(frame, mb_flag(frame, 1), MB_DIRTY_REWRITE, MB_DIRTY_TOUCH);
}

FAULT_HOOK(do_huge_pmd_wp_page)
{
	u64 frame = MB_PTE_FRAME(vmf->orig_pte.pte) & ~511ull, entry = 0;

	bpf_probe_read_kernel(&entry, sizeof(entry), vmf->pmd);
	/* Else it was copied, or split: then there is another fault. */
	if (entry & MB_PTE_HUGE && (MB_PTE_FRAME(entry) & ~511ull) == frame)
		mb_account(frame, mb_flag(frame, 512), MB_DIRTY_REWRITE, MB_DIRTY_TOUCH);
}

/* What is mapped writable around an address, where that itself need not be: its page was locked. */
static __always_inline void dirty_around(u64 pgd, u64 address)
{
	enum { AROUND = 16 }; /* fault_around_bytes, 64 KiB; from a multiple of it, or up to one */
	struct mb_mapping at;
	u32 slot;

	mb_walk(pgd, address, &at);
	if (at.n > 1 && at.writable)
		mb_account(at.frame, mb_flag(at.frame, at.n), MB_DIRTY_REWRITE, MB_DIRTY_TOUCH);
	if (!at.table)
		return;
	slot = at.slot & ~(AROUND - 1u);
	for (u32 i = 0; i < 2 * AROUND && slot + i < 512; i++) {
		u64 entry = mb_entry(at.table, slot + i), frame = MB_PTE_FRAME(entry);

		if (entry & MB_PTE_WRITE)
			mb_account(frame, mb_flag(frame, 1), MB_DIRTY_REWRITE, MB_DIRTY_TOUCH);
	}
}

static __always_inline void dirty_mapped(u64 pgd, u64 address, bool written, u32 new)
{
	struct mb_mapping at;
	u64 head;

	mb_walk(pgd, address, &at);
	if (!at.n || !(at.writable || written))
		return;
	mb_account(at.frame, mb_flag(at.frame, at.n), MB_DIRTY_REWRITE, new);
	if (at.n > 1)
		return;
	/* 6.11: all of a large folio is mapped at once. */
	head = mb_head(mb_page(at.frame));
	if (mb_is_head(false, head))
		dirty_compound(false, head, MB_DIRTY_REWRITE);
}

FAULT_HOOK(do_swap_page)
{
	dirty_mapped(mb_number((u64)vmf->vma->vm_mm->pgd), vmf->address,
		     vmf->flags & MB_FAULT_WRITE, MB_DIRTY_TOUCH);
}

/* A page of a file has been found, and will be mapped; or what found it has done so. */
FAULT_HOOK(__do_fault)
{
	u64 page = (u64)vmf->page, cow = (u64)vmf->cow_page;
	bool written = vmf->flags & MB_FAULT_WRITE;

	if (!(vmf->vma->vm_flags & MB_VM_SHARED)) {
		if (mb_config.who && cow)
			mb_know(mb_frame(mb_number(cow)), MB_DIRTY_COW);
		return;
	}
	if (!written && !(vmf->vma->vm_page_prot.pgprot & MB_PTE_WRITE))
		return;
	if (ret & MB_FAULT_NOPAGE)
		dirty_mapped(mb_number((u64)vmf->vma->vm_mm->pgd), vmf->address, written,
			     MB_DIRTY_TOUCH);
	else if (page)
		dirty_pages(false, mb_head(mb_number(page)), MB_DIRTY_REWRITE, MB_DIRTY_TOUCH);
}

/*
 * A read maps the pages around, too; writable in a shared mapping whose writes are not followed
 * yet: it is new.
 */
FAULT_HOOK(filemap_map_pages)
{
	if (vmf->vma->vm_page_prot.pgprot & MB_PTE_WRITE)
		dirty_around(mb_number((u64)vmf->vma->vm_mm->pgd), vmf->address);
}

/* All of the above at once, dearer, where the parts cannot be had. */
HOOK(handle_mm_fault, 3)
{
	struct vm_area_struct *vma = (void *)args[0];
	u32 flags = args[2], new = MB_DIRTY_TOUCH;
	u64 vm_flags = MB_READ(typed, vma, vm_flags), pgd;

	/*
	 * Of programs and their constants, most faults of a new process: nothing can have become
	 * writable. A mapping that is gone by now tells nonsense, but then nothing was mapped yet.
	 */
	if (!(flags & MB_FAULT_WRITE) && !(vm_flags & MB_VM_WRITE))
		return;
	/* The mapping may be gone by now, which does not harm; but one's own memory is there. */
	pgd = flags & MB_FAULT_REMOTE ? (u64)BPF_CORE_READ(vma, vm_mm, pgd) : mb_my_pgd();
	if (mb_config.who && !(vm_flags & MB_VM_SHARED) && BPF_CORE_READ(vma, vm_file))
		new = MB_DIRTY_COW;
	dirty_mapped(pgd, args[1], flags & MB_FAULT_WRITE, new);
	if (vm_flags & MB_VM_SHARED && vm_flags & MB_VM_WRITE && vm_flags & MB_VM_SOFTDIRTY)
		dirty_around(pgd, args[1]);
}

/*
 * A program's arguments are written before its memory is any process's, so the agent may not have
 * found it to protect.
 */
SEC("raw_tp/sched_process_exec")
int raw_sched_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
	enum { PAGES = 64 };
	u64 at = MB_MY_MM(start_stack) & ~4095ull;
	u64 end = MB_MY_MM(env_end) + 4096 + 8; /* then the program's path */
	struct mb_mapping mapping = { 0 };

	(void)ctx;
	if (end - at > PAGES * 4096ull)
		mb_lost(MB_LOST_EXEC);
	for (int i = 0; i < PAGES; i++, at += 4096) {
		if (at >= end)
			break;
		mb_walk_on(at, &mapping);
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

	if ((args[2] & MB_PROT_WRITE) && (MB_READ(typed, vma, vm_flags) & MB_VM_SHARED))
		mb_lost(MB_LOST_MPROTECT);
}

/* --- page cache, written to by the kernel, which says so when it has done it --- */

STORED_HOOK(folio_mark_dirty, 1)
{
	dirty_compound(typed, args[0], MB_DIRTY_CACHE_WRITE);
}

STORED_HOOK(set_page_dirty, 1)
{
	dirty_compound(false, mb_head(mb_number(args[0])), MB_DIRTY_CACHE_WRITE);
}

STORED_HOOK(filemap_dirty_folio, 2)
{
	dirty_compound(typed, args[1], MB_DIRTY_CACHE_WRITE);
}

STORED_HOOK(__set_page_dirty_nobuffers, 1)
{
	dirty_compound(false, mb_head(mb_number(args[0])), MB_DIRTY_CACHE_WRITE);
}

STORED_HOOK(iomap_set_page_dirty, 1)
{
	dirty_compound(false, mb_head(mb_number(args[0])), MB_DIRTY_CACHE_WRITE);
}

STORED_HOOK(mark_buffer_dirty, 1)
{
	dirty_compound(false, mb_head(mb_number(mb_buffer_page(typed, args[0]))),
		       MB_DIRTY_CACHE_WRITE);
}

HOOK(__folio_start_writeback, 1)
{
	dirty_compound(typed, args[0], MB_DIRTY_WRITEBACK);
}

HOOK(__test_set_page_writeback, 1)
{
	dirty_compound(false, mb_head(mb_number(args[0])), MB_DIRTY_WRITEBACK);
}

/* Folio, first and last byte to go. It may be split by now: its frames are where they were. */
HOOK(truncate_inode_partial_folio, 3)
{
	u64 frame = mb_frame(mb_number(args[0]));
	u64 index = MB_READ(typed, (struct folio *)args[0], index);
	u64 first = (args[1] >> 12) - index, last = (args[2] >> 12) - index;

	dirty_compound(typed, args[0], MB_DIRTY_TRUNCATE);
	if (first < 1 << MB_MAX_ORDER)
		mb_account(frame + first, mb_flag(frame + first, 1), MB_DIRTY_TRUNCATE,
			   MB_DIRTY_TRUNCATE);
	if (last < 1 << MB_MAX_ORDER)
		mb_account(frame + last, mb_flag(frame + last, 1), MB_DIRTY_TRUNCATE,
			   MB_DIRTY_TRUNCATE);
}

HOOK(block_invalidatepage, 1)
{
	dirty_compound(false, mb_head(mb_number(args[0])), MB_DIRTY_TRUNCATE);
}

/* --- migration --- */

HOOK(folio_migrate_flags, 1)
{
	dirty_compound(typed, args[0], MB_DIRTY_MIGRATE);
}

HOOK(migrate_page_states, 1)
{
	dirty_compound(false, mb_head(mb_number(args[0])), MB_DIRTY_MIGRATE);
}

/*
 * The copy is mapped again, writable if the page was before it was protected. What does it is
 * inlined; it is the one walk over all mappings that needs none of these.
 */
HOOK(rmap_walk, 2)
{
	struct rmap_walk_control *control = (void *)args[1];

	if (!MB_READ(typed, control, done) && !MB_READ(typed, control, anon_lock) &&
	    !MB_READ(typed, control, invalid_vma))
		dirty_compound(false, mb_head(mb_number(args[0])), MB_DIRTY_MIGRATE);
}

/*
 * Many pages have become a huge one, which was handed out before khugepaged took the lock that
 * write protection takes.
 */
HOOK(collapse_huge_page, 2)
{
	struct mm_struct *mm = (void *)args[0];
	u64 pgd = (u64)MB_READ(typed, mm, pgd);

	dirty_mapped(typed ? mb_number(pgd) : pgd, args[1], false, MB_DIRTY_MIGRATE);
}

/* --- only to say what was done --- */

SEC("raw_tp/mm_filemap_add_to_page_cache")
int raw_mm_filemap_add_to_page_cache(struct bpf_raw_tracepoint_args *ctx)
{
	mb_know(mb_frame(ctx->args[0]), MB_DIRTY_CACHE_NEW);
	return 0;
}
