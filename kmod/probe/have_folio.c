// SPDX-License-Identifier: GPL-2.0
/* 5.16. */
#include <linux/mm_types.h>
void *probe(struct folio *folio);
void *probe(struct folio *folio)
{
	return folio->mapping;
}
