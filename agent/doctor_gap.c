// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor_gap.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"

void mb_gap_pages_deinit(struct mb_gap_pages *p)
{
	free(p->list);
	*p = (struct mb_gap_pages){ 0 };
}

int mb_gap_pages_add(struct mb_gap_pages *p, const struct mb_gap_page *page, struct mb_err *err)
{
	if (p->n == p->cap) {
		size_t cap = p->cap ? 2 * p->cap : 4096;
		void *list;

		if (p->n >= MB_GAP_PAGES_MAX)
			return mb_fail(err, EFBIG,
				       "more than %zu GiB of memory: name fewer processes",
				       MB_GAP_PAGES_MAX >> 18);
		list = reallocarray(p->list, cap, sizeof(*p->list));
		if (!list)
			return mb_fail_mem(err, "a list of pages");
		p->list = list;
		p->cap = cap;
	}
	p->list[p->n++] = *page;
	return 0;
}

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

/* One content together, of it one frame together. */
static int by_content(const void *a, const void *b)
{
	const struct mb_gap_page *x = a, *y = b;
	int r = compare(x->digest, y->digest);

	if (r == 0)
		r = compare(x->frame, y->frame);
	return r ? r : compare(x->state, y->state);
}

/* Pages of one frame: [i, the end that is returned). A frame that is not known is of one page. */
static size_t frame_end(const struct mb_gap_page *list, size_t i, size_t n)
{
	size_t end = i + 1;

	while (end < n && list[i].frame && list[end].frame == list[i].frame)
		end++;
	return end;
}

/* Pages of one content. */
static void count_content(const struct mb_gap_page *list, size_t n, bool zero,
			  uint64_t (*by_process)[MB_GAP_STATES], struct mb_gap *ret)
{
	size_t stays = 0;

	for (size_t i = 0; i < n; i = frame_end(list, i, n))
		if (list[i].state < list[stays].state)
			stays = i;
	for (size_t i = 0, end; i < n; i = end) {
		uint64_t further;

		end = frame_end(list, i, n);
		further = end - i - 1;
		if (list[i].state == MB_GAP_MERGED)
			ret->by_ksm += further;
		else
			ret->otherwise += further;
		if (i == stays)
			continue;
		ret->lost[list[i].state]++;
		ret->lost_zero[list[i].state] += zero;
		if (by_process)
			by_process[list[i].process][list[i].state]++;
	}
}

void mb_gap_count(struct mb_gap_pages *p, uint64_t zero_digest,
		  uint64_t (*by_process)[MB_GAP_STATES], struct mb_gap *ret)
{
	*ret = (struct mb_gap){ .pages = p->n };
	if (p->n)
		qsort(p->list, p->n, sizeof(*p->list), by_content);
	for (size_t i = 0, end; i < p->n; i = end) {
		bool zero = p->list[i].digest == zero_digest;

		for (end = i + 1; end < p->n && p->list[end].digest == p->list[i].digest; end++)
			;
		ret->distinct++;
		ret->zero += zero ? end - i : 0;
		count_content(p->list + i, end - i, zero, by_process, ret);
	}
	ret->predicted = ret->pages - ret->distinct;
}

const char *mb_gap_state_name(unsigned int state)
{
	static const char *const names[MB_GAP_STATES] = { "zero_page", "merged", "waiting", "huge",
							  "unmarked",  "shared", "hugetlb" };

	return names[state];
}
