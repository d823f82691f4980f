// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The best placement we can find: several starts, each improved by local search; the highest saving
 * wins, less what every migration must save at least; of equal ones that with the fewest moves.
 * Since the other planners' placements are among the starts, it is never worse than they are where
 * they obey the rules.
 *
 * All candidates but one come from nothing but the fleet. The last one starts from where the VMs
 * are, and as long as another placement wins, the question is put again from there. So planning
 * again after the moves were made finds nothing to do: it sees the same candidates, and has already
 * been asked.
 */
#include "server/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"
#include "server/plan/sample.h"
#include "server/plan/search.h"

/*
 * Counters touched, up to 10 ns each: per start, and for all candidates together. Up to some
 * hundred VMs no start reaches its bound; the largest fleets stop there, always at the same place.
 */
#define WORK_PER_START	    40000000
#define WORK_FOR_CANDIDATES 120000000
#define WORK_FOR_ALL	    5000000 /* all placements of a small fleet */
#define KICKS_MAX	    200
#define ROUNDS_MAX	    8
/* Above so many entries of sharing groups the search goes by a sample of this size. */
#define SAMPLE_MEMBERS 1000000

static const unsigned int open_percents[] = { 0, 40, 60, 80 };
/* Those, the three of other planners, a packing, the best of all placements, the kicked one. */
#define CANDIDATES_MAX (MB_ARRAY_LEN(open_percents) + 6)

struct best {
	const struct mb_fleet_view *fleet;
	/* What the search goes by: the fleet, or a sample of its sharing, checked at the end. */
	struct mb_fleet_view seen;
	struct mb_groups sample;
	bool sampled, now_obeys;
	const struct mb_plan_options *options;
	struct mb_search search;
	uint32_t *candidates[CANDIDATES_MAX]; /* placements */
	uint64_t savings[CANDIDATES_MAX];
	size_t n_candidates;
	uint32_t *now, *start;
	/* The winner so far, from `now`. */
	uint32_t *host;
	int64_t worth; /* saving less what its migrations must save at least */
	uint32_t moves;
	bool found;
};

static void best_deinit(struct best *b)
{
	mb_search_deinit(&b->search);
	mb_groups_deinit(&b->sample);
	for (size_t i = 0; i < CANDIDATES_MAX; i++)
		free(b->candidates[i]);
	free(b->now);
	free(b->start);
	free(b->host);
}

static const struct mb_groups *goes_by(const struct mb_fleet_view *fleet)
{
	return fleet->score_groups ? fleet->score_groups : fleet->groups;
}

static int best_init(struct best *b, const struct mb_fleet_view *fleet,
		     const struct mb_plan_options *options, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;
	bool ok = true;

	*b = (struct best){ .fleet = fleet, .options = options };
	b->now = malloc(n * sizeof(*b->now));
	b->start = malloc(n * sizeof(*b->start));
	b->host = malloc(n * sizeof(*b->host));
	for (size_t i = 0; i < CANDIDATES_MAX; i++) {
		b->candidates[i] = malloc(n * sizeof(*b->candidates[i]));
		ok &= b->candidates[i] != NULL;
	}
	if (!ok || !b->now || !b->start || !b->host)
		return mb_fail_mem(err, "the search for a placement");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		b->now[v] = fleet->vms[v].host;
	b->seen = *fleet;
	/* Where sharing counts as room it must be exact. */
	if (goes_by(fleet)->n_vms > 2 * SAMPLE_MEMBERS && !options->count_sharing_percent) {
		int r = mb_groups_sample(&b->sample, goes_by(fleet), SAMPLE_MEMBERS, options->seed,
					 err);

		if (r < 0)
			return r;
		b->seen.score_groups = &b->sample;
		b->sampled = true;
	}
	return mb_search_init(&b->search, &b->seen, options, err);
}

/* --- candidates that do not depend on where the VMs are --------------------------------------- */

static uint64_t work_left(const struct best *b)
{
	return WORK_FOR_CANDIDATES - MB_MIN(b->search.tally.work, (uint64_t)WORK_FOR_CANDIDATES);
}

/* What the tally holds. */
static void add_candidate(struct best *b)
{
	struct mb_tally *t = &b->search.tally;

	b->savings[b->n_candidates] = t->saving;
	memcpy(b->candidates[b->n_candidates++], t->host,
	       b->fleet->n_vms * sizeof(**b->candidates));
}

