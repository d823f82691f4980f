// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "server/plan/question.h"

struct heat {
	uint64_t swap, stall, lost, lost_error;
	int64_t free_mb; /* at full size for those that came */
	bool known;
};

/* How hot a host is when the VMs have gone from where they are to `at`. */
static struct heat look(const struct model *m, const uint32_t *at, uint32_t host)
{
	const struct mb_plan_host *h = &m->f.hosts[host];
	struct heat heat = { .known = h->free_mb != UINT64_MAX || h->state == MB_HOST_POOL };
	uint32_t now[FLEET_VMS_MAX], stay[FLEET_VMS_MAX];

	heat.free_mb =
		(int64_t)(h->state == MB_HOST_POOL ? h->memory_mb - h->reserve_mb : h->free_mb);
	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		now[v] = m->f.vms[v].host;
		stay[v] = at[v] == now[v] ? at[v] : MB_NOWHERE;
		if (at[v] != host)
			continue;
		heat.swap += m->f.vms[v].swap_pages_s;
		heat.stall += m->f.vms[v].stall_percent;
		heat.lost += m->f.vms[v].lost_pages;
		heat.lost_error += m->f.vms[v].lost_error_pages;
		if (now[v] != host)
			heat.free_mb -= model_full(m, v) / (100 * MB_PLAN_PAGES_PER_MB);
	}
	heat.free_mb += (int64_t)((mb_score_union_pages(&m->f.view, now, host) -
				   mb_score_union_pages(&m->f.view, stay, host)) /
				  MB_PLAN_PAGES_PER_MB);
	return heat;
}

static bool is_hot(const struct heat *h, const struct mb_hotspot_limits *l)
{
	return (l->free_mb && h->known && h->free_mb < (int64_t)l->free_mb) ||
	       (l->swap_pages_s && h->swap > l->swap_pages_s) ||
	       (l->stall_percent && h->stall > l->stall_percent) ||
	       (l->lost_pages && h->lost > l->lost_pages + h->lost_error);
}

/* Distinct pages of a VM that the others on a host have. */
static int64_t overlap(const struct model *m, const uint32_t *at, uint32_t vm, uint32_t host)
{
	uint32_t then[FLEET_VMS_MAX];
	uint64_t without;

	memcpy(then, at, m->f.view.n_vms * sizeof(*then));
	then[vm] = MB_NOWHERE;
	without = mb_score_union_pages(&m->f.view, then, host);
	then[vm] = host;
	return (int64_t)(without + m->f.vms[vm].distinct -
			 mb_score_union_pages(&m->f.view, then, host));
}

struct choice {
	uint32_t vm, to;
	int64_t gain;
};

/* The VM on `hot` that has a part in it, and whose best cool host gains most. */
static struct choice choose(struct model *m, const struct mb_hotspot_limits *l, uint32_t hot,
			    uint32_t woken)
{
	struct choice best = { MB_NOWHERE, MB_NOWHERE, 0 };
	uint32_t now[FLEET_VMS_MAX];
	struct heat heat;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		now[v] = m->f.vms[v].host;
	heat = look(m, now, hot);
	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		const struct mb_plan_vm *vm = &m->f.vms[v];
		bool part =
			(l->free_mb && heat.known && heat.free_mb < (int64_t)l->free_mb &&
			 (int64_t)vm->distinct > overlap(m, now, v, hot)) ||
			(l->swap_pages_s && heat.swap > l->swap_pages_s && vm->swap_pages_s) ||
			(l->stall_percent && heat.stall > l->stall_percent && vm->stall_percent) ||
			(l->lost_pages && heat.lost > l->lost_pages + heat.lost_error &&
			 vm->lost_pages > vm->lost_error_pages);

		if (now[v] != hot || vm->pinned || !part)
			continue;
		for (uint32_t h = 0; h < m->f.view.n_hosts; h++) {
			enum mb_host_state was = m->f.hosts[h].state;
			uint32_t then[FLEET_VMS_MAX];
			struct heat before = look(m, now, h), after;
			bool may;

			memcpy(then, now, sizeof(then));
			then[v] = h;
			after = look(m, then, h);
			if (h == woken)
				m->f.hosts[h].state = MB_HOST_ACTIVE;
			may = h != hot && model_may_come(m, now, v, h);
			m->f.hosts[h].state = was;
			if (may && !is_hot(&before, l) && !is_hot(&after, l) &&
			    (!after.known || after.free_mb >= 0) &&
			    (best.vm == MB_NOWHERE ||
			     overlap(m, now, v, h) - overlap(m, now, v, hot) > best.gain))
				best = (struct choice){
					v, h, overlap(m, now, v, h) - overlap(m, now, v, hot)
				};
		}
	}
	return best;
}

