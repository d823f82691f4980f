// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The best placement we can find: several starts, each improved by local search, the highest
 * saving wins; of equal ones that with the fewest moves. Since the seed's placements are among the
 * starts, it is never worse than they are where they fit.
 *
 * Planning again after the moves were made finds nothing to do: only the start from the current
 * placement depends on it, and that one is then a local optimum as good as the others. (Where a
 * fleet is so large that the search stopped at its bound, it goes on from there.)
 */
#include "server/plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"
#include "server/plan/search.h"

/*
 * Counters touched, up to 10 ns each: per start, and for all kicks together. Up to some hundred VMs
 * no start reaches its bound; the largest fleets stop there, always at the same place.
 */
#define WORK_PER_START 60000000
#define WORK_OF_KICKS  100000000
#define KICKS_MAX      200

static const unsigned int open_percents[] = { 0, 40, 60, 80 };

struct best {
	const struct mb_fleet_view *fleet;
	const struct mb_plan_options *options;
	struct mb_search search;
	uint32_t *now;
	/* The winner so far. */
	uint32_t *host;
	uint64_t saving;
	uint32_t moves;
	bool found;
	/* The best that does not depend on `now`, before it settles: where the kicks start. */
	uint32_t *free_host;
	uint64_t free_saving;
	bool free_found;
};

static void best_deinit(struct best *b)
{
	mb_search_deinit(&b->search);
	free(b->now);
	free(b->host);
	free(b->free_host);
}

static int best_init(struct best *b, const struct mb_fleet_view *fleet,
		     const struct mb_plan_options *options, struct mb_err *err)
{
	size_t n = (size_t)fleet->n_vms + 1;

	*b = (struct best){ .fleet = fleet, .options = options };
	b->now = malloc(n * sizeof(*b->now));
	b->host = malloc(n * sizeof(*b->host));
	b->free_host = malloc(n * sizeof(*b->free_host));
	if (!b->now || !b->host || !b->free_host)
		return mb_fail_mem(err, "the search for a placement");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		b->now[v] = fleet->vms[v].host;
	return mb_search_init(&b->search, fleet, options, err);
}

/* Takes what the tally holds as a candidate. */
static void consider(struct best *b)
{
	struct mb_tally *t = &b->search.tally;
	uint32_t moves = 0;

	if (b->found && t->saving < b->saving)
		return;
	mb_search_settle(&b->search, b->now);
	for (uint32_t v = 0; v < b->fleet->n_vms; v++)
		moves += t->host[v] != b->now[v];
	if (b->found && t->saving == b->saving && moves >= b->moves)
		return;
	memcpy(b->host, t->host, b->fleet->n_vms * sizeof(*b->host));
	b->saving = t->saving;
	b->moves = moves;
	b->found = true;
}

/* Improves what the tally holds; `depends` tells that it comes from the current placement. */
static void start_from(struct best *b, bool depends)
{
	struct mb_tally *t = &b->search.tally;

	mb_search_improve(&b->search, WORK_PER_START);
	if (!depends && (!b->free_found || t->saving > b->free_saving)) {
		memcpy(b->free_host, t->host, b->fleet->n_vms * sizeof(*b->free_host));
		b->free_saving = t->saving;
		b->free_found = true;
	}
	consider(b);
}

/* Whoever fits stays, in index order; the others are placed greedily. */
static void start_from_now(struct best *b)
{
	struct mb_tally *t = &b->search.tally;

	mb_tally_clear(t);
	for (uint32_t v = 0; v < b->fleet->n_vms; v++)
		if (b->now[v] != MB_NOWHERE && mb_tally_size(t, v) <= t->free_mb[b->now[v]])
			mb_tally_put(t, v, b->now[v]);
	if (mb_search_fill(&b->search, 0))
		start_from(b, true);
}