static void improve_candidate(struct best *b)
{
	mb_search_improve(&b->search, MB_MIN(work_left(b), (uint64_t)WORK_PER_START));
	add_candidate(b);
}

/* Another planner's result, if it has one that is complete and obeys everything. */
static int add_planner(struct best *b, const struct mb_planner *planner, bool strict,
		       struct mb_err *err)
{
	struct mb_plan_options options = *b->options;
	struct mb_tally *t = &b->search.tally;
	char note[MB_PLAN_NOTE_BYTES] = "";
	int r;

	options.strict = strict;
	r = planner->place(b->fleet, &options, b->start, note, err);
	if (r == -ENOSPC || r == -ERANGE)
		return 0;
	if (r < 0)
		return r;
	mb_tally_clear(t);
	for (uint32_t v = 0; v < b->fleet->n_vms; v++) {
		if (b->start[v] == t->host[v] && b->start[v] != MB_NOWHERE)
			continue;
		if (b->start[v] == MB_NOWHERE || t->host[v] != MB_NOWHERE ||
		    !mb_tally_fits(t, v, b->start[v]))
			return 0;
		mb_tally_put(t, v, b->start[v]);
	}
	improve_candidate(b);
	return 0;
}

static size_t best_candidate(const struct best *b)
{
	size_t best = 0;

	for (size_t i = 1; i < b->n_candidates; i++)
		if (b->savings[i] > b->savings[best])
			best = i;
	return best;
}

/* True when no placement saves more than the best candidate does now. */
static bool try_all(struct best *b)
{
	const uint64_t *more_than = b->n_candidates ? &b->savings[best_candidate(b)] : NULL;
	bool found, all;

	all = mb_search_all(&b->search, more_than, WORK_FOR_ALL, b->start, &found);
	if (found) {
		mb_tally_load(&b->search.tally, b->start);
		add_candidate(b);
	}
	return all;
}

/* Iterated local search: moves a few VMs at random, improves, keeps it if it is better. */
static void kick(struct best *b)
{
	struct mb_tally *t = &b->search.tally;
	uint32_t n_vms = b->fleet->n_vms, n_hosts = b->fleet->n_hosts, *host = b->start;
	uint64_t state = b->options->seed, saving;
	size_t first = best_candidate(b);

	if (!b->n_candidates || n_vms < 3 || n_hosts < 2)
		return;
	saving = b->savings[first];
	memcpy(host, b->candidates[first], n_vms * sizeof(*host));
	for (unsigned int i = 0; i < KICKS_MAX && work_left(b); i++) {
		mb_tally_load(t, host);
		t->work += t->row_of[t->groups->n_groups];
		for (unsigned int k = 0; k < 3 + i % 3; k++) {
			uint32_t v = (uint32_t)(mb_mix64(++state) % n_vms);
			uint32_t h = (uint32_t)(mb_mix64(++state) % n_hosts);

			mb_search_kick(&b->search, v, h);
		}
		mb_search_improve(&b->search, work_left(b));
		if (t->saving <= saving)
			continue;
		memcpy(host, t->host, n_vms * sizeof(*host));
		saving = t->saving;
		i = 0;
	}
	mb_tally_load(t, host);
	add_candidate(b);
}

static int add_candidates(struct best *b, struct mb_no_fit *ret_no, struct mb_err *err)
{
	int r;

	for (size_t i = 0; i < MB_ARRAY_LEN(open_percents) && work_left(b); i++) {
		mb_tally_clear(&b->search.tally);
		if (mb_search_fill(&b->search, open_percents[i]))
			improve_candidate(b);
	}
	if ((r = add_planner(b, &mb_planner_seed, true, err)) < 0 ||
	    (r = add_planner(b, &mb_planner_seed, false, err)) < 0 ||
	    (r = add_planner(b, &mb_planner_paper, false, err)) < 0)
		return r;
	/* Tight memory: any packing is a start. */
	if (mb_search_pack(&b->search, ret_no))
		improve_candidate(b);
	if (!try_all(b))
		kick(b);
	return 0;
}

/* --- which of them is worth its moves --------------------------------------------------------- */

