// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "server/plan/cost.h"
#include "server/plan/schedule.h"

#define MOVES_MAX 24

struct script {
	struct mb_move moves[MOVES_MAX];
	size_t n;
};

static void add(struct script *s, uint32_t vm, uint32_t from, uint32_t to, uint64_t time_s)
{
	assert_true(s->n < MOVES_MAX);
	s->moves[s->n++] = (struct mb_move){
		.vm = vm, .from = from, .to = to, .feasible = true, .time_s = time_s
	};
}

/* --- random plans ----------------------------------------------------------------------------- */

/* Moves that are each allowed once all before them are done; VMs may move several times. */
static void write_script(struct rng *r, const struct model *m, struct script *s)
{
	uint32_t n = m->f.view.n_vms, at[FLEET_VMS_MAX], inflow[FLEET_HOSTS_MAX] = { 0 };

	*s = (struct script){ 0 };
	for (uint32_t v = 0; v < n; v++)
		at[v] = m->f.vms[v].host;
	for (unsigned int tries = 0; tries < 60 && s->n < MOVES_MAX; tries++) {
		uint32_t v = (uint32_t)rng_below(r, n);
		uint32_t to = (uint32_t)rng_below(r, m->f.view.n_hosts), from = at[v];

		at[v] = MB_NOWHERE;
		if (from != to && model_may_come(m, at, v, to) &&
		    (!m->o.inflow_max || inflow[to] < m->o.inflow_max)) {
			at[v] = from;
			if (!model_may_come(m, at, v, to))
				continue;
			inflow[to] += from != MB_NOWHERE;
			add(s, v, from, to, rng_below(r, 5) ? 1 + rng_below(r, 30) : 0);
			from = to;
		}
		at[v] = from;
	}
}

static bool runs(const struct mb_move *move, uint64_t when)
{
	return move->start_s <= when && when < move->start_s + move->time_s;
}

/* Who is on a host then, or on the way to or from it; whose memory there is merged. */
static void look(const struct model *m, const struct script *s, size_t begun, uint32_t host,
		 uint32_t *there, uint32_t *merged)
{
	uint64_t now = s->moves[begun].start_s;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		there[v] = merged[v] = m->f.vms[v].host == host ? host : MB_NOWHERE;
	for (size_t i = 0; i <= begun; i++) {
		const struct mb_move *move = &s->moves[i];
		uint64_t end_s = move->start_s + move->time_s;

		/* Of those that take no time, the ones before this one are done. */
		bool done = end_s <= now && i < begun;

		if (move->from == host && done)
			there[move->vm] = merged[move->vm] = MB_NOWHERE;
		if (move->to != host)
			continue;
		there[move->vm] = host;
		if (done && end_s + mb_plan_merge_s(&m->f.vms[move->vm], &m->o) <= now)
			merged[move->vm] = host;
		else
			merged[move->vm] = MB_NOWHERE;
	}
}

static void check_host(const struct model *m, const struct script *s, size_t begun, uint32_t host)
{
	uint32_t there[FLEET_VMS_MAX], merged[FLEET_VMS_MAX], busy = 0;
	uint64_t now = s->moves[begun].start_s;
	int64_t room;

	for (size_t i = 0; i <= begun; i++)
		busy += (s->moves[i].to == host || s->moves[i].from == host) &&
			runs(&s->moves[i], now);
	assert_true(busy <= (m->o.concurrent_max ? m->o.concurrent_max : 1));
	if (s->moves[begun].to != host)
		return;
	look(m, s, begun, host, there, merged);
	assert_true(model_gets_on(m, there, host));
	room = model_room(m, merged, host);
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (there[v] == host && merged[v] != host)
			room -= model_full(m, v);
	assert_true(room >= 0);
}

