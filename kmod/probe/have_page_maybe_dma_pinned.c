// SPDX-License-Identifier: GPL-2.0
/* 5.7 until folios took it over. */
#include <linux/mm.h>
bool probe(struct page *page);
bool probe(struct page *page)
{
	return page_maybe_dma_pinned(page);
}
