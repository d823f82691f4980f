// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/parts.h"

#include <inttypes.h>

int mb_parts_init(struct mb_parts *p, enum mb_algorithm algorithm, uint32_t n, struct mb_err *err)
{
	struct mb_digester d;
	int r;

	n = n ? n : 1;
	if (n > MB_PARTS_MAX || n & (n - 1))
		return mb_fail(err, EINVAL, "%" PRIu32 " parts per page: a power of two up to %d",
			       n, MB_PARTS_MAX);
	r = mb_digester_init(&d, algorithm, MB_PAGE_BYTES / n,
			     algorithm == MB_SUPERFASTHASH32 ? 32 : 64, "", NULL, err);
	*p = (struct mb_parts){ .identity = d.identity, .n = n };
	return r;
}

void mb_parts_hash(const struct mb_parts *p, const struct mb_page *page, const void *content,
		   struct mb_page *ret)
{
	uint32_t bytes = p->identity.page_bytes;

	for (uint32_t i = 0; i < p->n; i++) {
		struct mb_page *part = &ret[i];

		*part = *page;
		part->frame = page->frame * p->n + i;
		part->digest = mb_raw_hash(p->identity.algorithm,
					   (const uint8_t *)content + (size_t)i * bytes, bytes);
		if (part->digest == p->identity.zero_digest)
			part->flags |= MB_PAGE_ZERO;
	}
}
