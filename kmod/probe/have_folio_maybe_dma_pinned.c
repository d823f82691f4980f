// SPDX-License-Identifier: GPL-2.0
/* 5.18. */
#include <linux/mm.h>
bool probe(struct folio *folio);
bool probe(struct folio *folio)
{
	return folio_maybe_dma_pinned(folio);
}
