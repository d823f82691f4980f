/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * protobuf-c allocates as the input tells it to. This allocator holds it to a multiple of the
 * input's length.
 */
#ifndef MB_ARENA_H
#define MB_ARENA_H

#include <protobuf-c/protobuf-c.h>

struct mb_arena {
	size_t left_bytes;
};

/* `alloc` works as long as `a` is there. To free only, raw_bytes may be 0. */
void mb_arena_init(struct mb_arena *a, ProtobufCAllocator *alloc, size_t raw_bytes);

#endif