/* The first move is from the first spot that can be helped at all. */
static void check_first(struct model *m, const struct mb_hotspot_limits *l,
			const struct mb_plan *plan, const struct mb_hotspot *spot)
{
	struct choice want = choose(m, l, spot->host, MB_NOWHERE);
	uint32_t pooled = MB_NOWHERE;

	for (uint32_t h = 0; h < m->f.view.n_hosts && want.vm == MB_NOWHERE; h++)
		if (m->f.hosts[h].state == MB_HOST_POOL &&
		    choose(m, l, spot->host, h).vm != MB_NOWHERE &&
		    (pooled == MB_NOWHERE ||
		     m->f.hosts[h].memory_mb < m->f.hosts[pooled].memory_mb))
			pooled = h;
	if (pooled != MB_NOWHERE) {
		assert_int_equal(spot->woken, pooled);
		want = choose(m, l, spot->host, pooled);
	}
	if (want.vm == MB_NOWHERE) {
		assert_false(spot->relieved);
		assert_int_equal(spot->woken, MB_NOWHERE);
		return;
	}
	assert_true(plan->n_moves > 0);
	assert_int_equal(plan->moves[0].vm, want.vm);
	assert_int_equal(plan->moves[0].to, want.to);
}

static void set_heat(struct rng *r, struct model *m, struct mb_hotspot_limits *l)
{
	*l = (struct mb_hotspot_limits){ 0 };
	if (rng_below(r, 2))
		l->swap_pages_s = 50 + rng_below(r, 200);
	if (rng_below(r, 3) == 0)
		l->stall_percent = 5 + rng_below(r, 40);
	if (rng_below(r, 2))
		l->lost_pages = 50 + rng_below(r, 200);
	if (rng_below(r, 2))
		l->free_mb = 1 + rng_below(r, 500);
	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		m->f.vms[v].swap_pages_s = rng_below(r, 2) ? 0 : rng_below(r, 150);
		m->f.vms[v].stall_percent = rng_below(r, 2) ? 0 : rng_below(r, 30);
		m->f.vms[v].lost_pages = rng_below(r, 2) ? 0 : rng_below(r, 150);
		m->f.vms[v].lost_error_pages = rng_below(r, 3) ? 0 : rng_below(r, 40);
		m->f.vms[v].pinned = m->f.vms[v].host != MB_NOWHERE && !rng_below(r, 15);
	}
	for (uint32_t h = 0; h < m->f.view.n_hosts; h++)
		m->f.hosts[h].free_mb = rng_below(r, 3) ? rng_below(r, 4000) : UINT64_MAX;
}

static void check_spots(const struct model *m, const struct mb_hotspot_limits *l,
			const struct mb_plan *plan, const struct mb_hotspot *spots, size_t n)
{
	uint32_t now[FLEET_VMS_MAX];
	bool hot[FLEET_HOSTS_MAX] = { false };
	size_t next = 0;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		now[v] = m->f.vms[v].host;
	for (uint32_t h = 0; h < m->f.view.n_hosts; h++) {
		struct heat before = look(m, now, h), after = look(m, plan->host, h);

		hot[h] = m->f.hosts[h].state != MB_HOST_POOL && is_hot(&before, l);
		/* Free memory is cut to whole MB at each move. */
		if (hot[h]) {
			struct heat least = after;

			assert_true(next < n);
			assert_int_equal(spots[next].host, h);
			least.free_mb -= (int64_t)plan->n_moves;
			if (spots[next].relieved)
				assert_false(is_hot(&after, l));
			else
				assert_true(is_hot(&least, l));
			next++;
		} else if (m->f.hosts[h].state != MB_HOST_POOL) {
			/* Nobody was made hot. */
			assert_false(is_hot(&after, l));
		}
	}
	assert_int_equal(next, n);
	for (size_t i = 0; i < plan->n_moves; i++) {
		assert_true(hot[plan->moves[i].from]);
		assert_int_equal(plan->moves[i].why, MB_WHY_RELIEVE);
		for (size_t k = 0; k < i; k++)
			assert_int_not_equal(plan->moves[k].vm, plan->moves[i].vm);
	}
}

