// SPDX-License-Identifier: GPL-2.0
/* 4.13. A macro first, an exported function later. */
#include <linux/memory_hotplug.h>
#include <linux/mm.h>
struct page *probe(unsigned long pfn);
struct page *probe(unsigned long pfn)
{
	return pfn_to_online_page(pfn);
}
