// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/search.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

#define PACK_STEPS 200000 /* placements tried before a packing is given up */

int mb_search_init(struct mb_search *s, const struct mb_fleet_view *fleet,
		   const struct mb_plan_options *options, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	int r;

	*s = (struct mb_search){ 0 };
	r = mb_tally_init(&s->tally, fleet, options, err);
	if (r < 0)
		return r;
	s->any = malloc(n * sizeof(*s->any));
	s->own = malloc(n * sizeof(*s->own));
	s->best_host = malloc(n * sizeof(*s->best_host));
	s->order = malloc(n * sizeof(*s->order));
	if (!s->any || !s->own || !s->best_host || !s->order) {
		mb_search_deinit(s);
		return mb_fail_mem(err, "the search for a placement");
	}
	mb_groups_any(fleet->groups, fleet->n_vms, s->any);
	return 0;
}

void mb_search_deinit(struct mb_search *s)
{
	mb_tally_deinit(&s->tally);
	free(s->any);
	free(s->own);
	free(s->best_host);
	free(s->order);
	*s = (struct mb_search){ 0 };
}

static bool fits(const struct mb_tally *t, uint32_t v, uint32_t host)
{
	return mb_tally_size(t, v) <= t->free_mb[host];
}

static uint32_t best_host_of(struct mb_tally *t, uint32_t v)
{
	uint32_t best = MB_NOWHERE;

	t->work += t->fleet->n_hosts;
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (h != t->host[v] && fits(t, v, h) &&
		    (best == MB_NOWHERE || mb_tally_gain(t, h, v) > mb_tally_gain(t, best, v)))
			best = h;
	return best;
}

static void move(struct mb_tally *t, uint32_t v, uint32_t to)
{
	mb_tally_take(t, v);
	mb_tally_put(t, v, to);
}

/* --- greedy ----------------------------------------------------------------------------------- */

static uint32_t best_empty_host(const struct mb_tally *t, uint32_t v)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (t->free_mb[h] == t->total_mb[h] && fits(t, v, h) &&
		    (best == MB_NOWHERE || t->free_mb[h] > t->free_mb[best]))
			best = h;
	return best;
}

/* The next VM to place; *ret_open: it shall open a host. MB_NOWHERE: all placed. */
static uint32_t next_to_place(const struct mb_search *s, unsigned int open_percent, bool *ret_open)
{
	const struct mb_tally *t = &s->tally;
	uint32_t best = MB_NOWHERE, opener = MB_NOWHERE, any_best = MB_NOWHERE;
	uint64_t best_gain = 0, any_gain = 0;

	for (uint32_t v = 0; v < t->fleet->n_vms; v++) {
		uint64_t gain;

		if (t->host[v] != MB_NOWHERE)
			continue;
		gain = mb_tally_gain(t, s->best_host[v], v);
		if (opener == MB_NOWHERE || s->any[v] > s->any[opener])
			opener = v;
		if (any_best == MB_NOWHERE || gain > any_gain) {
			any_best = v;
			any_gain = gain;
		}
		if (gain && gain * 100 >= s->any[v] * open_percent &&
		    (best == MB_NOWHERE || gain > best_gain)) {
			best = v;
			best_gain = gain;
		}
	}
	*ret_open = best == MB_NOWHERE && opener != MB_NOWHERE &&
		    best_empty_host(t, opener) != MB_NOWHERE;
	return *ret_open ? opener : best != MB_NOWHERE ? best : any_best;
}

bool mb_search_fill(struct mb_search *s, unsigned int open_percent)
{
	struct mb_tally *t = &s->tally;
	uint32_t v;
	bool open;

	for (v = 0; v < t->fleet->n_vms; v++) {
		if (t->host[v] != MB_NOWHERE)
			continue;
		s->best_host[v] = best_host_of(t, v);
		if (s->best_host[v] == MB_NOWHERE)
			return false;
	}
	while ((v = next_to_place(s, open_percent, &open)) != MB_NOWHERE) {
		uint32_t h = open ? best_empty_host(t, v) : s->best_host[v];

		mb_tally_put(t, v, h);
		t->work += t->fleet->n_vms;
		/* Gains only grew, on h only, and room only shrank, on h only. */
		for (uint32_t u = 0; u < t->fleet->n_vms; u++) {
			if (t->host[u] != MB_NOWHERE)
				continue;
			if (s->best_host[u] == h && !fits(t, u, h)) {
				s->best_host[u] = best_host_of(t, u);
				if (s->best_host[u] == MB_NOWHERE)
					return false;
			} else if (fits(t, u, h) &&
				   mb_tally_gain(t, h, u) > mb_tally_gain(t, s->best_host[u], u)) {
				s->best_host[u] = h;
			}
		}
	}
	return true;
}

/* --- packing ---------------------------------------------------------------------------------- */

