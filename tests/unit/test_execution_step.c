// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/execution.h"

#include "tests/unit/util_execution.h"

static void test_all_goes_well(void **state)
{
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	case_chain(&c);
	case_play(&c, NULL, NULL, &f, &x);
	case_expect(&x, "done done done done");
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_DONE);
	/* One waits for the other; the fourth begins at once. */
	assert_true(x.moves[1].begun_ms >= x.moves[0].ended_ms);
	assert_true(x.moves[2].begun_ms >= x.moves[1].ended_ms);
	assert_int_equal(x.moves[3].begun_ms, 1000);
	assert_int_equal(x.moves[0].ended_ms, 11000);
	assert_int_equal(x.ended_ms, x.moves[2].ended_ms);
	assert_int_equal(f.n_begun, 4);
	mb_execution_deinit(&x);
}

static void test_nothing_to_do(void **state)
{
	struct mb_execution x;
	struct plan_case c;

	(void)state;
	case_chain(&c);
	c.plan.n_moves = 0;
	case_create(&c, NULL, &x);
	assert_true(mb_execution_has_ended(&x));
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_DONE);
	assert_int_equal(mb_execution_step(&x, 1000).kind, MB_ORDER_NONE);
	mb_execution_deinit(&x);
}

static void test_a_failure_takes_along_what_counts_on_it(void **state)
{
	/* All three tries of the first; the fourth move begins beside the first try. */
	static const enum fake_fate script[] = { FATE_FAILS, FATE_ARRIVES, FATE_REFUSED, FATE_FAILS,
						 FATES };
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	case_chain(&c);
	case_play(&c, NULL, script, &f, &x);
	case_expect(&x, "failed skipped skipped done");
	assert_int_equal(mb_execution_state(&x), MB_EXECUTION_INCOMPLETE);
	assert_int_equal(x.moves[0].tries, 3);
	assert_non_null(strstr(x.moves[0].reason, "unexpectedly failed"));
	assert_non_null(strstr(x.moves[1].reason, "move 1, VM v1, which is failed"));
	assert_non_null(strstr(x.moves[2].reason, "move 2, VM v0, which is skipped"));
	assert_int_equal(f.vms[1].host, 1);
	assert_int_equal(f.vms[0].attempts, 0);
	mb_execution_deinit(&x);
}

static void test_back_off(void **state)
{
	static const enum fake_fate script[] = { FATE_REFUSED, FATE_ARRIVES, FATE_REFUSED,
						 FATE_ARRIVES, FATES };
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	case_chain(&c);
	case_play(&c, NULL, script, &f, &x);
	case_expect(&x, "done done done done");
	assert_int_equal(x.moves[0].tries, 3);
	/* 5 s, then 10 s. */
	assert_int_equal(x.moves[0].begun_ms, 1000 + 5000 + 10000);
	assert_string_equal(x.moves[0].reason, "");
	mb_execution_deinit(&x);
}

static void test_a_host_in_trouble(void **state)
{
	static const enum fake_fate script[] = { FATE_REFUSED, FATE_REFUSED, FATES };
	struct mb_execution_options o = mb_execution_options_default;
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	o.tries_max = 1;
	o.trouble_max = 2;
	case_init(&c, 4, (const uint64_t[]){ 1, 1, 1, 1 }, (const uint32_t[]){ 0, 0, 0, 0 }, 3,
		  (const uint64_t[]){ 4, 4, 4 });
	case_move(&c, 0, 1);
	case_move(&c, 1, 1);
	case_move(&c, 2, 1);
	case_move(&c, 3, 2);
	case_play(&c, &o, script, &f, &x);
	case_expect(&x, "failed failed skipped done");
	assert_non_null(strstr(x.moves[2].reason, "host h1 is in trouble"));
	mb_execution_deinit(&x);
}

static void test_bounded_concurrency(void **state)
{
	struct mb_execution_options o = mb_execution_options_default;
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	case_init(&c, 4, (const uint64_t[]){ 1, 1, 1, 1 }, (const uint32_t[]){ 0, 0, 0, 0 }, 5,
		  (const uint64_t[]){ 4, 4, 4, 4, 4 });
	for (uint32_t v = 0; v < 4; v++)
		case_move(&c, v, v + 1);
	case_play(&c, NULL, NULL, &f, &x);
	assert_int_equal(x.ended_ms, 1000 + 40000);
	mb_execution_deinit(&x);
	o.per_host_max = 2;
	case_create(&c, &o, &x);
	fake_init(&f, &c.fleet, 1);
	f.per_host_max = 2;
	case_run(&x, &f, &(uint64_t){ 1000 });
	assert_int_equal(x.ended_ms, 1000 + 20000);
	mb_execution_deinit(&x);
	o.per_host_max = 4;
	o.total_max = 3;
	case_create(&c, &o, &x);
	fake_init(&f, &c.fleet, 1);
	f.per_host_max = 3;
	case_run(&x, &f, &(uint64_t){ 1000 });
	assert_int_equal(x.ended_ms, 1000 + 20000);
	mb_execution_deinit(&x);
}

