// SPDX-License-Identifier: GPL-2.0
/* 3.19 to 4.20; PageOffline() later. */
#include <linux/mm.h>
#include <linux/page-flags.h>
int probe(struct page *page);
int probe(struct page *page)
{
	return PageBalloon(page);
}
