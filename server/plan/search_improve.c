// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/search.h"

void mb_search_refresh(struct mb_search *s, uint32_t host_a, uint32_t host_b)
{
	s->tally.work += s->tally.fleet->n_vms;
	for (uint32_t v = 0; v < s->tally.fleet->n_vms; v++)
		if (s->tally.host[v] == host_a || s->tally.host[v] == host_b)
			s->own[v] = mb_tally_own(&s->tally, v);
}

/* Who runs nowhere stays there: placing is not improving. */
static bool may_move(const struct mb_tally *t, uint32_t v)
{
	return t->host[v] != MB_NOWHERE && !mb_tally_pinned(t, v);
}

static bool try_move(struct mb_search *s, uint32_t v)
{
	struct mb_tally *t = &s->tally;
	uint32_t from = t->host[v], to;

	if (!may_move(t, v))
		return false;
	to = mb_search_best_host(t, v);
	if (to == MB_NOWHERE || mb_tally_gain(t, to, v) <= s->own[v])
		return false;
	mb_search_move(t, v, to);
	mb_search_refresh(s, from, to);
	return true;
}

static void swap(struct mb_tally *t, uint32_t a, uint32_t b)
{
	uint32_t on_a = t->host[a], on_b = t->host[b];

	mb_tally_take(t, a);
	mb_search_move(t, b, on_a);
	mb_tally_put(t, a, on_b);
}

bool mb_search_may_swap(const struct mb_tally *t, uint32_t a, uint32_t b)
{
	return !mb_tally_pinned(t, a) && !mb_tally_pinned(t, b) &&
	       mb_tally_may_replace(t, a, t->host[b], b) &&
	       mb_tally_may_replace(t, b, t->host[a], a);
}

/* False, and nothing done, when they do not fit after all: mb_search_may_swap() is only necessary.
 */
bool mb_search_swap(struct mb_tally *t, uint32_t a, uint32_t b)
{
	uint32_t on_a = t->host[a], on_b = t->host[b];

	swap(t, a, b);
	if (t->room[on_a] >= 0 && t->room[on_b] >= 0)
		return true;
	swap(t, a, b);
	return false;
}

static bool try_swap(struct mb_search *s, uint32_t a, uint32_t b)
{
	struct mb_tally *t = &s->tally;
	uint32_t on_a = t->host[a], on_b = t->host[b];

	if (!mb_search_may_swap(t, a, b) || mb_tally_swap(t, a, b, s->own[a], s->own[b]) <= 0 ||
	    !mb_search_swap(t, a, b))
		return false;
	mb_search_refresh(s, on_a, on_b);
	return true;
}

/*
 * a with each of those after it. Nearly all pairs are left at the first look, so that it has side
 * by side what it looks at.
 */
static bool try_swaps(struct mb_search *s, uint32_t a)
{
	struct mb_tally *t = &s->tally;
	uint32_t n = t->fleet->n_vms;
	const uint32_t *host = t->host;
	const uint64_t *own = s->own, *gain_here = NULL;
	uint64_t *gain_of = s->gain_of;
	bool improved = false;

	if (!may_move(t, a))
		return false;
	for (uint32_t b = a + 1; b < n; b++) {
		if (!gain_here) {
			for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
				gain_of[h] = mb_tally_gain(t, h, a);
			gain_here = t->gain + (size_t)host[a] * n;
		}
		/* What each would gain if the other stayed is the most there can be. */
		if (host[b] == MB_NOWHERE || host[b] == host[a] ||
		    gain_of[host[b]] + gain_here[b] <= own[a] + own[b] || !try_swap(s, a, b))
			continue;
		improved = true;
		gain_here = NULL;
	}
	return improved;
}

/*
 * The two hosts where b would gain most, but the one where it is: the better one, the lower index
 * on a tie, first. MB_NOWHERE where it fits on no more.
 */
static void look_for_ways_out(struct mb_search *s, uint32_t b)
{
	struct mb_tally *t = &s->tally;
	uint32_t first = MB_NOWHERE, second = MB_NOWHERE;

	t->work += t->fleet->n_hosts;
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++) {
		uint64_t gain = mb_tally_gain(t, h, b);

		if (h == t->host[b] ||
		    (second != MB_NOWHERE && gain <= mb_tally_gain(t, second, b)) ||
		    !mb_tally_fits(t, b, h))
			continue;
		if (first == MB_NOWHERE || gain > mb_tally_gain(t, first, b)) {
			second = first;
			first = h;
		} else {
			second = h;
		}
	}
	s->ways_out[b] = (struct mb_ways_out){ .known = true, .first = first, .second = second };
}

