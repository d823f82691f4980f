// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

#include "proto/base/cleanup.h"
#include "server/plan/moves.h"

static struct mb_move *order(const struct fleet *f, const uint32_t *target, size_t *ret_n,
			     uint32_t *ret_at)
{
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	mb_cleanup(mb_units_deinit) struct mb_units units;
	struct mb_move *moves;

	assert_ok(mb_units_init(&units, &f->view, &err), &err);
	assert_ok(mb_moves_order(&f->view, &units, &o, target, &moves, ret_n, &err), &err);
	fleet_replay(f, &o, moves, *ret_n, ret_at);
	return moves;
}

static void place(struct fleet *f, const uint32_t *host)
{
	for (uint32_t v = 0; v < f->view.n_vms; v++)
		f->vms[v].host = host[v];
}

static void test_nothing_to_do(void **state)
{
	const uint64_t vm_mb[] = { 1, 1 }, host_mb[] = { 2, 2 };
	/* One is there already; one is left out. */
	const uint32_t now[] = { 1, 0 }, target[] = { 1, MB_NOWHERE };
	struct mb_move *moves;
	struct fleet f;
	uint32_t at[2];
	size_t n;

	(void)state;
	fleet_init(&f, 2, vm_mb, 2, host_mb);
	place(&f, now);
	moves = order(&f, target, &n, at);
	assert_int_equal(n, 0);
	free(moves);
}

static void test_who_leaves_goes_first(void **state)
{
	const uint64_t vm_mb[] = { 2, 2, 2 }, host_mb[] = { 2, 2, 2 };
	/* A chain: v0 waits for v1. v2 is new and waits for v0. */
	const uint32_t now[] = { 0, 1, MB_NOWHERE }, target[] = { 1, 2, 0 };
	struct mb_move *moves;
	struct fleet f;
	uint32_t at[3];
	size_t n;

	(void)state;
	fleet_init(&f, 3, vm_mb, 3, host_mb);
	place(&f, now);
	moves = order(&f, target, &n, at);
	assert_int_equal(n, 3);
	assert_int_equal(moves[0].vm, 1);
	assert_int_equal(moves[1].vm, 0);
	assert_int_equal(moves[2].vm, 2);
	assert_int_equal(moves[2].from, MB_NOWHERE);
	for (size_t i = 0; i < n; i++)
		assert_true(moves[i].feasible && !moves[i].detour);
	free(moves);
}

static void test_cycle_through_a_third_host(void **state)
{
	const uint64_t vm_mb[] = { 2, 3 }, host_mb[] = { 3, 3, 2 };
	const uint32_t now[] = { 0, 1 }, target[] = { 1, 0 };
	struct mb_move *moves;
	struct fleet f;
	uint32_t at[2];
	size_t n;

	(void)state;
	fleet_init(&f, 2, vm_mb, 3, host_mb);
	place(&f, now);
	moves = order(&f, target, &n, at);
	assert_int_equal(n, 3);
	/* The one that fits there. */
	assert_int_equal(moves[0].vm, 0);
	assert_int_equal(moves[0].to, 2);
	assert_true(moves[0].detour);
	assert_int_equal(moves[1].vm, 1);
	assert_int_equal(moves[2].vm, 0);
	assert_true(!moves[1].detour && !moves[2].detour);
	assert_memory_equal(at, target, sizeof(at));
	free(moves);
}

static void test_one_that_stays_steps_aside(void **state)
{
	/* v0 and v1 trade places and fit nowhere else; v2 beside v0 makes way and comes back. */
	const uint64_t vm_mb[] = { 6, 5, 4 }, host_mb[] = { 11, 6, 4 };
	const uint32_t now[] = { 0, 1, 0 }, target[] = { 1, 0, 0 };
	struct mb_move *moves;
	struct fleet f;
	uint32_t at[3];
	size_t n;

	(void)state;
	fleet_init(&f, 3, vm_mb, 3, host_mb);
	place(&f, now);
	moves = order(&f, target, &n, at);
	assert_int_equal(n, 4);
	assert_int_equal(moves[0].vm, 2);
	assert_true(moves[0].detour);
	assert_int_equal(moves[3].vm, 2);
	assert_memory_equal(at, target, sizeof(at));
	free(moves);
}

static void test_impossible_moves_are_told(void **state)
{
	const uint64_t vm_mb[] = { 3, 3, 1 }, host_mb[] = { 3, 4, 2 };
	/* A full swap without a third host; v2 can go all the same. */
	const uint32_t now[] = { 0, 1, 1 }, target[] = { 1, 0, 2 };
	struct mb_move *moves;
	struct fleet f;
	uint32_t at[3];
	size_t n;

	(void)state;
	fleet_init(&f, 3, vm_mb, 3, host_mb);
	place(&f, now);
	moves = order(&f, target, &n, at);
	assert_int_equal(n, 3);
	assert_int_equal(moves[0].vm, 2);
	assert_true(moves[0].feasible);
	assert_false(moves[1].feasible || moves[2].feasible);
	assert_false(moves[1].detour || moves[2].detour);
	free(moves);
}

