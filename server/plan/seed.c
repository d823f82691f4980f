// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The original greedy `best_matching`, for comparison. As it is:
 *
 *	share[i][j] = |Vi n Vj| for i < j only; the rest is 0 and read all the same
 *	the pair with the largest share goes to host 0, whose free memory drops by both sizes
 *	n - 2 rounds: of the unplaced j the one with the largest sum of share[j][k] / (position + 1)
 *		over the VMs k of the current host, the last one on a tie
 *		free memory > its size: it goes there (and the free memory stays what it was)
 *		otherwise: on to the next host, which gets the unplaced pair with the largest share;
 *			if no unplaced pair shares anything, it gets all that is unplaced, and the
 *			end is reached
 *
 * Its flaws are kept, and told in the note:
 *	- after the first pair a host's free memory does not drop: hosts get over-filled
 *	- the first pair and "all that is unplaced" go where they go whether they fit or not
 *	- a round that finds nobody unplaced takes index -1, the last VM, and may place it again
 *	- if nothing shares anything the first "pair" is VM 0 twice, and the rounds end too soon
 *	- nothing looks whether there is a next host: there it is an error
 *
 * Strict keeps the idea (pairs, position-weighted sums, hosts in the given order, the last one on a
 * tie) with the full matrix, and puts a VM only where it fits.
 */
#include "server/plan/plan.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/tally.h"

struct seed {
	const struct mb_fleet_view *fleet;
	const struct mb_plan_options *options;
	double *share;	  /* n_vms x n_vms, pages; symmetric */
	double *most;	  /* [0, n_vms): no less than the sum of its shares with those here */
	int64_t *free_mb; /* [0, n_hosts) */
	uint32_t *host;	  /* [0, n_vms) */
	uint32_t *here;	  /* VMs on the current host, ascending */
	uint32_t n_here;
	uint32_t current;
	char *note;
};

static void seed_deinit(struct seed *s)
{
	free(s->share);
	free(s->most);
	free(s->free_mb);
	free(s->here);
}

static int seed_init(struct seed *s, const struct mb_fleet_view *fleet,
		     const struct mb_plan_options *options, uint32_t *host, char *note,
		     struct mb_err *err)
{
	size_t n = fleet->n_vms;

	*s = (struct seed){ .fleet = fleet, .options = options, .host = host, .note = note };
	mb_autofree uint64_t *pages = calloc(n * n + 1, sizeof(*pages));

	s->share = calloc(n * n + 1, sizeof(*s->share));
	s->most = calloc(n + 1, sizeof(*s->most));
	s->free_mb = calloc((size_t)fleet->n_hosts + 1, sizeof(*s->free_mb));
	s->here = calloc(n + 1, sizeof(*s->here));
	if (!pages || !s->share || !s->most || !s->free_mb || !s->here)
		return mb_fail(err, ENOMEM, "out of memory for the shares of %zu x %zu VMs", n, n);
	mb_groups_matrix(fleet->groups, fleet->n_vms, pages);
	for (size_t i = 0; i < n * n; i++)
		s->share[i] = (double)pages[i];
	for (uint32_t h = 0; h < fleet->n_hosts; h++)
		s->free_mb[h] = (int64_t)mb_plan_capacity_mb(&fleet->hosts[h], options);
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		host[v] = MB_NOWHERE;
	return 0;
}

static const double *shares_of(const struct seed *s, uint32_t vm)
{
	return s->share + (size_t)vm * s->fleet->n_vms;
}

static int64_t size_mb(const struct seed *s, uint32_t v)
{
	return (int64_t)s->fleet->vms[v].memory_mb;
}

static void __attribute__((format(printf, 2, 3))) remark(const struct seed *s, const char *fmt, ...)
{
	size_t n = strlen(s->note);
	va_list ap;

	if (n)
		n += (size_t)snprintf(s->note + n, MB_PLAN_NOTE_BYTES - n, "; ");
	if (n >= MB_PLAN_NOTE_BYTES)
		return;
	va_start(ap, fmt);
	vsnprintf(s->note + n, MB_PLAN_NOTE_BYTES - n, fmt, ap);
	va_end(ap);
}