/*
 * a goes where b is and b on to a third host: where memory is tight neither a move nor a swap
 * may fit. Done for real and undone if it does not pay.
 */
static bool try_push(struct mb_search *s, uint32_t a, uint32_t b)
{
	struct mb_tally *t = &s->tally;
	uint32_t on_a = t->host[a], on_b = t->host[b], to;
	uint64_t before = t->saving;

	if (mb_tally_pinned(t, b) || !mb_room_allows(&t->rules, a, on_b, b, NULL, 0))
		return false;
	if (!s->ways_out[b].known)
		look_for_ways_out(s, b);
	to = s->ways_out[b].first != on_a ? s->ways_out[b].first : s->ways_out[b].second;
	if (to == MB_NOWHERE ||
	    mb_tally_gain(t, on_b, a) + mb_tally_gain(t, to, b) <= s->own[a] + s->own[b])
		return false;
	mb_search_move(t, b, to);
	mb_search_move(t, a, on_b);
	if (t->saving <= before || t->room[on_b] < 0) {
		mb_search_move(t, a, on_a);
		mb_search_move(t, b, on_b);
		return false;
	}
	mb_search_refresh(s, on_a, on_b);
	mb_search_refresh(s, to, to);
	return true;
}

/*
 * a to each host where it does not fit, by pushing one that is there and large enough. True when
 * one was pushed: then nothing that was found out holds any more.
 */
static bool try_pushes(struct mb_search *s, uint32_t a)
{
	struct mb_tally *t = &s->tally;
	const uint32_t *host = t->host;
	const int64_t *full = t->full;
	int64_t *lacks = s->lacks;

	if (!may_move(t, a))
		return false;
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		lacks[h] = h == host[a] || mb_tally_fits(t, a, h) ?
				   INT64_MAX :
				   mb_tally_need(t, a, h) - t->room[h];
	for (uint32_t b = 0; b < t->fleet->n_vms; b++)
		if (host[b] != MB_NOWHERE && lacks[host[b]] <= full[b] && try_push(s, a, b))
			return true;
	return false;
}

void mb_search_improve(struct mb_search *s, uint64_t work)
{
	struct mb_tally *t = &s->tally;
	uint32_t n = t->fleet->n_vms;
	uint64_t end = t->work + work;
	bool improved = true;

	for (uint32_t v = 0; v < n; v++)
		s->own[v] = t->host[v] == MB_NOWHERE ? 0 : mb_tally_own(t, v);
	while (improved) {
		improved = false;
		for (uint32_t v = 0; v < n; v++) {
			if (t->work > end)
				return;
			improved |= try_move(s, v);
		}
		for (uint32_t a = 0; a < n; a++) {
			t->work += n - a;
			if (t->work > end)
				return;
			improved |= try_swaps(s, a);
		}
		/* The dearest last, and only when nothing else helps. */
		for (uint32_t b = 0; b < n; b++)
			s->ways_out[b].known = false;
		for (uint32_t a = 0; a < n && !improved; a++) {
			t->work += n;
			if (t->work > end)
				return;
			improved = try_pushes(s, a);
		}
	}
}

void mb_search_climb(struct mb_search *s, uint64_t min_gain_pages, uint64_t work)
{
	struct mb_tally *t = &s->tally;
	uint64_t end = t->work + work;

	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		s->own[v] = t->host[v] == MB_NOWHERE ? 0 : mb_tally_own(t, v);
	while (t->work < end) {
		uint32_t best = MB_NOWHERE, best_to = MB_NOWHERE;
		uint64_t best_gain = min_gain_pages;

		for (uint32_t v = 0; v < t->fleet->n_vms; v++) {
			if (!may_move(t, v))
				continue;
			t->work += t->fleet->n_hosts;
			for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
				if (h != t->host[v] &&
				    mb_tally_gain(t, h, v) > s->own[v] + best_gain &&
				    t->full[v] <= t->room[h] && mb_tally_fits(t, v, h)) {
					best = v;
					best_to = h;
					best_gain = mb_tally_gain(t, h, v) - s->own[v];
				}
		}
		if (best == MB_NOWHERE)
			return;
		uint32_t from = t->host[best];

		mb_search_move(t, best, best_to);
		mb_search_refresh(s, from, best_to);
	}
}

void mb_search_kick(struct mb_search *s, uint32_t vm, uint32_t host)
{
	struct mb_tally *t = &s->tally;

	if (t->host[vm] == host || mb_tally_pinned(t, vm))
		return;
	if (mb_tally_fits(t, vm, host)) {
		mb_search_move(t, vm, host);
		return;
	}
	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		if (t->host[v] == host && mb_search_may_swap(t, vm, v) && mb_search_swap(t, vm, v))
			return;
}