/* A move waits for all before it, but only as long as something is under way, or merging. */
static void check_waits(const struct model *m, const struct script *s, size_t i)
{
	uint64_t now = s->moves[i].start_s, before = i ? s->moves[i - 1].start_s : 0;
	bool reason = now == before;

	assert_true(now >= before);
	for (size_t k = 0; k < i; k++) {
		uint64_t end_s = s->moves[k].start_s + s->moves[k].time_s;

		reason |= now == end_s ||
			  (m->o.count_sharing_percent &&
			   now == end_s + mb_plan_merge_s(&m->f.vms[s->moves[k].vm], &m->o));
	}
	assert_true(reason);
}

static void test_random_plans(void **state)
{
	unsigned int moves = 0, together = 0;
	struct rng r = { 6 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint64_t all_s = 0, last_s = 0, time_s;
		struct mb_err err = { 0 };
		struct script s;
		struct model m;

		model_random(&r, &m, 1 + (uint32_t)rng_below(&r, 8),
			     2 + (uint32_t)rng_below(&r, 4));
		m.o.merge_mb_s = 1 + (uint32_t)rng_below(&r, 1000);
		model_settle(&r, &m);
		write_script(&r, &m, &s);
		assert_ok(mb_plan_schedule(&m.f.view, &m.o, s.moves, s.n, &time_s, &err), &err);
		for (size_t k = 0; k < s.n; k++) {
			uint64_t end_s = s.moves[k].start_s + s.moves[k].time_s;

			check_waits(&m, &s, k);
			for (uint32_t h = 0; h < m.f.view.n_hosts; h++)
				check_host(&m, &s, k, h);
			together += k && s.moves[k].start_s < last_s;
			last_s = end_s > last_s ? end_s : last_s;
			all_s += s.moves[k].time_s;
		}
		assert_int_equal(time_s, last_s);
		if (!m.o.count_sharing_percent)
			assert_true(time_s <= all_s);
		moves += s.n;
		model_deinit(&m);
	}
	assert_true(moves > 3 * MODEL_FLEETS && together > MODEL_FLEETS / 10);
}

/* --- cases ------------------------------------------------------------------------------------ */

static void expect(const struct fleet *f, const struct mb_plan_options *o, struct script *s,
		   uint64_t want_s)
{
	struct mb_err err = { 0 };
	uint64_t time_s;

	assert_ok(mb_plan_schedule(&f->view, o, s->moves, s->n, &time_s, &err), &err);
	assert_int_equal(time_s, want_s);
}

static void test_how_many_at_a_time(void **state)
{
	const uint64_t vm_mb[] = { 1, 1, 1, 1 }, host_mb[] = { 4, 4, 4, 4 };
	struct mb_plan_options o = { 0 };
	struct script s = { 0 };
	struct fleet f;

	(void)state;
	fleet_init(&f, 4, vm_mb, 4, host_mb);
	f.vms[0].host = f.vms[1].host = f.vms[2].host = 0;
	f.vms[3].host = 2;
	/* All off one host. */
	add(&s, 0, 0, 1, 10);
	add(&s, 1, 0, 2, 20);
	add(&s, 2, 0, 3, 5);
	expect(&f, &o, &s, 35);
	o.concurrent_max = 1;
	expect(&f, &o, &s, 35);
	o.concurrent_max = 2;
	expect(&f, &o, &s, 20);
	assert_int_equal(s.moves[2].start_s, 10);
	o.concurrent_max = 3;
	expect(&f, &o, &s, 20);
	assert_int_equal(s.moves[2].start_s, 0);
	/* Between two pairs of hosts. */
	o.concurrent_max = 1;
	s.n = 1;
	add(&s, 3, 2, 3, 7);
	expect(&f, &o, &s, 10);
	/* A move that is not made takes no time and no room. */
	s.moves[0].feasible = false;
	expect(&f, &o, &s, 7);
	s.n = 0;
	expect(&f, &o, &s, 0);
}