/*
 * The unplaced pair with the largest share, the first in row-major order; false if none shares
 * anything. `room` limits the sizes of both together.
 */
static bool best_pair(const struct seed *s, int64_t room, uint32_t *ret_a, uint32_t *ret_b)
{
	double best = 0;

	for (uint32_t i = 0; i < s->fleet->n_vms; i++) {
		if (s->host[i] != MB_NOWHERE)
			continue;
		for (uint32_t j = i + 1; j < s->fleet->n_vms; j++) {
			if (shares_of(s, i)[j] <= best || s->host[j] != MB_NOWHERE ||
			    size_mb(s, i) + size_mb(s, j) > room)
				continue;
			best = shares_of(s, i)[j];
			*ret_a = i;
			*ret_b = j;
		}
	}
	return best > 0;
}

/*
 * How well j goes with those here. Doubles, added up in index order, as in the original, which
 * fills in the upper triangle only: share[j][k] is 0 there unless j < k.
 */
static double sum_shares(const struct seed *s, uint32_t j)
{
	const double *row = shares_of(s, j);
	double sum = 0;

	for (uint32_t k = 0; k < s->n_here; k++)
		if (s->options->strict || j < s->here[k])
			sum += row[s->here[k]] / (k + 1.0);
	return sum;
}

/*
 * VM v is here from now on. Those after it move up, and count for less, so that a sum grows by
 * v's part at most; sums do not round up further than SLACK.
 */
#define SLACK (1 + 1e-9)
static void add_here(struct seed *s, uint32_t v)
{
	uint32_t at = s->n_here++;
	const double *row = shares_of(s, v);

	for (; at > 0 && s->here[at - 1] > v; at--)
		s->here[at] = s->here[at - 1];
	s->here[at] = v;
	for (uint32_t j = 0; j < (s->options->strict ? s->fleet->n_vms : v); j++)
		s->most[j] += row[j] / (at + 1.0) * SLACK;
}

/* Onto the current host. */
static void put(struct seed *s, uint32_t v)
{
	if (s->host[v] == MB_NOWHERE)
		add_here(s, v);
	s->host[v] = s->current;
}

/* Nobody is on the current host yet. */
static void begin_host(struct seed *s)
{
	s->n_here = 0;
	memset(s->most, 0, s->fleet->n_vms * sizeof(*s->most));
}

static bool may_come(const struct seed *s, uint32_t j, int64_t room)
{
	return s->host[j] == MB_NOWHERE && size_mb(s, j) <= room;
}

/*
 * The unplaced VM of at most `room` MB that goes best with those here, the last one on a tie;
 * MB_NOWHERE if there is none. Sums are added up only for those that may be it.
 */
static uint32_t best_single(struct seed *s, int64_t room)
{
	uint32_t n = s->fleet->n_vms, likely = MB_NOWHERE, best_vm = MB_NOWHERE;
	double best;

	for (uint32_t j = 0; j < n; j++)
		if (may_come(s, j, room) && (likely == MB_NOWHERE || s->most[j] > s->most[likely]))
			likely = j;
	if (likely == MB_NOWHERE)
		return MB_NOWHERE;
	best = s->most[likely] > 0 ? sum_shares(s, likely) : 0;
	for (uint32_t j = 0; j < n; j++) {
		double sum;

		if (s->most[j] < best || !may_come(s, j, room))
			continue;
		sum = s->most[j] > 0 ? sum_shares(s, j) : 0;
		s->most[j] = sum * SLACK;
		if (sum < best)
			continue;
		best = sum;
		best_vm = j;
	}
	return best_vm;
}

