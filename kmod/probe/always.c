// SPDX-License-Identifier: GPL-2.0
/* What every kernel has: the flags and headers are good. */
#include <linux/mm.h>
unsigned long probe(struct page *page);
unsigned long probe(struct page *page)
{
	return page_to_pfn(page);
}
