// SPDX-License-Identifier: GPL-2.0
/* 6.15: large kmalloc()s have a page type. */
#include <linux/page-flags.h>
int probe(struct page *page);
int probe(struct page *page)
{
	return PageLargeKmalloc(page);
}
