// SPDX-License-Identifier: GPL-2.0
/* 4.18: page tables are marked. */
#include <linux/mm.h>
#include <linux/page-flags.h>
int probe(struct page *page);
int probe(struct page *page)
{
	return PageTable(page);
}
