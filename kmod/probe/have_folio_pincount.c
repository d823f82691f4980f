// SPDX-License-Identifier: GPL-2.0
/* 6.3: pins of a large folio have a field. */
#include <linux/mm_types.h>
int probe(struct folio *folio);
int probe(struct folio *folio)
{
	return atomic_read(&folio->_pincount);
}
