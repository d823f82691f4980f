// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/heap.h"

#include <malloc.h>

void mb_heap_init(void)
{
	mallopt(M_ARENA_MAX, 1);
}

void mb_heap_trim(void)
{
	malloc_trim(0);
}
