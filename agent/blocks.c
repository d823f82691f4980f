// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/blocks.h"

#include <stdbool.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/digest.h"

void mb_blocks_deinit(struct mb_blocks *b)
{
	free(b->blocks);
	*b = (struct mb_blocks){ 0 };
}

int mb_blocks_add(struct mb_blocks *b, const struct mb_block *block, struct mb_err *err)
{
	if (b->n == b->cap) {
		size_t cap = b->cap ? 2 * b->cap : 16;
		void *p = realloc(b->blocks, cap * sizeof(*b->blocks));

		if (!p)
			return mb_fail_mem(err, "the list of blocks");
		b->blocks = p;
		b->cap = cap;
	}
	b->blocks[b->n++] = *block;
	return 0;
}

static int by_frame(const void *a, const void *b)
{
	const struct mb_block *x = a, *y = b;

	return (x->frame > y->frame) - (x->frame < y->frame);
}

void mb_blocks_sort(struct mb_blocks *b)
{
	if (b->n)
		qsort(b->blocks, b->n, sizeof(*b->blocks), by_frame);
}

int mb_frame_map_place(struct mb_frame_map *m, uint64_t start, uint64_t end, struct mb_blocks *ret,
		       struct mb_err *err)
{
	while (start < end) {
		struct mb_block piece = { .start = start, .end = end, .frame = m->next_frame };
		bool is_known = false;
		int r;

		for (size_t i = 0; i < m->known.n && !is_known; i++) {
			const struct mb_block *k = &m->known.blocks[i];

			if (k->start > start) {
				piece.end = MB_MIN(piece.end, k->start);
			} else if (k->end > start) {
				piece.end = MB_MIN(end, k->end);
				piece.frame = k->frame + (start - k->start) / MB_PAGE_BYTES;
				is_known = true;
			}
		}
		if (!is_known) {
			r = mb_blocks_add(&m->known, &piece, err);
			if (r < 0)
				return r;
			m->next_frame += (piece.end - piece.start) / MB_PAGE_BYTES;
		}
		r = mb_blocks_add(ret, &piece, err);
		if (r < 0)
			return r;
		start = piece.end;
	}
	return 0;
}
