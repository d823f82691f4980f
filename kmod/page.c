// SPDX-License-Identifier: GPL-2.0
#include "compat.h"
#include "page.h"

#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/stat.h>

#include "mbwalk.h"

#define UNREAD(reason) (-1 - (int)(reason))

/* Old no-fault reads take user addresses as the caller's own. */
static bool is_kernel_address(unsigned long address)
{
	return address >= PAGE_OFFSET;
}

/*
 * The mapping was read without a lock and may be freed by now: follow it by reads that may fail.
 * Stale memory can only give the wrong class.
 */
static u8 class_of_file(unsigned long mapping)
{
	const struct address_space *m = (const struct address_space *)mapping;
	struct inode *host;
	umode_t mode;

	if (mbwalk_read_nofault(&host, &m->host, sizeof(host)) < 0 ||
	    !is_kernel_address((unsigned long)host) ||
	    mbwalk_read_nofault(&mode, &host->i_mode, sizeof(mode)) < 0)
		return MBWALK_KERNEL;
	return S_ISREG(mode) ? MBWALK_FILE : MBWALK_BUFFER;
}

/*
 * In the swap cache, and no process's for now: swapped in ahead, or shmem on its way out. Such a
 * page has no mapping.
 */
static bool is_swap_cache(unsigned long flags)
{
#ifdef CONFIG_SWAP
	return (flags & BIT(PG_swapcache)) && (flags & BIT(PG_swapbacked));
#else
	return false;
#endif
}

static u8 class_of_mapping(struct page *head, u16 *ret_flags)
{
	unsigned long mapping = mbwalk_mapping(head);

	if (!mapping)
		return is_swap_cache(mbwalk_page_flags(head)) ? MBWALK_ANON : MBWALK_KERNEL;
	/* Some kernels' zsmalloc keeps small numbers there. */
	if (!is_kernel_address(mapping))
		return MBWALK_KERNEL;
	switch (mapping & MBWALK_MAPPING_BITS) {
	case MBWALK_MAPPING_ANON | MBWALK_MAPPING_KSM:
		*ret_flags |= MBWALK_KSM;
		return MBWALK_ANON;
	case MBWALK_MAPPING_ANON:
		return MBWALK_ANON;
	case 0:
		return class_of_file(mapping);
	default: /* a movable page of a driver */
		return MBWALK_KERNEL;
	}
}

static u8 class_of(struct page *page, struct page *head, unsigned long flags, u16 *ret_flags)
{
	if (flags & BIT(PG_reserved))
		return MBWALK_RESERVED;
	if (mbwalk_is_slab(head))
		return MBWALK_SLAB;
	if (mbwalk_is_page_table(page))
		return MBWALK_PAGE_TABLE;
	if (mbwalk_is_hugetlb(head))
		return MBWALK_HUGETLB;
	return class_of_mapping(head, ret_flags);
}

int mbwalk_look(struct page *page, struct mbwalk_look *ret)
{
	unsigned long flags, head_flags;
	struct page *head;

	*ret = (struct mbwalk_look){ .cls = MBWALK_RESERVED };
	switch (mbwalk_offline_guess(page)) {
	case MBWALK_OFFLINE:
		return UNREAD(MBWALK_COUNT_OFFLINE);
	case MBWALK_DAMAGED:
		return UNREAD(MBWALK_COUNT_HWPOISON);
	case MBWALK_MAY_BE_OFFLINE:
		return 0;
	case MBWALK_ONLINE:
		break;
	}
	head = compound_head(page);
	flags = mbwalk_page_flags(page);
	head_flags = mbwalk_page_flags(head);
	if (mbwalk_is_hwpoison(flags | head_flags))
		return UNREAD(MBWALK_COUNT_HWPOISON);
	if (mbwalk_is_balloon(page))
		return UNREAD(MBWALK_COUNT_BALLOON);

	if (head != page)
		ret->flags |= MBWALK_HUGE_TAIL;
	else if (flags & BIT(PG_head))
		ret->flags |= MBWALK_HUGE_HEAD;
	/* In use is what is referenced, as the seed has it, and what its allocator froze at 0. */
	if (page_count(head) <= 0 && !mbwalk_is_slab(head) && !mbwalk_is_large_kmalloc(head)) {
		ret->cls = MBWALK_FREE;
		return 0;
	}
	ret->cls = class_of(page, head, flags, &ret->flags);
	if (head_flags & (BIT(PG_locked) | BIT(PG_writeback)))
		ret->flags |= MBWALK_UNSTABLE;
	/* Being read in: from a file, or from swap. */
	if ((ret->cls == MBWALK_FILE || ret->cls == MBWALK_BUFFER || is_swap_cache(head_flags)) &&
	    !(head_flags & BIT(PG_uptodate)))
		ret->flags |= MBWALK_UNSTABLE;
	if (mbwalk_maybe_pinned(head))
		ret->flags |= MBWALK_PINNED;
	return 0;
}