static int compare_larger(const void *a, const void *b, void *tally)
{
	const struct mb_tally *t = tally;
	uint32_t va = *(const uint32_t *)a, vb = *(const uint32_t *)b;

	if (mb_tally_size(t, va) != mb_tally_size(t, vb))
		return mb_tally_size(t, va) > mb_tally_size(t, vb) ? -1 : 1;
	return (va > vb) - (va < vb);
}

/*
 * The next host to try for a VM of `size` after one that had `room`: best fit first, and of hosts
 * with equal room only one, for they are interchangeable.
 */
static uint32_t next_fit(const struct mb_tally *t, const int64_t *free_mb, int64_t size,
			 int64_t room)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (free_mb[h] >= size && free_mb[h] > room &&
		    (best == MB_NOWHERE || free_mb[h] < free_mb[best]))
			best = h;
	return best;
}

bool mb_search_pack(struct mb_search *s, uint32_t *ret_vm, uint32_t *ret_host, int64_t *ret_room_mb)
{
	struct mb_tally *t = &s->tally;
	uint32_t n = t->fleet->n_vms, depth = 0;
	uint32_t *host = s->best_host; /* of order[i] */
	uint64_t *room = s->own;       /* that host's free memory when order[i] came */
	int64_t *free_mb = t->free_mb; /* borrowed from the tally until the packing stands */
	bool first_failure = true;
	uint64_t steps = 0;

	mb_tally_clear(t);
	for (uint32_t v = 0; v < n; v++) {
		s->order[v] = v;
		host[v] = MB_NOWHERE;
	}
	qsort_r(s->order, n, sizeof(*s->order), compare_larger, t);
	while (depth < n && steps++ < PACK_STEPS) {
		int64_t size = mb_tally_size(t, s->order[depth]);
		int64_t tried = -1;
		uint32_t h;

		if (host[depth] != MB_NOWHERE) {
			tried = (int64_t)room[depth];
			free_mb[host[depth]] += size;
		}
		h = next_fit(t, free_mb, size, tried);
		host[depth] = h;
		if (h != MB_NOWHERE) {
			room[depth++] = (uint64_t)free_mb[h];
			free_mb[h] -= size;
			continue;
		}
		if (first_failure) {
			first_failure = false;
			*ret_vm = s->order[depth];
			*ret_host = MB_NOWHERE;
			*ret_room_mb = 0;
			for (h = 0; h < t->fleet->n_hosts; h++)
				if (*ret_host == MB_NOWHERE || free_mb[h] > *ret_room_mb) {
					*ret_host = h;
					*ret_room_mb = free_mb[h];
				}
		}
		if (depth-- == 0)
			break;
	}
	mb_tally_clear(t);
	if (n && (depth != n))
		return false;
	for (uint32_t i = 0; i < n; i++)
		mb_tally_put(t, s->order[i], host[i]);
	return true;
}

/* --- local search ----------------------------------------------------------------------------- */

static void refresh_own(struct mb_search *s, uint32_t host_a, uint32_t host_b)
{
	s->tally.work += s->tally.fleet->n_vms;
	for (uint32_t v = 0; v < s->tally.fleet->n_vms; v++)
		if (s->tally.host[v] == host_a || s->tally.host[v] == host_b)
			s->own[v] = mb_tally_own(&s->tally, v);
}

static bool try_move(struct mb_search *s, uint32_t v)
{
	struct mb_tally *t = &s->tally;
	uint32_t from = t->host[v], to = best_host_of(t, v);

	if (to == MB_NOWHERE || mb_tally_gain(t, to, v) <= s->own[v])
		return false;
	move(t, v, to);
	refresh_own(s, from, to);
	return true;
}

static bool swap_fits(const struct mb_tally *t, uint32_t a, uint32_t b)
{
	int64_t size_a = mb_tally_size(t, a), size_b = mb_tally_size(t, b);

	return t->free_mb[t->host[a]] + size_a >= size_b &&
	       t->free_mb[t->host[b]] + size_b >= size_a;
}

static void swap(struct mb_tally *t, uint32_t a, uint32_t b)
{
	uint32_t on_a = t->host[a], on_b = t->host[b];

	mb_tally_take(t, a);
	move(t, b, on_a);
	mb_tally_put(t, a, on_b);
}

static bool try_swap(struct mb_search *s, uint32_t a, uint32_t b)
{
	struct mb_tally *t = &s->tally;
	uint32_t on_a = t->host[a], on_b = t->host[b];

	/* What each would gain if the other stayed is the most there can be. */
	if (on_a == on_b ||
	    mb_tally_gain(t, on_b, a) + mb_tally_gain(t, on_a, b) <= s->own[a] + s->own[b] ||
	    !swap_fits(t, a, b) || mb_tally_swap(t, a, b, s->own[a], s->own[b]) <= 0)
		return false;
	swap(t, a, b);
	refresh_own(s, on_a, on_b);
	return true;
}

/*
 * a goes where b is and b on to a third host: where memory is tight neither a move nor a swap
 * may fit. Done for real and undone if it does not pay.
 */
