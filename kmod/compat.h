/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that differs between kernels, 4.1 to current. What a kernel has is found by compiling
 * probe/have_*.c against its headers (distributions backport, so its version does not tell), one
 * fact per file; the answers are in have.h.
 */
#ifndef MBWALK_COMPAT_H
#define MBWALK_COMPAT_H

#include <linux/fs.h>
#include <linux/ioport.h>
#include <linux/kernel.h>
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
#include <linux/page-flags.h>
#include <linux/uaccess.h>

#include "have.h"

#ifndef CONFIG_64BIT
#error "mbwalk: 64-bit kernels only (a 32-bit kernel has no map of all its memory)"
#endif

#ifndef U64_MAX
#define U64_MAX (~0ull)
#endif

/* 0 or negative; never a fault, wherever `from` points. */
static inline long mbwalk_read_nofault(void *to, const void *from, size_t n)
{
#ifdef HAVE_COPY_FROM_KERNEL_NOFAULT
	return copy_from_kernel_nofault(to, from, n);
#else
	return probe_kernel_read(to, from, n);
#endif
}

/* --- frames --- */

static inline unsigned long mbwalk_page_flags(const struct page *page)
{
#ifdef HAVE_PAGE_FLAGS_STRUCT
	return READ_ONCE(page->flags.f);
#else
	return READ_ONCE(page->flags);
#endif
}

#ifdef HAVE_PFN_TO_ONLINE_PAGE
#define MBWALK_ONLINE_KNOWN 1
#else
#define MBWALK_ONLINE_KNOWN 0
#endif

/* The struct page of a frame that is RAM, or NULL while it is offline. */
static inline struct page *mbwalk_online_page(u64 frame)
{
#ifdef HAVE_PFN_TO_ONLINE_PAGE
	return pfn_to_online_page(frame);
#else
	return pfn_valid(frame) ? pfn_to_page(frame) : NULL;
#endif
}

static inline bool mbwalk_is_hwpoison(unsigned long flags)
{
#ifdef CONFIG_MEMORY_FAILURE
	return flags & BIT(PG_hwpoison);
#else
	return false;
#endif
}

enum mbwalk_online { MBWALK_ONLINE, MBWALK_OFFLINE, MBWALK_MAY_BE_OFFLINE, MBWALK_DAMAGED };

/*
 * Before pfn_to_online_page() what is offline is reserved, and its page structs may go away at any
 * time. So only those that are not reserved are looked at in place: they go offline first, for
 * which the notifier of ram.c waits.
 */
static inline enum mbwalk_online mbwalk_offline_guess(const struct page *page)
{
#ifdef HAVE_PFN_TO_ONLINE_PAGE
	return MBWALK_ONLINE;
#else
	struct page copy;

	if (mbwalk_read_nofault(&copy, page, sizeof(copy)) < 0)
		return MBWALK_OFFLINE;
	if (!PageReserved(&copy))
		return MBWALK_ONLINE;
	if (mbwalk_is_hwpoison(mbwalk_page_flags(&copy)))
		return MBWALK_DAMAGED;
	return page_count(&copy) == 0 ? MBWALK_OFFLINE : MBWALK_MAY_BE_OFFLINE;
#endif
}

#if defined(HAVE_PAGE_OFFLINE) || defined(HAVE_PAGE_BALLOON)
#define MBWALK_BALLOON_KNOWN 1
#else
#define MBWALK_BALLOON_KNOWN 0
#endif

static inline bool mbwalk_is_balloon(struct page *page)
{
#if defined(HAVE_PAGE_OFFLINE)
	return PageOffline(page);
#elif defined(HAVE_PAGE_BALLOON)
	return PageBalloon(page);
#else
	return false;
#endif
}

/* --- struct page: raw words, since the kernel's own tests assert what only a reference holds ---
 */

/* Of the first page of a compound. Low bits: what kind of pointer it is. */
enum { MBWALK_MAPPING_ANON = 1, MBWALK_MAPPING_KSM = 2, MBWALK_MAPPING_BITS = 3 };

static inline unsigned long mbwalk_mapping(struct page *head)
{
#ifdef HAVE_FOLIO
	return (unsigned long)READ_ONCE(((struct folio *)head)->mapping);
#else
	return (unsigned long)READ_ONCE(head->mapping);
#endif
}

static inline bool mbwalk_is_slab(struct page *head)
{
#ifdef HAVE_PG_SLAB
	return mbwalk_page_flags(head) & BIT(PG_slab);
#else
	return PageSlab(head);
#endif
}