/* A plan that counts sharing as room: in its order, and each when the one before has merged. */
static void test_sharing_as_room(void **state)
{
	struct mb_execution x;
	struct plan_case c;
	struct fake f;

	(void)state;
	case_init(&c, 3, (const uint64_t[]){ 40, 40, 40 }, (const uint32_t[]){ 0, 1, 2 }, 4,
		  (const uint64_t[]){ 100, 100, 100, 100 });
	c.plan_options.count_sharing_percent = 100;
	case_move(&c, 0, 3);
	case_move(&c, 1, 3);
	case_move(&c, 2, 3);
	case_create(&c, NULL, &x);
	assert_true(x.hosts[3].in_order && !x.hosts[0].in_order);
	assert_int_equal(x.hosts[3].limit_mb, 120);
	fake_init(&f, &c.fleet, 1);
	f.capacity_mb[3] = 120;
	case_run(&x, &f, &(uint64_t){ 1000 });
	case_expect(&x, "done done done");
	/* 40 MB at 20 MB/s. */
	assert_int_equal(x.moves[1].begun_ms, x.moves[0].ended_ms + 2000);
	assert_int_equal(x.moves[2].begun_ms, x.moves[1].ended_ms + 2000);
	mb_execution_deinit(&x);
}

/* By hand a VM came where others are to go: they see no room, and say so. */
static void test_room_taken_by_others(void **state)
{
	static const enum fake_fate script[] = { FATE_STOLEN, FATES };
	bool seen = false;

	(void)state;
	for (uint64_t seed = 1; seed < 50 && !seen; seed++) {
		struct mb_execution x;
		struct plan_case c;
		struct fake f;

		case_init(&c, 2, (const uint64_t[]){ 4, 4 }, (const uint32_t[]){ 0, 0 }, 3,
			  (const uint64_t[]){ 8, 4, 4 });
		case_move(&c, 0, 1);
		case_move(&c, 1, 2);
		case_create(&c, NULL, &x);
		fake_init(&f, &c.fleet, seed);
		f.script = script;
		case_run(&x, &f, &(uint64_t){ 1000 });
		if (f.vms[0].host == 2) {
			case_expect(&x, "failed skipped");
			assert_non_null(strstr(x.moves[1].reason, "no room any more: 4 of 4 MB"));
			/* Not even looked at: its room would be taken from those that have some. */
			assert_false(f.vms[1].fated);
			seen = true;
		}
		mb_execution_deinit(&x);
	}
	assert_true(seen);
}

/* v0, v1 and v2 belong together on h0, and go to h1 one by one; v3 has to do with none of them. */
static void play_group(const enum fake_fate *script, bool together, struct fake *f,
		       struct mb_execution *x)
{
	static const uint32_t all[] = { 0, 1, 2 };
	const struct mb_plan_rule rule = { MB_RULE_TOGETHER, "group", all, 3 };
	struct mb_execution_options o = mb_execution_options_default;
	struct plan_case c;

	o.trouble_max = 9;
	case_init(&c, 4, (const uint64_t[]){ 1, 1, 1, 1 },
		  (const uint32_t[]){ 0, 0, together ? 0 : 2, 3 }, 5,
		  (const uint64_t[]){ 9, 9, 9, 9, 9 });
	c.fleet.view.rules = &rule;
	c.fleet.view.n_rules = 1;
	case_move(&c, 0, 1);
	case_move(&c, 1, 1);
	case_move(&c, 2, 1);
	case_move(&c, 3, 4);
	case_play(&c, &o, script, f, x);
	c.fleet.view.n_rules = 0;
	fleet_deinit(&c.fleet);
}

static void test_a_group_stays_together(void **state)
{
	/* v0 begins, then v3 beside it. */
	static const enum fake_fate first[] = { FATE_NEVER, FATE_ARRIVES, FATES };
	static const enum fake_fate second[] = { FATE_ARRIVES, FATE_ARRIVES, FATE_NEVER, FATES };
	struct mb_execution x, copy;
	struct mb_err err = { 0 };
	struct fake f;
	json_t *json;

	(void)state;
	play_group(NULL, true, &f, &x);
	assert_true(x.moves[0].group && x.moves[0].group == x.moves[2].group && !x.moves[3].group);
	mb_execution_deinit(&x);
	play_group(first, true, &f, &x);
	case_expect(&x, "failed skipped skipped done");
	assert_non_null(strstr(x.moves[1].reason, "another VM that it must be with stays on host "
						  "h0"));
	assert_int_equal(f.vms[1].host, 0);
	/* It is written down. */
	json = mb_execution_to_json(&x);
	assert_ok(mb_execution_from_json(&copy, json, &err), &err);
	assert_int_equal(copy.moves[2].group, x.moves[2].group);
	mb_execution_deinit(&copy);
	/* And may be missing. */
	json_object_del(json_array_get(json_object_get(json, "moves"), 2), "group");
	assert_ok(mb_execution_from_json(&copy, json, &err), &err);
	assert_int_equal(copy.moves[2].group, 0);
	mb_execution_deinit(&copy);
	json_decref(json);
	mb_execution_deinit(&x);
	/* Once one has gone the others follow as they can: the next plan brings together the rest.
	 */
	play_group(second, true, &f, &x);
	case_expect(&x, "done failed done done");
	mb_execution_deinit(&x);
	/* It was apart before. */
	play_group(first, false, &f, &x);
	case_expect(&x, "failed done done done");
	assert_int_equal(x.moves[0].group, 0);
	mb_execution_deinit(&x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_goes_well),
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_a_failure_takes_along_what_counts_on_it),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_a_host_in_trouble),
		cmocka_unit_test(test_bounded_concurrency),
		cmocka_unit_test(test_sharing_as_room),
		cmocka_unit_test(test_room_taken_by_others),
		cmocka_unit_test(test_a_group_stays_together),
	};

	return cmocka_run_group_tests_name("execution_step", tests, NULL, NULL);
}