static void test_random_fleets(void **state)
{
	unsigned int relieved = 0, not = 0, woken = 0;
	struct rng r = { 16 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		struct mb_hotspot_limits limits;
		struct mb_hotspot *spots;
		struct mb_err err = { 0 };
		struct mb_plan plan;
		struct model m;
		bool simple = true;
		size_t n;

		model_random(&r, &m, 1 + (uint32_t)rng_below(&r, 9),
			     2 + (uint32_t)rng_below(&r, 4));
		for (uint32_t h = 0; h < m.f.view.n_hosts; h++)
			if (rng_below(&r, 4) == 0)
				m.f.hosts[h].state = MB_HOST_POOL;
		model_settle(&r, &m);
		set_heat(&r, &m, &limits);
		for (uint32_t k = 0; k < m.f.view.n_rules; k++)
			simple &= m.rules[k].kind == MB_RULE_APART;
		assert_ok(mb_plan_hotspot(&plan, &spots, &n, &mb_planner_paper, &m.f.view, &m.o,
					  &limits, &err),
			  &err);
		check_spots(&m, &limits, &plan, spots, n);
		if (n && simple && !m.o.inflow_max)
			check_first(&m, &limits, &plan, &spots[0]);
		for (size_t k = 0; k < n; k++) {
			*(spots[k].relieved ? &relieved : &not ) += 1;
			woken += spots[k].woken != MB_NOWHERE;
			if (spots[k].woken != MB_NOWHERE)
				m.f.hosts[spots[k].woken].state = MB_HOST_ACTIVE;
		}
		model_check_plan(&m, &plan);
		free(spots);
		mb_plan_deinit(&plan);
		model_deinit(&m);
	}
	print_message("%u relieved, %u not, %u woken\n", relieved, not, woken);
	assert_true(relieved > MODEL_FLEETS / 40 && not > MODEL_FLEETS / 20 &&
		    woken > MODEL_FLEETS / 100);
}

static void expect(const struct fleet *f, const struct mb_hotspot_limits *l, const char *reason,
		   uint32_t vm, uint32_t to, uint32_t woken)
{
	struct mb_plan_options o = { 0 };
	struct mb_hotspot *spots;
	struct mb_err err = { 0 };
	struct mb_plan plan;
	size_t n;

	assert_ok(mb_plan_hotspot(&plan, &spots, &n, &mb_planner_best, &f->view, &o, l, &err),
		  &err);
	assert_int_equal(n, reason != NULL);
	if (n) {
		assert_int_equal(spots[0].host, 0);
		assert_non_null(strstr(spots[0].reason, reason));
		assert_int_equal(spots[0].woken, woken);
		assert_int_equal(spots[0].relieved, vm != MB_NOWHERE);
	}
	assert_int_equal(plan.n_moves, vm != MB_NOWHERE);
	if (plan.n_moves) {
		assert_int_equal(plan.moves[0].vm, vm);
		assert_int_equal(plan.moves[0].to, to);
	}
	free(spots);
	mb_plan_deinit(&plan);
}

