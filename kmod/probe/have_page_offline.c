// SPDX-License-Identifier: GPL-2.0
/* 5.0: frames that a balloon or virtio-mem gave back. */
#include <linux/mm.h>
#include <linux/page-flags.h>
int probe(struct page *page);
int probe(struct page *page)
{
	return PageOffline(page);
}