/* The seed's result, if it has one that is complete and fits. */
static int start_from_seed(struct best *b, bool strict, struct mb_err *err)
{
	struct mb_plan_options options = *b->options;
	mb_autofree uint32_t *host = malloc(((size_t)b->fleet->n_vms + 1) * sizeof(*host));
	struct mb_tally *t = &b->search.tally;
	char note[MB_PLAN_NOTE_BYTES] = "";
	int r;

	if (!host)
		return mb_fail_mem(err, "the seed's placement");
	options.strict = strict;
	r = mb_planner_seed.place(b->fleet, &options, host, note, err);
	if (r == -ENOSPC || r == -ERANGE)
		return 0;
	if (r < 0)
		return r;
	for (uint32_t v = 0; v < b->fleet->n_vms; v++)
		if (host[v] == MB_NOWHERE)
			return 0;
	mb_tally_load(t, host);
	for (uint32_t h = 0; h < b->fleet->n_hosts; h++)
		if (t->free_mb[h] < 0)
			return 0;
	start_from(b, false);
	return 0;
}

/* Iterated local search: moves a few VMs at random, improves, keeps it if it is better. */
static void kick(struct best *b)
{
	struct mb_tally *t = &b->search.tally;
	uint32_t n_vms = b->fleet->n_vms, n_hosts = b->fleet->n_hosts;
	uint64_t state = b->options->seed, end = t->work + WORK_OF_KICKS;

	if (!b->free_found || n_vms < 3 || n_hosts < 2)
		return;
	for (unsigned int i = 0; i < KICKS_MAX && t->work < end; i++) {
		mb_tally_load(t, b->free_host);
		t->work += t->row_of[b->fleet->groups->n_groups];
		for (unsigned int k = 0; k < 3 + i % 3; k++) {
			uint32_t v = (uint32_t)(mb_mix64(++state) % n_vms);
			uint32_t h = (uint32_t)(mb_mix64(++state) % n_hosts);

			mb_search_kick(&b->search, v, h);
		}
		mb_search_improve(&b->search, end - MB_MIN(end, t->work));
		if (t->saving <= b->free_saving)
			continue;
		memcpy(b->free_host, t->host, n_vms * sizeof(*b->free_host));
		b->free_saving = t->saving;
		i = 0;
	}
	mb_tally_load(t, b->free_host);
	consider(b);
}

static int fits_nowhere(const struct best *b, uint32_t v, uint32_t host, int64_t room_mb,
			struct mb_err *err)
{
	if (host == MB_NOWHERE)
		return mb_fail(err, ENOSPC, "VM \"%.80s\" (%llu MB) fits on no host: there is none",
			       b->fleet->vms[v].name,
			       (unsigned long long)b->fleet->vms[v].memory_mb);
	return mb_fail(err, ENOSPC,
		       "VM \"%.80s\" (%llu MB) fits on no host beside the others: the largest room "
		       "is %lld MB on \"%.80s\"",
		       b->fleet->vms[v].name, (unsigned long long)b->fleet->vms[v].memory_mb,
		       (long long)room_mb, b->fleet->hosts[host].name);
}

static int place(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		 uint32_t *ret_host, char *note, struct mb_err *err)
{
	mb_cleanup(best_deinit) struct best b = { 0 };
	uint32_t vm = 0, room_host = MB_NOWHERE;
	int64_t room_mb = 0;
	int r;

	(void)note;
	r = best_init(&b, fleet, options, err);
	if (r < 0)
		return r;
	start_from_now(&b);
	for (size_t i = 0; i < MB_ARRAY_LEN(open_percents); i++) {
		mb_tally_clear(&b.search.tally);
		if (mb_search_fill(&b.search, open_percents[i]))
			start_from(&b, false);
	}
	r = start_from_seed(&b, true, err);
	if (r == 0)
		r = start_from_seed(&b, false, err);
	if (r < 0)
		return r;
	/* Tight memory: any packing is a start. */
	if (mb_search_pack(&b.search, &vm, &room_host, &room_mb))
		start_from(&b, false);
	else if (!b.found)
		return fits_nowhere(&b, vm, room_host, room_mb, err);
	kick(&b);
	memcpy(ret_host, b.host, fleet->n_vms * sizeof(*ret_host));
	return 0;
}

const struct mb_planner mb_planner_best = {
	.name = "best",
	.summary = "highest exact saving: greedy starts, local search, never over-fills a host",
	.place = place,
};