static int past_last_host(const struct seed *s, const char *how, struct mb_err *err)
{
	uint32_t first = 0, n = 0;

	for (uint32_t v = s->fleet->n_vms; v-- > 0;)
		if (s->host[v] == MB_NOWHERE) {
			first = v;
			n++;
		}
	return mb_fail(err, ERANGE,
		       "the seed's algorithm runs past the last host: VM \"%.80s\"%s would go to "
		       "host %u of %u (%s; the strict seed does not)",
		       s->fleet->vms[first].name, n > 1 ? " and others" : "", s->current + 1,
		       s->fleet->n_hosts, how);
}

/* On to the next host. Returns 1 when that was the end, 0 to go on. */
static int next_host(struct seed *s, struct mb_err *err)
{
	uint32_t a, b, left = 0;

	s->current++;
	if (best_pair(s, INT64_MAX, &a, &b)) {
		if (s->current >= s->fleet->n_hosts)
			return past_last_host(s, "the original crashes", err);
		s->free_mb[s->current] -= size_mb(s, a) + size_mb(s, b);
		begin_host(s);
		put(s, a);
		put(s, b);
		return 0;
	}
	for (uint32_t v = 0; v < s->fleet->n_vms; v++)
		left += s->host[v] == MB_NOWHERE;
	if (left && s->current >= s->fleet->n_hosts)
		return past_last_host(s, "the original puts it on a host that is not there", err);
	for (uint32_t v = 0; v < s->fleet->n_vms && left; v++)
		if (s->host[v] == MB_NOWHERE)
			s->host[v] = s->current;
	return 1;
}

static void note_over_filled(const struct seed *s)
{
	uint32_t worst = MB_NOWHERE, n = 0;
	int64_t worst_mb = 0;

	for (uint32_t h = 0; h < s->fleet->n_hosts; h++) {
		int64_t over = -(int64_t)mb_plan_capacity_mb(&s->fleet->hosts[h], s->options);

		for (uint32_t v = 0; v < s->fleet->n_vms; v++)
			if (s->host[v] == h)
				over += size_mb(s, v);
		n += over > 0;
		if (over > worst_mb) {
			worst_mb = over;
			worst = h;
		}
	}
	if (worst == MB_NOWHERE)
		return;
	remark(s,
	       "the seed over-fills host \"%.40s\" by %lld MB at full size: it does not take every "
	       "VM off the free memory",
	       s->fleet->hosts[worst].name, (long long)worst_mb);
	if (n > 1)
		remark(s, "%u hosts over-filled", n);
}

static void note_left_out(const struct seed *s)
{
	uint32_t first = MB_NOWHERE, n = 0;

	for (uint32_t v = s->fleet->n_vms; v-- > 0;)
		if (s->host[v] == MB_NOWHERE) {
			first = v;
			n++;
		}
	if (n)
		remark(s, "the seed leaves out VM \"%.40s\" (%u in all): nothing is shared",
		       s->fleet->vms[first].name, n);
}

static void note_placed_again(const struct seed *s, uint32_t from)
{
	uint32_t last = s->fleet->n_vms - 1;

	if (from == MB_NOWHERE)
		return;
	if (from == s->host[last])
		remark(s, "the seed places VM \"%.40s\" twice (index -1), on the same host",
		       s->fleet->vms[last].name);
	else
		remark(s,
		       "the seed places VM \"%.40s\" again (index -1): host \"%.40s\", then "
		       "\"%.40s\"",
		       s->fleet->vms[last].name, s->fleet->hosts[from].name,
		       s->fleet->hosts[s->host[last]].name);
}

