// SPDX-License-Identifier: GPL-2.0
/*
 * 4.6; with this callback 4.15; for modules 4.18.
 * exported: walk_iomem_res_desc
 */
#include <linux/ioport.h>
int probe(int (*fn)(struct resource *, void *));
int probe(int (*fn)(struct resource *, void *))
{
	return walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM, 0, -1, NULL, fn);
}