/* Takes what the tally holds, once it has settled. */
static void consider(struct best *b)
{
	struct mb_tally *t = &b->search.tally;
	uint64_t min_gain = b->options->min_gain_pages;
	uint32_t moves = 0, migrations = 0;
	int64_t worth;

	/* Settling costs time, and saves moves at most. */
	if (b->found && (int64_t)t->saving < b->worth)
		return;
	mb_search_settle(&b->search, b->now, min_gain);
	for (uint32_t v = 0; v < b->fleet->n_vms; v++) {
		moves += t->host[v] != b->now[v];
		migrations += b->now[v] != MB_NOWHERE && t->host[v] != b->now[v];
	}
	worth = (int64_t)t->saving - (int64_t)(min_gain * migrations);
	if (b->found && (worth < b->worth || (worth == b->worth && moves >= b->moves)))
		return;
	memcpy(b->host, t->host, b->fleet->n_vms * sizeof(*b->host));
	b->worth = worth;
	b->moves = moves;
	b->found = true;
}

/* Whoever fits stays, in index order; the others are placed greedily. As it is, and improved. */
static void consider_now(struct best *b)
{
	struct mb_tally *t = &b->search.tally;

	mb_tally_clear(t);
	for (uint32_t v = 0; v < b->fleet->n_vms; v++)
		if (b->now[v] != MB_NOWHERE && t->host[v] == MB_NOWHERE &&
		    mb_tally_fits(t, v, b->now[v]))
			mb_tally_put(t, v, b->now[v]);
	if (!mb_search_fill(&b->search, 0))
		return;
	memcpy(b->start, t->host, b->fleet->n_vms * sizeof(*b->start));
	b->now_obeys = memcmp(b->start, b->now, b->fleet->n_vms * sizeof(*b->start)) == 0;
	consider(b);
	mb_tally_load(t, b->start);
	mb_search_improve(&b->search, WORK_PER_START);
	consider(b);
}

/* By all groups, whatever the search went by. */
static int64_t exact_worth(const struct best *b, const uint32_t *host)
{
	struct mb_fleet_view exact = *b->fleet;
	uint64_t cost = 0;

	exact.groups = goes_by(b->fleet);
	for (uint32_t v = 0; v < b->fleet->n_vms; v++)
		cost += b->now[v] != MB_NOWHERE && host[v] != b->now[v] ?
				b->options->min_gain_pages :
				0;
	return (int64_t)(mb_score_inter_pages(&exact, host) - cost);
}

/* A sample may err: the winner has to win by the exact figures, too. */
static void check_winner(struct best *b)
{
	const uint32_t *winner = b->host;
	int64_t worth = exact_worth(b, b->host), other;

	for (size_t i = 0; i < b->n_candidates; i++) {
		other = exact_worth(b, b->candidates[i]);
		if (other > worth) {
			worth = other;
			winner = b->candidates[i];
		}
	}
	if (b->now_obeys && exact_worth(b, b->now) >= worth)
		winner = b->now;
	if (winner == b->host)
		return;
	b->moves = winner != b->now;
	memcpy(b->host, winner, b->fleet->n_vms * sizeof(*b->host));
}

/* True when another placement than `now` wins. */
static bool choose(struct best *b)
{
	b->found = b->now_obeys = false;
	consider_now(b);
	for (size_t i = 0; i < b->n_candidates; i++) {
		if (b->found && (int64_t)b->savings[i] < b->worth)
			continue;
		mb_tally_load(&b->search.tally, b->candidates[i]);
		consider(b);
	}
	if (b->found && b->sampled)
		check_winner(b);
	return b->found && b->moves;
}

static int place(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t *ret_host, char *note, struct mb_err *err)
{
	mb_cleanup(best_deinit) struct best b = { 0 };
	struct mb_no_fit no;
	int r;

	(void)note;
	r = best_init(&b, fleet, options, err);
	if (r < 0)
		return r;
	r = add_candidates(&b, &no, err);
	if (r < 0)
		return r;
	for (unsigned int i = 0; choose(&b) && i < ROUNDS_MAX; i++)
		memcpy(b.now, b.host, fleet->n_vms * sizeof(*b.now));
	if (!b.found)
		return mb_search_fail(fleet, &no, err);
	memcpy(ret_host, b.host, fleet->n_vms * sizeof(*ret_host));
	return 0;
}

/* Exact gain; among equals the host that it fills best, so that large VMs keep finding room. */
static double value(const struct mb_tally *t, uint32_t vm, uint32_t host)
{
	double left = (double)(t->room[host] - mb_tally_need(t, vm, host));

	return (double)mb_tally_gain(t, host, vm) + 0.5 * (1 - left / ((double)t->total[host] + 1));
}

const struct mb_planner mb_planner_best = {
	.name = "best",
	.summary = "highest exact saving: greedy starts, local search, never over-fills a host",
	.place = place,
	.value = value,
	.open_percent = 60,
};
