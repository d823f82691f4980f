// SPDX-License-Identifier: GPL-2.0
/* 6.18: page->flags is a struct. */
#include <linux/mm_types.h>
unsigned long probe(struct page *page);
unsigned long probe(struct page *page)
{
	return page->flags.f;
}
