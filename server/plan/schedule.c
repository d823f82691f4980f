// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/schedule.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/plan/cost.h"
#include "server/plan/tally.h"

static const struct mb_groups no_groups;

/* Something that ends: a migration, or the merging after it. */
struct pending {
	uint64_t end_s;
	uint32_t vm, from, to;
	bool merging;
	int64_t held; /* of the destination's room */
};

struct sim {
	const struct mb_fleet_view *fleet;
	const struct mb_plan_options *options;
	struct mb_fleet_view seen;
	struct mb_tally tally; /* VMs where they are: at the source until a migration ends */
	struct mb_room both;   /* the same, and where they are going */
	uint32_t *busy;	       /* [0, n_hosts): migrations to or from it */
	struct pending *pending;
	size_t n_pending;
	uint64_t now_s;
};

static void sim_deinit(struct sim *s)
{
	mb_tally_deinit(&s->tally);
	mb_room_deinit(&s->both);
	free(s->busy);
	free(s->pending);
}

static int sim_init(struct sim *s, size_t n_moves, struct mb_err *err)
{
	int r;

	s->seen = *s->fleet;
	s->seen.score_groups = s->options->count_sharing_percent ? NULL : &no_groups;
	r = mb_tally_init(&s->tally, &s->seen, s->options, err);
	if (r == 0)
		r = mb_room_init(&s->both, &s->seen, s->options, err);
	if (r < 0)
		return r;
	s->busy = calloc((size_t)s->fleet->n_hosts + 1, sizeof(*s->busy));
	s->pending = calloc(2 * n_moves + 1, sizeof(*s->pending));
	if (!s->busy || !s->pending)
		return mb_fail_mem(err, "scheduling the moves");
	for (uint32_t v = 0; v < s->fleet->n_vms; v++) {
		uint32_t host = s->fleet->vms[v].host;

		if (host == MB_NOWHERE)
			continue;
		if (s->tally.host[v] == MB_NOWHERE)
			mb_tally_put(&s->tally, v, host);
		mb_room_put(&s->both, v, host);
	}
	return 0;
}

/* The migration has ended; what it would share is not merged yet. */
static void land(struct sim *s, const struct pending *p)
{
	struct mb_tally *t = &s->tally;

	if (p->from != MB_NOWHERE) {
		mb_tally_take(t, p->vm);
		mb_room_take(&s->both, p->vm, p->from);
		s->busy[p->from]--;
	}
	s->busy[p->to]--;
	mb_tally_put(t, p->vm, p->to);
	t->room[p->to] += p->held;
	if (s->options->count_sharing_percent) {
		/* What it saves is room only later: until then held back. */
		struct pending merge = *p;

		merge.merging = true;
		merge.held = t->full[p->vm] - t->least[p->vm] +
			     (int64_t)(t->counted_percent * mb_tally_own(t, p->vm));
		merge.end_s = s->now_s + mb_plan_merge_s(&s->fleet->vms[p->vm], s->options);
		t->room[p->to] -= merge.held;
		s->pending[s->n_pending++] = merge;
	}
}

/* On to the next end. False if nothing is under way. */
static bool wait_for_one(struct sim *s)
{
	struct pending p;
	size_t next = 0;

	if (!s->n_pending)
		return false;
	for (size_t i = 1; i < s->n_pending; i++)
		if (s->pending[i].end_s < s->pending[next].end_s)
			next = i;
	p = s->pending[next];
	s->pending[next] = s->pending[--s->n_pending];
	s->now_s = p.end_s;
	if (p.merging)
		s->tally.room[p.to] += p.held;
	else
		land(s, &p);
	return true;
}

static bool can_start(const struct sim *s, const struct mb_move *m)
{
	uint32_t at_a_time = s->options->concurrent_max ? s->options->concurrent_max : 1;

	for (size_t i = 0; i < s->n_pending; i++)
		if (!s->pending[i].merging && s->pending[i].vm == m->vm)
			return false;
	return s->tally.host[m->vm] == m->from && s->busy[m->to] < at_a_time &&
	       (m->from == MB_NOWHERE || s->busy[m->from] < at_a_time) &&
	       s->tally.full[m->vm] <= s->tally.room[m->to] &&
	       mb_room_allows(&s->both, m->vm, m->to, MB_NOWHERE, NULL, 0);
}

static void start(struct sim *s, struct mb_move *m)
{
	struct pending p = { .end_s = s->now_s + m->time_s,
			     .vm = m->vm,
			     .from = m->from,
			     .to = m->to,
			     .held = s->tally.full[m->vm] };

	m->start_s = s->now_s;
	s->busy[m->to]++;
	if (m->from != MB_NOWHERE)
		s->busy[m->from]++;
	mb_room_put(&s->both, m->vm, m->to);
	s->tally.room[m->to] -= p.held;
	s->pending[s->n_pending++] = p;
}

int mb_plan_schedule(const struct mb_fleet_view *fleet, const struct mb_plan_options *options,
		     struct mb_move *moves, size_t n_moves, uint64_t *ret_time_s,
		     struct mb_err *err)
{
	mb_cleanup(sim_deinit) struct sim s = { .fleet = fleet, .options = options };
	int r = sim_init(&s, n_moves, err);

	if (r < 0)
		return r;
	*ret_time_s = 0;
	for (size_t i = 0; i < n_moves; i++) {
		if (!moves[i].feasible)
			continue;
		while (!can_start(&s, &moves[i]))
			if (!wait_for_one(&s))
				return mb_fail(err, EPROTO,
					       "move %zu of the plan, VM \"%.80s\" to \"%.80s\", "
					       "breaks a rule or has no room: please report it",
					       i + 1, fleet->vms[moves[i].vm].name,
					       fleet->hosts[moves[i].to].name);
		start(&s, &moves[i]);
		*ret_time_s = MB_MAX(*ret_time_s, moves[i].start_s + moves[i].time_s);
	}
	return 0;
}