static int place_plain(struct seed *s, struct mb_err *err)
{
	uint32_t n = s->fleet->n_vms, a = 0, b = 0, again_from = MB_NOWHERE;

	if (n == 0)
		return 0;
	if (s->fleet->n_hosts == 0)
		return past_last_host(s, "there is no host", err);
	/* No sharing at all, or one VM: "pair" 0, 0, and its size goes off twice. */
	best_pair(s, INT64_MAX, &a, &b);
	s->free_mb[0] -= size_mb(s, a) + size_mb(s, b);
	put(s, a);
	put(s, b);
	for (uint32_t round = 2; round < n; round++) {
		uint32_t v;
		int r;

		v = best_single(s, INT64_MAX);
		/* Nobody is unplaced: index -1. */
		if (v == MB_NOWHERE)
			v = n - 1;
		if (s->free_mb[s->current] > size_mb(s, v)) {
			if (s->host[v] != MB_NOWHERE && again_from == MB_NOWHERE)
				again_from = s->host[v];
			put(s, v);
			continue;
		}
		r = next_host(s, err);
		if (r < 0)
			return r;
		if (r > 0)
			break;
	}
	note_over_filled(s);
	note_placed_again(s, again_from);
	note_left_out(s);
	return 0;
}

static int fits_nowhere(const struct seed *s, struct mb_err *err)
{
	uint32_t v = 0, largest = 0;

	while (s->host[v] != MB_NOWHERE)
		v++;
	if (s->fleet->n_hosts == 0)
		return mb_fail(err, ENOSPC, "VM \"%.80s\" (%lld MB) fits on no host: there is none",
			       s->fleet->vms[v].name, (long long)size_mb(s, v));
	for (uint32_t h = 1; h < s->fleet->n_hosts; h++)
		if (s->free_mb[h] > s->free_mb[largest])
			largest = h;
	return mb_fail(err, ENOSPC,
		       "VM \"%.80s\" (%lld MB) fits on no host: the largest room is %lld MB on "
		       "\"%.80s\"",
		       s->fleet->vms[v].name, (long long)size_mb(s, v),
		       (long long)s->free_mb[largest], s->fleet->hosts[largest].name);
}

static int place_strict(struct seed *s, struct mb_err *err)
{
	uint32_t n = s->fleet->n_vms, left = n;

	for (s->current = 0; s->current < s->fleet->n_hosts && left; s->current++) {
		int64_t *room = &s->free_mb[s->current];
		uint32_t a, b, v;

		begin_host(s);
		if (best_pair(s, *room, &a, &b)) {
			*room -= size_mb(s, a) + size_mb(s, b);
			put(s, a);
			put(s, b);
			left -= 2;
		}
		while ((v = best_single(s, *room)) != MB_NOWHERE) {
			*room -= size_mb(s, v);
			put(s, v);
			left--;
		}
	}
	return left ? fits_nowhere(s, err) : 0;
}

static int place(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t *ret_host, char *note, struct mb_err *err)
{
	mb_cleanup(seed_deinit) struct seed s;
	int r;

	r = seed_init(&s, fleet, options, ret_host, note, err);
	if (r < 0)
		return r;
	return options->strict ? place_strict(&s, err) : place_plain(&s, err);
}

static double share_of_two(const struct mb_tally *t, uint32_t a, uint32_t b)
{
	size_t i = t->first_of[a], k = t->first_of[b];
	uint64_t pages = 0;

	while (i < t->first_of[a + 1] && k < t->first_of[b + 1]) {
		uint32_t ga = t->groups_of[i], gb = t->groups_of[k];

		pages += ga == gb ? t->groups->groups[ga].weight_pages : 0;
		i += ga <= gb;
		k += gb <= ga;
	}
	return (double)pages;
}

/* The position-weighted sum by which the rounds choose, with the whole matrix. */
static double value(const struct mb_tally *t, uint32_t vm, uint32_t host)
{
	double sum = 0, position = 1;

	for (uint32_t k = 0; k < t->fleet->n_vms; k++)
		if (t->host[k] == host)
			sum += share_of_two(t, vm, k) / position++;
	return sum;
}

const struct mb_planner mb_planner_seed = {
	.name = "seed",
	.summary = "the original best_matching: pairs by largest share, one host after the other",
	.place = place,
	.value = value,
};
