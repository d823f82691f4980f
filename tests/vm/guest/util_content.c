// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_content.h"

#include <stddef.h>

/* Not the module's own code: xxHash as its author has it. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/superfasthash.h"
#include "util_test.h"
#include "util_walk.h"

void content_fill(void *page, uint64_t content)
{
	volatile uint64_t *words = page;

	for (size_t i = 0; i < PAGE / sizeof *words; i++)
		words[i] = random64(&content);
}

uint64_t content_part(enum mbwalk_algorithm algorithm, const void *part, size_t bytes)
{
	return algorithm == MBWALK_XXH64 ? XXH64(part, bytes, 0) : mb_superfasthash(part, bytes);
}

uint64_t content_digest(enum mbwalk_algorithm algorithm, const void *page)
{
	return content_part(algorithm, page, PAGE);
}
