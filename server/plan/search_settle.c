// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Fewer moves for nearly the same saving. Which host bears which set of VMs does not matter to the
 * saving, so hosts trade places first; then VMs go back whose move does not pay.
 */
#include "server/plan/search.h"

#include <string.h>

#include "proto/base/cleanup.h"

/* How trading the contents of a and b changes who is where it is now. */
struct trade {
	int64_t better; /* VMs more that stay */
	uint32_t inflow_a, inflow_b;
	bool pinned;
};

static struct trade look_at_trade(const struct mb_tally *t, const uint32_t *now,
				  const uint32_t *host, uint32_t a, uint32_t b)
{
	struct trade r = { 0 };

	for (uint32_t v = 0; v < t->fleet->n_vms; v++) {
		if (host[v] != a && host[v] != b)
			continue;
		uint32_t to = a + b - host[v];

		r.pinned |= mb_tally_pinned(t, v);
		r.better += (now[v] == to) - (now[v] == host[v]);
		/* As the rules count it: from where it runs, whatever `now` is by now. */
		*(to == a ? &r.inflow_a : &r.inflow_b) += mb_room_migrations(&t->rules, v, to);
	}
	return r;
}

static bool trade_hosts(struct mb_search *s, const uint32_t *now, uint32_t *host, uint32_t a,
			uint32_t b)
{
	const struct mb_tally *t = &s->tally;
	uint32_t cap = t->rules.options->inflow_max;
	int64_t *used = s->used, swapped;
	struct trade trade;

	if (used[a] > t->total[b] || used[b] > t->total[a] || !mb_room_alike(&t->rules, a, b))
		return false;
	trade = look_at_trade(t, now, host, a, b);
	if (trade.better <= 0 || trade.pinned ||
	    (cap && MB_MAX(trade.inflow_a, trade.inflow_b) > cap))
		return false;
	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		if (host[v] == a || host[v] == b)
			host[v] = a + b - host[v];
	swapped = used[a];
	used[a] = used[b];
	used[b] = swapped;
	return true;
}

static void trade_all_hosts(struct mb_search *s, const uint32_t *now)
{
	struct mb_tally *t = &s->tally;
	uint32_t n = t->fleet->n_vms, *host = s->order;
	bool traded = true, ever = false;

	memcpy(host, t->host, n * sizeof(*host));
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		s->used[h] = t->total[h] - t->room[h];
	while (traded) {
		traded = false;
		for (uint32_t v = 0; v < n; v++)
			if (now[v] != MB_NOWHERE && now[v] != host[v])
				traded |= trade_hosts(s, now, host, host[v], now[v]);
		ever |= traded;
	}
	if (ever)
		mb_tally_load(t, host);
}

static bool go_back(struct mb_search *s, const uint32_t *now, uint32_t v, uint64_t min_gain)
{
	struct mb_tally *t = &s->tally;
	uint32_t from = t->host[v];

	if (mb_tally_gain(t, now[v], v) + min_gain < s->own[v] || !mb_tally_fits(t, v, now[v]))
		return false;
	mb_search_move(t, v, now[v]);
	mb_search_refresh(s, from, now[v]);
	return true;
}

/* v goes back, and one that is there takes its place: not one that is where it belongs. */
static bool swap_back(struct mb_search *s, const uint32_t *now, uint32_t v, uint64_t min_gain)
{
	struct mb_tally *t = &s->tally;
	uint32_t from = t->host[v];

	for (uint32_t u = 0; u < t->fleet->n_vms; u++) {
		/* The moves that it spares. */
		uint64_t spared = now[u] == from ? 2 : 1;
		int64_t least = -(int64_t)(spared * min_gain);

		if (t->host[u] != now[v] || now[u] == now[v] || !mb_search_may_swap(t, v, u) ||
		    (int64_t)(mb_tally_gain(t, now[v], v) + mb_tally_gain(t, from, u)) -
				    (int64_t)(s->own[v] + s->own[u]) <
			    least ||
		    mb_tally_swap(t, v, u, s->own[v], s->own[u]) < least ||
		    !mb_search_swap(t, v, u))
			continue;
		mb_search_refresh(s, from, now[v]);
		return true;
	}
	return false;
}

void mb_search_settle(struct mb_search *s, const uint32_t *now, uint64_t min_gain_pages)
{
	uint32_t n = s->tally.fleet->n_vms;
	bool moved = true;

	trade_all_hosts(s, now);
	for (uint32_t v = 0; v < n; v++)
		s->own[v] = mb_tally_own(&s->tally, v);
	while (moved) {
		moved = false;
		for (uint32_t v = 0; v < n; v++)
			if (now[v] != MB_NOWHERE && s->tally.host[v] != now[v])
				moved |= go_back(s, now, v, min_gain_pages) ||
					 swap_back(s, now, v, min_gain_pages);
	}
}