/* Newer kernels count references to these no more than to slabs. */
static inline bool mbwalk_is_large_kmalloc(struct page *head)
{
#ifdef HAVE_LARGE_KMALLOC
	return PageLargeKmalloc(head);
#else
	return false;
#endif
}

#ifdef HAVE_PAGE_TABLE_TYPE
#define MBWALK_PAGE_TABLE_KNOWN 1
#else
#define MBWALK_PAGE_TABLE_KNOWN 0
#endif

static inline bool mbwalk_is_page_table(struct page *page)
{
#ifdef HAVE_PAGE_TABLE_TYPE
	return PageTable(page);
#else
	return false;
#endif
}

static inline bool mbwalk_is_hugetlb(struct page *head)
{
#ifdef CONFIG_HUGETLB_PAGE
	return (mbwalk_page_flags(head) & BIT(PG_head)) && PageHuge(head);
#else
	return false;
#endif
}

#ifdef GUP_PIN_COUNTING_BIAS
#define MBWALK_PINNED_KNOWN 1
#else
#define MBWALK_PINNED_KNOWN 0
#endif

static inline bool mbwalk_maybe_pinned(struct page *head)
{
#ifdef GUP_PIN_COUNTING_BIAS
	if (!(mbwalk_page_flags(head) & BIT(PG_head)))
		return page_count(head) >= (int)GUP_PIN_COUNTING_BIAS;
#if defined(HAVE_FOLIO_PINCOUNT)
	return atomic_read(&((struct folio *)head)->_pincount) > 0;
#elif defined(HAVE_FOLIO_PINCOUNT_PTR)
	return atomic_read(folio_pincount_ptr((struct folio *)head)) > 0;
#elif defined(CONFIG_DEBUG_VM)
	return true; /* to ask is to assert that it stays compound */
#else
	return page_maybe_dma_pinned(head);
#endif
#else
	return false;
#endif
}

/* --- the machine --- */

#ifdef HAVE_CC_PLATFORM_HAS
#include <linux/cc_platform.h>
#endif

/* Memory that the hypervisor cannot read is never merged, and touching what was not accepted yet
 * ends the guest. */
static inline bool mbwalk_is_confidential(void)
{
#ifdef HAVE_CC_PLATFORM_HAS
	return cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT);
#else
	return false;
#endif
}

typedef int (*mbwalk_ram_fn)(void *ctx, u64 start, u64 end);

#ifdef HAVE_WALK_IOMEM_RES_DESC

struct mbwalk_ram_walk {
	mbwalk_ram_fn fn;
	void *ctx;
};

static inline int mbwalk_ram_resource(struct resource *res, void *arg)
{
	struct mbwalk_ram_walk *walk = arg;

	return walk->fn(walk->ctx, res->start, res->end);
}

/* Calls fn with the bytes [start, end] of each range; stops at its error. */
static inline int mbwalk_for_each_system_ram(mbwalk_ram_fn fn, void *ctx)
{
	struct mbwalk_ram_walk walk = { .fn = fn, .ctx = ctx };
	int r = walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY, 0, -1,
				    &walk, mbwalk_ram_resource);

	return r < 0 && r != -EINVAL ? r : 0; /* -EINVAL: there is none */
}

#else

/*
 * No walk is exported, nor the lock of the tree. So it is read by copies that cannot fault, and
 * what it seems to say holds only if page_is_ram(), which takes that lock, agrees at both ends.
 */
static inline int mbwalk_for_each_system_ram(mbwalk_ram_fn fn, void *ctx)
{
	static const char ram[] = "System RAM";
	struct resource res = { .sibling = NULL };
	struct resource *at = iomem_resource.child;
	char name[sizeof(ram) - 1];
	int i, r;

	/* Bounded: a list that changes under us may lead round. */
	for (i = 0; at && i < 65536; i++, at = res.sibling) {
		if (mbwalk_read_nofault(&res, at, sizeof(res)) < 0)
			return -EAGAIN;
		if (!res.name || mbwalk_read_nofault(name, res.name, sizeof(name)) < 0 ||
		    memcmp(name, ram, sizeof(name)) != 0 || res.end < res.start)
			continue;
		if (!page_is_ram((res.start + PAGE_SIZE - 1) >> PAGE_SHIFT) ||
		    !page_is_ram(((res.end + 1) >> PAGE_SHIFT) - 1))
			continue;
		r = fn(ctx, res.start, res.end);
		if (r < 0)
			return r;
	}
	return 0;
}

#endif

#endif