static void test_only_one_order_works(void **state)
{
	/*
	 * v0 fits on h1 at once, but then v1 does not, so that v2 cannot leave h1: v1 has to go
	 * first. The same with v3, v4, v5 on h4, where the larger one has to go first.
	 */
	const uint64_t vm_mb[] = { 4, 2, 6, 2, 4, 6 }, host_mb[] = { 4, 10, 6, 2, 10, 6 };
	const uint32_t now[] = { 0, 2, 1, 3, 5, 4 }, target[] = { 1, 1, 2, 4, 4, 5 };
	struct mb_move *moves;
	struct fleet f;
	uint32_t at[6];
	size_t n;

	(void)state;
	fleet_init(&f, 6, vm_mb, 6, host_mb);
	place(&f, now);
	moves = order(&f, target, &n, at);
	assert_int_equal(n, 6);
	for (size_t i = 0; i < n; i++)
		assert_true(moves[i].feasible && !moves[i].detour);
	assert_memory_equal(at, target, sizeof(at));
	free(moves);
}

/* Hosts that hold what is there and what comes, and `slack` more: only the order is in question. */
static void make_room(struct fleet *f, const uint32_t *target, uint64_t slack)
{
	for (uint32_t h = 0; h < f->view.n_hosts; h++) {
		uint64_t now = 0, then = 0;

		for (uint32_t v = 0; v < f->view.n_vms; v++) {
			uint32_t to = target[v] == MB_NOWHERE ? f->vms[v].host : target[v];

			now += f->vms[v].host == h ? f->vms[v].memory_mb : 0;
			then += to == h ? f->vms[v].memory_mb : 0;
		}
		f->hosts[h].memory_mb = (now > then ? now : then) + slack;
	}
}

static void test_random_fleets(void **state)
{
	unsigned int detours = 0, infeasible = 0, roomy = 0, whole = 0;
	struct rng r = { 5 };

	(void)state;
	for (unsigned int i = 0; i < 3000; i++) {
		uint32_t target[FLEET_VMS_MAX], at[FLEET_VMS_MAX];
		uint32_t n_vms = 1 + (uint32_t)rng_below(&r, i % 10 ? 12 : 40);
		struct mb_move *moves;
		bool all = true;
		struct fleet f;
		size_t n;

		fleet_random(&r, &f, n_vms, 1 + (uint32_t)rng_below(&r, 8), i & 1);
		for (uint32_t v = 0; v < n_vms; v++) {
			target[v] = (uint32_t)rng_below(&r, f.view.n_hosts);
			f.vms[v].host = (uint32_t)rng_below(&r, f.view.n_hosts + 1);
			if (f.vms[v].host == f.view.n_hosts)
				f.vms[v].host = MB_NOWHERE;
			if (rng_below(&r, 10) == 0)
				target[v] = MB_NOWHERE;
		}
		if (i % 3) {
			make_room(&f, target, i % 3 == 1 ? 0 : 512);
			roomy++;
		}
		moves = order(&f, target, &n, at);
		for (size_t k = 0; k < n; k++) {
			detours += moves[k].detour;
			infeasible += !moves[k].feasible;
			all &= moves[k].feasible;
		}
		/* Who got no infeasible move is where it shall be. */
		for (size_t k = 0; k < n; k++)
			if (!moves[k].feasible)
				at[moves[k].vm] = moves[k].to;
		for (uint32_t v = 0; v < n_vms; v++)
			assert_int_equal(at[v],
					 target[v] == MB_NOWHERE ? f.vms[v].host : target[v]);
		whole += i % 3 && all;
		free(moves);
		fleet_deinit(&f);
	}
	print_message("%u of %u orders complete, %u detours, %u infeasible\n", whole, roomy,
		      detours, infeasible);
	assert_true(detours > 30 && infeasible > 1000 && whole * 100 > roomy * 95);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_who_leaves_goes_first),
		cmocka_unit_test(test_cycle_through_a_third_host),
		cmocka_unit_test(test_one_that_stays_steps_aside),
		cmocka_unit_test(test_impossible_moves_are_told),
		cmocka_unit_test(test_only_one_order_works),
		cmocka_unit_test(test_random_fleets),
	};

	return cmocka_run_group_tests_name("plan_moves", tests, NULL, NULL);
}