static void test_room_and_loads_at_both_ends(void **state)
{
	const uint64_t vm_mb[] = { 4, 4 }, host_mb[] = { 4, 4, 4 };
	struct mb_plan_options o = { .concurrent_max = 9 };
	struct script s = { 0 };
	struct fleet f;

	(void)state;
	fleet_init(&f, 2, vm_mb, 3, host_mb);
	f.vms[0].host = 0;
	f.vms[1].host = 1;
	/* v1 keeps its room on h1 until it has gone. */
	add(&s, 1, 1, 2, 10);
	add(&s, 0, 0, 1, 10);
	expect(&f, &o, &s, 20);
	/* And its load, where there is room for both. */
	f.hosts[1].memory_mb = 8;
	expect(&f, &o, &s, 10);
	f.hosts[1].capacity[MB_CPU_MILLICORES] = 10;
	f.vms[0].peak[MB_CPU_MILLICORES] = f.vms[1].peak[MB_CPU_MILLICORES] = 6;
	expect(&f, &o, &s, 20);
}

static void test_merging_takes_time(void **state)
{
	/* v0 and v1 are the same 200 MB; v2 fits beside them once v0 has merged with v1. */
	const uint64_t vm_mb[] = { 200, 200, 200 }, host_mb[] = { 400, 400, 200 };
	struct mb_plan_options o = { .concurrent_max = 9,
				     .count_sharing_percent = 100,
				     .merge_mb_s = 10 };
	struct script s = { 0 };
	struct fleet f;

	(void)state;
	fleet_init(&f, 3, vm_mb, 3, host_mb);
	for (uint32_t v = 0; v < 3; v++)
		f.vms[v].pages = f.vms[v].distinct = 0;
	fleet_share(&f, 3, 200 * MB_PLAN_PAGES_PER_MB);
	f.vms[2].pages = f.vms[2].distinct = 200 * MB_PLAN_PAGES_PER_MB;
	f.vms[0].host = 0;
	f.vms[1].host = 1;
	f.vms[2].host = 2;
	add(&s, 0, 0, 1, 5);
	add(&s, 2, 2, 1, 5);
	expect(&f, &o, &s, 5 + 20 + 5);
	fleet_deinit(&f);
}

static void test_broken_orders(void **state)
{
	const uint64_t vm_mb[] = { 4, 4 }, host_mb[] = { 4, 4, 4 };
	static const uint32_t both[] = { 0, 1 };
	const struct mb_plan_rule apart = { MB_RULE_APART, "replicas", both, 2 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct script s = { 0 };
	struct fleet f;
	uint64_t time_s;

	(void)state;
	fleet_init(&f, 2, vm_mb, 3, host_mb);
	f.vms[0].host = 0;
	f.vms[1].host = 1;
	/* v0 comes before v1 leaves. */
	add(&s, 0, 0, 1, 10);
	add(&s, 1, 1, 2, 10);
	assert_fails(mb_plan_schedule(&f.view, &o, s.moves, s.n, &time_s, &err), EPROTO, &err,
		     "move 1 of the plan, VM \"v0\" to \"h1\"");
	/* There is room, but a rule. */
	f.hosts[1].memory_mb = 8;
	assert_ok(mb_plan_schedule(&f.view, &o, s.moves, s.n, &time_s, &err), &err);
	f.view.rules = &apart;
	f.view.n_rules = 1;
	assert_fails(mb_plan_schedule(&f.view, &o, s.moves, s.n, &time_s, &err), EPROTO, &err,
		     "breaks a rule");
	f.view.n_rules = 0;
	/* It is not where the move begins. */
	s.moves[1].from = 0;
	assert_fails(mb_plan_schedule(&f.view, &o, s.moves, s.n, &time_s, &err), EPROTO, &err,
		     "move 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_plans),
		cmocka_unit_test(test_how_many_at_a_time),
		cmocka_unit_test(test_room_and_loads_at_both_ends),
		cmocka_unit_test(test_merging_takes_time),
		cmocka_unit_test(test_broken_orders),
	};

	return cmocka_run_group_tests_name("plan_schedule", tests, NULL, NULL);
}
