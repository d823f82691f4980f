// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/backoff.h"

#include "proto/base/cleanup.h"

uint64_t mb_backoff_next(struct mb_backoff *b, uint64_t at_least_ns, uint64_t chance)
{
	uint64_t spread_ns = b->limit_ns;

	b->limit_ns = MB_MIN(b->limit_ns > b->max_ns / 2 ? b->max_ns : 2 * b->limit_ns, b->max_ns);
	/* All who were told the same would else come back at the same time. */
	spread_ns = MB_MAX(spread_ns, at_least_ns / 4);
	return at_least_ns + 1 + chance % MB_MAX(spread_ns, 1u);
}