static bool try_push(struct mb_search *s, uint32_t a, uint32_t b)
{
	struct mb_tally *t = &s->tally;
	uint32_t on_a = t->host[a], on_b = t->host[b], to = MB_NOWHERE;
	uint64_t before = t->saving;

	if (on_a == on_b || fits(t, a, on_b) ||
	    mb_tally_size(t, a) > t->free_mb[on_b] + mb_tally_size(t, b))
		return false;
	t->work += t->fleet->n_hosts;
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		if (h != on_a && h != on_b && fits(t, b, h) &&
		    (to == MB_NOWHERE || mb_tally_gain(t, h, b) > mb_tally_gain(t, to, b)))
			to = h;
	if (to == MB_NOWHERE ||
	    mb_tally_gain(t, on_b, a) + mb_tally_gain(t, to, b) <= s->own[a] + s->own[b])
		return false;
	move(t, b, to);
	move(t, a, on_b);
	if (t->saving <= before) {
		move(t, a, on_a);
		move(t, b, on_b);
		return false;
	}
	refresh_own(s, on_a, on_b);
	refresh_own(s, to, to);
	return true;
}

void mb_search_improve(struct mb_search *s, uint64_t work)
{
	struct mb_tally *t = &s->tally;
	uint32_t n = t->fleet->n_vms;
	uint64_t end = t->work + work;
	bool improved = true;

	for (uint32_t v = 0; v < n; v++)
		s->own[v] = mb_tally_own(t, v);
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
			for (uint32_t b = a + 1; b < n; b++)
				improved |= try_swap(s, a, b);
		}
		/* The dearest last, and only when nothing else helps. */
		for (uint32_t a = 0; a < n && !improved; a++) {
			t->work += n;
			if (t->work > end)
				return;
			for (uint32_t b = 0; b < n; b++)
				improved |= try_push(s, a, b);
		}
	}
}

void mb_search_kick(struct mb_search *s, uint32_t vm, uint32_t host)
{
	struct mb_tally *t = &s->tally;

	if (t->host[vm] == host)
		return;
	if (fits(t, vm, host)) {
		move(t, vm, host);
		return;
	}
	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		if (t->host[v] == host && swap_fits(t, vm, v)) {
			swap(t, vm, v);
			return;
		}
}

/* --- fewer moves ------------------------------------------------------------------------------ */

/*
 * Which host bears which set of VMs does not matter to the saving: exchanges the contents of two
 * hosts where then more VMs are where they are now.
 */
static bool trade_hosts(const struct mb_tally *t, const uint32_t *now, uint32_t *host, uint32_t a,
			uint32_t b)
{
	int64_t used_a = 0, used_b = 0, better = 0;

	for (uint32_t v = 0; v < t->fleet->n_vms; v++) {
		if (host[v] == a) {
			used_a += mb_tally_size(t, v);
			better += (now[v] == b) - (now[v] == a);
		} else if (host[v] == b) {
			used_b += mb_tally_size(t, v);
			better += (now[v] == a) - (now[v] == b);
		}
	}
	if (better <= 0 || used_a > t->total_mb[b] || used_b > t->total_mb[a])
		return false;
	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		if (host[v] == a || host[v] == b)
			host[v] = a + b - host[v];
	return true;
}

static void trade_all_hosts(struct mb_search *s, const uint32_t *now)
{
	struct mb_tally *t = &s->tally;
	uint32_t n = t->fleet->n_vms, *host = s->order;
	bool traded = true, ever = false;

	memcpy(host, t->host, n * sizeof(*host));
	while (traded) {
		traded = false;
		for (uint32_t v = 0; v < n; v++)
			if (now[v] != MB_NOWHERE && now[v] != host[v])
				traded |= trade_hosts(t, now, host, host[v], now[v]);
		ever |= traded;
	}
	if (ever)
		mb_tally_load(t, host);
}

static bool go_back(struct mb_search *s, const uint32_t *now, uint32_t v)
{
	struct mb_tally *t = &s->tally;
	uint32_t from = t->host[v];

	if (!fits(t, v, now[v]) || mb_tally_gain(t, now[v], v) < s->own[v])
		return false;
	move(t, v, now[v]);
	refresh_own(s, from, now[v]);
	return true;
}

/* v goes back, and one that is there takes its place: not one that is where it belongs. */
static bool swap_back(struct mb_search *s, const uint32_t *now, uint32_t v)
{
	struct mb_tally *t = &s->tally;
	uint32_t from = t->host[v];

	for (uint32_t u = 0; u < t->fleet->n_vms; u++) {
		if (t->host[u] != now[v] || now[u] == now[v] || !swap_fits(t, v, u) ||
		    mb_tally_gain(t, now[v], v) + mb_tally_gain(t, from, u) <
			    s->own[v] + s->own[u] ||
		    mb_tally_swap(t, v, u, s->own[v], s->own[u]) < 0)
			continue;
		swap(t, v, u);
		refresh_own(s, from, now[v]);
		return true;
	}
	return false;
}

void mb_search_settle(struct mb_search *s, const uint32_t *now)
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
				moved |= go_back(s, now, v) || swap_back(s, now, v);
	}
}
