// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/parts.h"

#include <inttypes.h>

int mb_parts_init(struct mb_parts *p, enum mb_algorithm algorithm, uint32_t page_bytes, uint32_t n,
		  struct mb_err *err)
{
	struct mb_digester d;
	int r;

	n = n ? n : 1;
	if (n > MB_PARTS_MAX || n & (n - 1))
		return mb_fail(err, EINVAL, "%" PRIu32 " parts per page: a power of two up to %d",
			       n, MB_PARTS_MAX);
	r = mb_digester_init(&d, algorithm, page_bytes / n,
			     algorithm == MB_SUPERFASTHASH32 ? 32 : 64, "", NULL, err);
	*p = (struct mb_parts){ .identity = d.identity, .n = n };
	return r;
}

struct mb_page mb_parts_page(const struct mb_parts *p, const struct mb_page *page, uint32_t i,
			     uint64_t digest, bool zero)
{
	struct mb_page part = *page;

	part.frame = page->frame * p->n + i;
	part.digest = digest;
	part.flags = (uint8_t)((page->flags & ~MB_PAGE_ZERO) | (zero ? MB_PAGE_ZERO : 0));
	return part;
}

void mb_parts_hash(const struct mb_parts *p, const struct mb_page *page, const void *content,
		   struct mb_page *ret)
{
	uint32_t bytes = p->identity.page_bytes;

	for (uint32_t i = 0; i < p->n; i++) {
		const uint8_t *part = (const uint8_t *)content + (size_t)i * bytes;
		uint64_t digest = mb_raw_hash(p->identity.algorithm, part, bytes);

		ret[i] = mb_parts_page(p, page, i, digest, digest == p->identity.zero_digest);
	}
}