/* v0 and v1 on h0, v2 on h1; v1 shares most with v2. h2 and h3 are in the pool. */
static void test_causes(void **state)
{
	const uint64_t vm_mb[] = { 8, 8, 8 }, host_mb[] = { 16, 16, 4, 16 };
	struct mb_hotspot_limits l = { .swap_pages_s = 10 };
	struct fleet f;

	(void)state;
	fleet_init(&f, 3, vm_mb, 4, host_mb);
	fleet_share(&f, 6, 500);
	f.vms[0].host = f.vms[1].host = 0;
	f.vms[2].host = 1;
	f.hosts[0].free_mb = f.hosts[1].free_mb = UINT64_MAX;
	f.hosts[2].state = f.hosts[3].state = MB_HOST_POOL;
	f.vms[0].swap_pages_s = f.vms[1].swap_pages_s = 5;
	expect(&f, &l, NULL, MB_NOWHERE, MB_NOWHERE, MB_NOWHERE);
	f.vms[0].swap_pages_s = 6;
	expect(&f, &l, "swap 11 pages a second, more than 10", 1, 1, MB_NOWHERE);
	/* Who does not swap does not help; v0 shares nothing, but must go. */
	f.vms[0].swap_pages_s = 11;
	f.vms[1].swap_pages_s = 0;
	expect(&f, &l, "swap 11", MB_NOWHERE, MB_NOWHERE, MB_NOWHERE);
	l = (struct mb_hotspot_limits){ .stall_percent = 20 };
	f.vms[0].stall_percent = f.vms[1].stall_percent = 10;
	expect(&f, &l, NULL, MB_NOWHERE, MB_NOWHERE, MB_NOWHERE);
	f.vms[0].stall_percent = 11;
	expect(&f, &l, "wait for memory, in all 21 % of the time, more than 20", 1, 1, MB_NOWHERE);
	f.vms[0].stall_percent = f.vms[1].stall_percent = 0;
	l = (struct mb_hotspot_limits){ .lost_pages = 3 };
	f.vms[0].lost_pages = f.vms[1].lost_pages = 2;
	expect(&f, &l, "lost 4 shared pages, more than 3", 1, 1, MB_NOWHERE);
	/* What may be an error of the estimate moves nobody. */
	f.vms[0].lost_pages = f.vms[1].lost_pages = 100;
	f.vms[0].lost_error_pages = 90;
	f.vms[1].lost_error_pages = 107;
	expect(&f, &l, NULL, MB_NOWHERE, MB_NOWHERE, MB_NOWHERE);
	f.vms[1].lost_error_pages = 106;
	expect(&f, &l, "lost 200 +-196 shared pages, more than 3", MB_NOWHERE, 1, MB_NOWHERE);
	f.vms[0].lost_error_pages = f.vms[1].lost_error_pages = 0;
	f.vms[0].lost_pages = f.vms[1].lost_pages = 2;
	l = (struct mb_hotspot_limits){ .free_mb = 3 };
	f.hosts[0].free_mb = 2;
	expect(&f, &l, "less than 3; its guests lost 0.0 MB of sharing", 1, 1, MB_NOWHERE);
	f.vms[0].lost_pages = f.vms[1].lost_pages = 384;
	expect(&f, &l, "less than 3; its guests lost 3.0 MB of sharing", 1, 1, MB_NOWHERE);
	f.vms[1].lost_error_pages = 26;
	expect(&f, &l, "less than 3; its guests lost 3.0 +-0.2 MB of sharing", 1, 1, MB_NOWHERE);
	f.vms[1].lost_error_pages = 0;
	f.vms[0].lost_pages = f.vms[1].lost_pages = 0;
	expect(&f, &l, "2 MB of its memory are free, less than 3", 1, 1, MB_NOWHERE);
	/* h1 would be hot, too; of the pool, h2 is too small. */
	f.hosts[1].free_mb = 10;
	expect(&f, &l, "2 MB", 0, 3, 3);
	f.vms[0].pinned = true;
	expect(&f, &l, "2 MB", 1, 3, 3);
	f.vms[1].pinned = true;
	expect(&f, &l, "2 MB", MB_NOWHERE, MB_NOWHERE, MB_NOWHERE);
	fleet_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_fleets),
		cmocka_unit_test(test_causes),
	};

	return cmocka_run_group_tests_name("plan_hotspot", tests, NULL, NULL);
}
