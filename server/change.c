// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/change.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"

#define LISTED_MIN 1024 /* digests: 8 KiB are not worth counting anew */

void mb_change_deinit(struct mb_change *c)
{
	free(c->digests);
	*c = (struct mb_change){ 0 };
}

void mb_change_set_all(struct mb_change *c)
{
	mb_change_deinit(c);
	c->all = true;
}

static bool keeps(const struct mb_kept_list *l, uint32_t i)
{
	return !l->keep || (l->keep[i / 64] >> i % 64 & 1);
}

/* Digests that one of them counts and the other does not: to ret[0, cap) as far as there is room.
 */
static uint32_t diff(const struct mb_kept_list *a, const struct mb_kept_list *b, uint64_t *ret,
		     uint32_t cap)
{
	uint32_t i = 0, j = 0, n = 0;

	while ((i < a->list.n || j < b->list.n) && n < cap) {
		bool at_a = j == b->list.n ||
			    (i < a->list.n && a->list.digests[i] <= b->list.digests[j]);
		bool at_b = i == a->list.n ||
			    (j < b->list.n && b->list.digests[j] <= a->list.digests[i]);
		uint64_t digest = at_a ? a->list.digests[i] : b->list.digests[j];
		bool changed = (at_a && keeps(a, i)) != (at_b && keeps(b, j));

		ret[n] = digest;
		n += changed;
		i += at_a;
		j += at_b;
	}
	return n;
}

void mb_change_add(struct mb_change *c, const struct mb_kept_list *from,
		   const struct mb_kept_list *to)
{
	uint32_t max = MB_MAX(to->list.n / 4, LISTED_MIN), n;
	mb_autofree uint64_t *now = NULL, *sum = NULL;
	struct mb_kept_list a = { { c->digests, c->n }, NULL }, b = { 0 };
	void *fit;

	if (c->all)
		return;
	now = malloc(((size_t)max + 1) * sizeof(*now));
	if (!now) {
		mb_change_set_all(c);
		return;
	}
	n = diff(from, to, now, max + 1);
	if (n <= max && c->n) {
		b.list = (struct mb_digest_list){ now, n };
		sum = malloc(((size_t)max + 1) * sizeof(*sum));
		n = sum ? diff(&a, &b, sum, max + 1) : max + 1;
	}
	if (n > max) {
		mb_change_set_all(c);
		return;
	}
	free(c->digests);
	c->digests = sum ? mb_take_ptr(sum) : mb_take_ptr(now);
	c->n = n;
	/* Shrinking may fail; then the larger block stays. */
	fit = realloc(c->digests, ((size_t)n + 1) * sizeof(*c->digests));
	c->digests = fit ? fit : c->digests;
}
