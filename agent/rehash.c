// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/rehash.h"

enum {
	AGAIN = 1 << 4,
	AGE_SHIFT = 5,
	AGE_MAX = 7,
	CAP_FIRST = 2,
	/*
	 * The kernel's own. Not hugetlb, block devices or what the source cannot tell: there any
	 * page may be a program's, and no better known than a followed one would be.
	 */
	QUIET = 1 << MB_CLASS_SLAB | 1 << MB_CLASS_PAGE_TABLE | 1 << MB_CLASS_KERNEL |
		1 << MB_CLASS_RESERVED | 1 << MB_CLASS_FREE,
	/* Stale pages of a class, in a thousand: from here on less often, or more often. */
	STALE_FEW = 1,
	STALE_MANY = 5,
	WAIT_MAX = 16,
};

void mb_rehash_init(struct mb_rehash *r, uint32_t follows, uint32_t period)
{
	*r = (struct mb_rehash){ .follows = follows, .broken = r->broken };
	while (r->cap_max < AGE_MAX && 2u << r->cap_max <= period)
		r->cap_max++;
	for (int i = 0; i < MB_CLASS_END; i++) {
		if ((QUIET & ~follows) >> i & 1)
			r->cap[i] = r->cap_max < CAP_FIRST ? r->cap_max : (uint8_t)CAP_FIRST;
	}
}

uint8_t mb_rehash_state(const struct mb_page *page, uint8_t old)
{
	unsigned int age = old >> AGE_SHIFT, state = page->cls & 15;

	if (page->flags & (MB_PAGE_UNSTABLE | MB_PAGE_PINNED))
		return (uint8_t)(state | AGAIN);
	if (old && age < AGE_MAX)
		age++;
	return (uint8_t)(state | age << AGE_SHIFT);
}

bool mb_rehash_is_due(const struct mb_rehash *r, uint64_t frame, uint8_t state, uint64_t epoch)
{
	uint8_t cls = mb_rehash_class(state);
	unsigned int age = state >> AGE_SHIFT, cap;

	if (state & AGAIN)
		return !(r->broken & MB_BREAK_RULE_3);
	if (cls < MB_CLASS_END && r->follows >> cls & 1)
		return false;
	if (r->broken & MB_BREAK_RULE_2)
		return false;
	cap = cls < MB_CLASS_END ? r->cap[cls] : 0;
	/* Neighbours have much in common: their turns are scattered. */
	frame = frame * 0x9e3779b97f4a7c15 >> 32;
	return !((frame + epoch) & ((1u << (age < cap ? age : cap)) - 1));
}

/* Too many were stale. */
static void lower(struct mb_rehash *r, int cls)
{
	r->on_trial[cls] = false;
	if (!r->cap[cls])
		return;
	r->cap[cls]--;
	r->penalty[cls] = r->penalty[cls] ? 2 * r->penalty[cls] : 1;
	if (r->penalty[cls] > WAIT_MAX)
		r->penalty[cls] = WAIT_MAX;
	r->wait[cls] = r->penalty[cls];
}

static void raise(struct mb_rehash *r, int cls)
{
	/* The last rise did no harm. */
	if (r->on_trial[cls])
		r->penalty[cls] /= 2;
	r->on_trial[cls] = !r->wait[cls] && r->cap[cls] < r->cap_max;
	if (r->wait[cls])
		r->wait[cls]--;
	else if (r->on_trial[cls])
		r->cap[cls]++;
}

void mb_rehash_judge(struct mb_rehash *r, const struct mb_audit *a,
		     const uint64_t pages[MB_CLASS_END])
{
	for (int i = 0; i < MB_CLASS_END; i++) {
		if (!((QUIET & ~r->follows) >> i & 1))
			continue;
		if (a->stale[i] * 1000 > pages[i] * STALE_MANY)
			lower(r, i);
		else if (a->stale[i] * 1000 < pages[i] * STALE_FEW)
			raise(r, i);
	}
}
