// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/arena.h"

#include <stdlib.h>

static void *arena_alloc(void *data, size_t n)
{
	struct mb_arena *a = data;

	if (n > a->left_bytes)
		return NULL;
	a->left_bytes -= n;
	return malloc(n);
}

static void arena_free(void *data, void *p)
{
	(void)data;
	free(p);
}

void mb_arena_init(struct mb_arena *a, ProtobufCAllocator *alloc, size_t raw_bytes)
{
	a->left_bytes = 2 * raw_bytes + 16384;
	*alloc = (ProtobufCAllocator){ arena_alloc, arena_free, a };
}
