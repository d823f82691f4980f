/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Digests of pages, or of the n equal parts of each: what a memory that merges smaller blocks than
 * pages could save (the paper's section 7.7).
 *
 *	page 5:	| part 20 | part 21 | part 22 | part 23 |	n = 4: 1024 bytes each
 *
 * A part is what a page is elsewhere: with a frame number, counted in parts, and an identity whose
 * page_bytes are the part's, so that parts of two sizes are never compared.
 */
#ifndef MB_PARTS_H
#define MB_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/digest.h"
#include "proto/page.h"

enum { MB_PARTS_MAX = 32 };

struct mb_parts {
	struct mb_identity identity; /* raw digests of parts */
	uint32_t n;
};

/* `n` is a power of two; 0 is 1: whole pages. */
int mb_parts_init(struct mb_parts *p, enum mb_algorithm algorithm, uint32_t page_bytes, uint32_t n,
		  struct mb_err *err);
/* The page's n parts to ret[0, n): class and flags are the page's, zero is the part's own. */
void mb_parts_hash(const struct mb_parts *p, const struct mb_page *page, const void *content,
		   struct mb_page *ret);
/* The same of one that was hashed elsewhere: its part i, and whether that is all zero. */
struct mb_page mb_parts_page(const struct mb_parts *p, const struct mb_page *page, uint32_t i,
			     uint64_t digest, bool zero);

#endif
