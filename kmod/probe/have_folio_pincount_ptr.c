// SPDX-License-Identifier: GPL-2.0
/* 5.18 to 6.2. */
#include <linux/mm.h>
int probe(struct folio *folio);
int probe(struct folio *folio)
{
	return atomic_read(folio_pincount_ptr(folio));
}
