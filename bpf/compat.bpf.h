/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that differs between kernels, one function per change, each with the version that brought it.
 * What is there is found in the running kernel's own types (BTF), not by its version.
 */
#ifndef MB_COMPAT_BPF_H
#define MB_COMPAT_BPF_H

#include "vmlinux/vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* --- the same in all kernels, but macros there or private enumerators --- */

enum { MB_FAULT_WRITE = 1 << 0, MB_FAULT_REMOTE = 1 << 7 };
enum { MB_VM_WRITE = 1 << 1, MB_VM_SHARED = 1 << 3, MB_VM_SOFTDIRTY = 1 << 27 };
enum { MB_PROT_WRITE = 1 << 1 };
enum { MB_GFP_MOVABLE = 1 << 3, MB_GFP_ZERO = 1 << 8 };
enum { MB_FAULT_NOPAGE = 1 << 8 }; /* of vm_fault_t */
enum { MB_MAX_ORDER = 10 };	   /* of what the page allocator hands out on x86-64 */

/* x86-64 page tables. */
enum { MB_PTE_PRESENT = 1 << 0, MB_PTE_WRITE = 1 << 1, MB_PTE_HUGE = 1 << 7 };
#define MB_PTE_FRAME(entry) (((entry)&0x000ffffffffff000ull) >> 12)

/*
 * A typed pointer must not be calculated with. What is added to memory is a number from then on; to
 * have it copied there by the kernel would cost ten times as much.
 */
static __always_inline u64 mb_number(u64 typed)
{
	u64 number = 0;

	__sync_fetch_and_add(&number, typed);
	return *(volatile u64 *)&number;
}

/*
 * A field of what `p` points to. `typed`: p came as an argument of a trampoline, or out of such a
 * one, so that the kernel knows what it is; to load it costs a twentieth of having it copied.
 */
#define MB_READ(typed, p, field) ((typed) ? (p)->field : BPF_CORE_READ(p, field))

/* --- changes --- */

/* A field of the memory of who runs, 0 for a kernel thread. 5.11: read without a call. */
#define MB_MY_MM(field)                                                                            \
	(bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_get_current_task_btf) ?             \
		 mb_number((u64)bpf_get_current_task_btf()->mm->field) :                           \
		 (u64)BPF_CORE_READ((struct task_struct *)bpf_get_current_task(), mm, field))

/* The top of its page tables. */
static __always_inline u64 mb_my_pgd(void)
{
	return MB_MY_MM(pgd);
}

/* 6.18: in a struct, so that nobody takes them for a number. */
static __always_inline u64 mb_page_flags(bool typed, u64 page)
{
	struct page___flags_struct *new = (void *)page;
	struct page *old = (void *)page;

	if (bpf_core_field_exists(new->flags.f))
		return MB_READ(typed, new, flags.f);
	return MB_READ(typed, old, flags);
}

static __always_inline bool mb_is_head(bool typed, u64 page)
{
	/* 6.9: another bit, since others have gone. */
	return mb_page_flags(typed, page) >> bpf_core_enum_value(enum pageflags, PG_head) & 1;
}

/* log2 of the pages, of the first page of a compound. */
static __always_inline u32 mb_order(u64 head, u64 struct_page_bytes)
{
	struct page *second = (void *)(head + struct_page_bytes);
	struct folio___order *order = (void *)head;
	struct folio *folio = (void *)head;

	/* To 6.2: in the second struct page. */
	if (bpf_core_field_exists(second->compound_order))
		return BPF_CORE_READ(second, compound_order);
	/* To 6.5: in the folio, which names the same byte. */
	if (bpf_core_field_exists(order->_folio_order))
		return BPF_CORE_READ(order, _folio_order);
	/* 6.6: beside flags of the second page. */
	return BPF_CORE_READ(folio, _flags_1) & 0xff;
}

/* The first page of the compound that this one is in, or the page itself. */
static __always_inline u64 mb_head(u64 page)
{
	struct page___compound_info *new = (void *)page;
	struct page *old = (void *)page;
	u64 info;

	if (bpf_core_field_exists(old->compound_head)) {
		info = BPF_CORE_READ(old, compound_head);
		return info & 1 ? info - 1 : page;
	}
	/*
	 * 7.0: where a struct page has a size of 2^n it is a mask for the address, with all high
	 * bits set, so that tail pages all look the same; else the address as before.
	 */
	info = BPF_CORE_READ(new, compound_info);
	if (!(info & 1))
		return page;
	return info >> 40 == 0xffffff ? page & (info - 1) : info - 1;
}

/* 6.3: a folio; the page is still there in a union, for as long as it lasts. */
static __always_inline u64 mb_buffer_page(bool typed, u64 buffer)
{
	struct buffer_head___folio *new = (void *)buffer;
	struct buffer_head *old = (void *)buffer;

	if (bpf_core_field_exists(new->b_folio))
		return (u64)MB_READ(typed, new, b_folio);
	return (u64)MB_READ(typed, old, b_page);
}

#endif
