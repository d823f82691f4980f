/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From an address of a process to the frame that it is mapped to, through the page tables, without
 * their locks: what a fault has just mapped. x86-64.
 */
#ifndef MB_WALK_BPF_H
#define MB_WALK_BPF_H

#include "bpf/flag.bpf.h"

struct mb_mapping {
	u64 frame; /* the first, of a huge page */
	u32 n;	   /* frames that one entry maps; 0: nothing is mapped */
	bool writable;
	u64 table; /* kernel address of the table of single pages, whatever its entry is; 0: none */
	u32 slot;  /* which entry that is */
};

static __always_inline u64 mb_entry(u64 table, u32 slot)
{
	u64 entry = 0;

	if (bpf_probe_read_kernel(&entry, sizeof(entry), (void *)(table + slot * 8ull)) < 0)
		mb_lost(MB_LOST_WALK);
	return entry & MB_PTE_PRESENT ? entry : 0;
}

/* `pgd`: the top of a process's page tables; 0: a kernel thread's, which has none. */
static __always_inline void mb_walk(u64 pgd, u64 address, struct mb_mapping *ret)
{
	u64 table = pgd, entry = 0;
	u32 shift = mb_config.page_table_levels == 5 ? 48 : 39;

	ret->n = 0;
	ret->table = 0;
	ret->writable = true;
	if (!table)
		return;
	for (int level = 0; level < 5; level++) {
		ret->slot = address >> shift & 511;
		if (shift == 12)
			ret->table = table;
		entry = mb_entry(table, ret->slot);
		if (!entry)
			return;
		ret->writable = ret->writable && (entry & MB_PTE_WRITE);
		if (shift == 12 || entry & MB_PTE_HUGE)
			break;
		table = mb_config.page_offset_base + (MB_PTE_FRAME(entry) << 12);
		shift -= 9;
	}
	ret->frame = MB_PTE_FRAME(entry);
	ret->n = 1;
	if (shift == 21) {
		ret->frame &= ~511ull;
		ret->n = 512;
	} else if (shift > 21) {
		ret->n = 0; /* 1 GiB: of hugetlb, which nobody follows */
	}
}

/* The page after the one that was looked at last, of who runs; for the first one `at` is empty. */
static __always_inline void mb_walk_on(u64 address, struct mb_mapping *at)
{
	u64 entry;

	at->slot++;
	if (!at->table || at->slot > 511) {
		mb_walk(mb_my_pgd(), address, at);
		return;
	}
	entry = mb_entry(at->table, at->slot);
	at->frame = MB_PTE_FRAME(entry);
	at->n = !!entry;
}

#endif
