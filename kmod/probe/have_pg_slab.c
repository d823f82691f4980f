// SPDX-License-Identifier: GPL-2.0
/* Up to 6.9 a flag; a page type later. */
#include <linux/page-flags.h>
int probe(void);
int probe(void)
{
	return PG_slab;
}
