// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/group_bucket.h"

#include <stdlib.h>

#define RADIX_BITS 10
#define RADIX_MASK (((uint32_t)1 << RADIX_BITS) - 1)

void mb_bucket_deinit(struct mb_bucket *b)
{
	free(b->entries);
	free(b->sorted);
	free(b->set);
	free(b->set_before);
	*b = (struct mb_bucket){ 0 };
}

/* Makes room; the entries stay, the rest is scratch. */
int mb_bucket_grow(struct mb_bucket *b, struct mb_err *err)
{
	size_t cap = b->cap ? 2 * b->cap : 2 * MB_BUCKET_ENTRIES;
	struct mb_bucket_entry *entries = realloc(b->entries, cap * sizeof(*entries));

	if (entries)
		b->entries = entries;
	free(b->sorted);
	free(b->set);
	free(b->set_before);
	b->sorted = malloc(cap * sizeof(*b->sorted));
	b->set = malloc(cap * sizeof(*b->set));
	b->set_before = malloc(cap * sizeof(*b->set_before));
	if (!entries || !b->sorted || !b->set || !b->set_before)
		return mb_fail_mem(err, "a bucket of the sharing groups");
	b->cap = cap;
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct mb_bucket_entry *ea = a, *eb = b;

	if (ea->key != eb->key)
		return ea->key < eb->key ? -1 : 1;
	return (ea->vm > eb->vm) - (ea->vm < eb->vm);
}

static void radix_pass(const struct mb_bucket_entry *from, struct mb_bucket_entry *to, size_t n,
		       unsigned int shift)
{
	size_t at[RADIX_MASK + 1] = { 0 }, sum = 0;

	for (size_t i = 0; i < n; i++)
		at[from[i].key >> shift & RADIX_MASK]++;
	for (size_t v = 0; v <= RADIX_MASK; v++) {
		size_t count = at[v];

		at[v] = sum;
		sum += count;
	}
	for (size_t i = 0; i < n; i++)
		to[at[from[i].key >> shift & RADIX_MASK]++] = from[i];
}

/* Both passes are stable; few keys agree in 20 bits. */
void mb_bucket_sort(struct mb_bucket *b)
{
	const uint64_t mask = ((uint64_t)1 << 2 * RADIX_BITS) - 1;

	radix_pass(b->entries, b->sorted, b->n, 0);
	radix_pass(b->sorted, b->entries, b->n, RADIX_BITS);
	for (size_t i = 0, end; i < b->n; i = end) {
		uint64_t key = b->entries[i].key, differs = 0;

		for (end = i + 1; end < b->n && !((b->entries[end].key ^ key) & mask); end++)
			differs |= b->entries[end].key ^ key;
		if (differs)
			qsort(b->entries + i, end - i, sizeof(*b->entries), compare_entries);
	}
}
