/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Blocks of a process's addresses and the frame numbers they have.
 *
 * Guest RAM is numbered as it is first seen, and an address keeps its frame for good: a DIMM that
 * is plugged in later may be mapped below the others, or next to one so that they look like one.
 */
#ifndef MB_BLOCKS_H
#define MB_BLOCKS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mb_block {
	uint64_t start, end; /* virtual addresses, multiples of 4096 */
	uint64_t frame;	     /* of its first page */
	uint8_t cls;	     /* enum mb_page_class */
};

struct mb_blocks {
	struct mb_block *blocks; /* [0, n); owned */
	size_t n, cap;
};

void mb_blocks_deinit(struct mb_blocks *b);
int mb_blocks_add(struct mb_blocks *b, const struct mb_block *block, struct mb_err *err);
void mb_blocks_sort(struct mb_blocks *b); /* by frame */

struct mb_frame_map {
	struct mb_blocks known; /* ascending by frame, without a gap; none overlaps another */
	uint64_t next_frame;
};

/* Appends [start, end) to `ret` with the frames it has, in as many pieces as it takes. */
int mb_frame_map_place(struct mb_frame_map *m, uint64_t start, uint64_t end, struct mb_blocks *ret,
		       struct mb_err *err);

#endif
