// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/page_table.h"

#include <inttypes.h>
#include <stdlib.h>

void mb_page_table_deinit(struct mb_page_table *t)
{
	free(t->runs);
	free(t->digests);
	free(t->states);
	*t = (struct mb_page_table){ 0 };
}

void mb_page_table_clear(struct mb_page_table *t)
{
	t->n_runs = t->n_pages = 0;
}

static bool grow(void **array, size_t *cap, size_t n, size_t item_bytes)
{
	size_t want = *cap ? *cap + *cap / 2 : 1024;
	void *p;

	if (n < *cap)
		return true;
	p = reallocarray(*array, want, item_bytes);
	if (!p)
		return false;
	*array = p;
	*cap = want;
	return true;
}

int mb_page_table_append(struct mb_page_table *t, const struct mb_table_page *page,
			 struct mb_err *err)
{
	uint64_t frame = page->frame;
	struct mb_frame_run *last = t->n_runs ? &t->runs[t->n_runs - 1] : NULL;

	if (last && frame < last->first + last->n)
		return mb_fail(err, EBADMSG, "frame %" PRIu64 " after frame %" PRIu64, frame,
			       last->first + last->n - 1);
	if (!grow((void **)&t->digests, &t->cap_digests, t->n_pages, sizeof(*t->digests)) ||
	    !grow((void **)&t->states, &t->cap_states, t->n_pages, sizeof(*t->states)) ||
	    !grow((void **)&t->runs, &t->cap_runs, t->n_runs, sizeof(*t->runs)))
		return mb_fail_mem(err, "the page table");
	last = t->n_runs ? &t->runs[t->n_runs - 1] : NULL;
	if (last && frame == last->first + last->n)
		last->n++;
	else
		t->runs[t->n_runs++] = (struct mb_frame_run){ frame, 1 };
	t->states[t->n_pages] = page->state;
	t->digests[t->n_pages++] = page->digest;
	return 0;
}
