// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/apply.h"

#include "tests/unit/util_execution.h"

struct kept {
	char states[4][20];
	unsigned int n;
	int result;
};

static int keep(void *ctx, const struct mb_execution *x, const json_t *report, json_t *json,
		struct mb_err *err)
{
	struct kept *k = ctx;

	assert_string_equal(json_string_value(json_object_get(report, "planner")), "best");
	assert_string_equal(json_string_value(json_object_get(json, "mover")), "dry");
	assert_true(k->n < 4);
	snprintf(k->states[k->n++], sizeof(k->states[0]), "%s",
		 mb_execution_state_name(mb_execution_state(x)));
	json_object_set_new(json, "id", json_integer(7));
	return k->result ? mb_fail(err, -k->result, "not kept") : 0;
}

static void set_up(struct plan_case *c)
{
	case_init(c, 3, (const uint64_t[]){ 4, 4, 4 }, (const uint32_t[]){ 0, 1, 2 }, 4,
		  (const uint64_t[]){ 4, 4, 8, 4 });
	case_move(c, 1, 3);
	case_move(c, 0, 1);
	case_move(c, 2, 0);
	c->moves[2].feasible = false;
}

static void test_dry(void **state)
{
	json_t *report = json_pack("{s:s}", "planner", "best"), *x, *moves;
	struct kept k = { 0 };
	struct mb_err err = { 0 };
	struct plan_case c;

	(void)state;
	set_up(&c);
	assert_ok(
		mb_apply_dry(&c.fleet.view, &c.plan_options, &c.plan, 5000, report, keep, &k, &err),
		&err);
	/* First that it begins, then how it ended. */
	assert_int_equal(k.n, 2);
	assert_string_equal(k.states[0], "running");
	assert_string_equal(k.states[1], "incomplete");
	x = json_object_get(report, "execution");
	assert_int_equal(json_integer_value(json_object_get(x, "id")), 7);
	assert_int_equal(json_integer_value(json_object_get(x, "created_unix_ms")), 5000);
	assert_int_equal(json_integer_value(json_object_get(x, "ended_unix_ms")), 25000);
	moves = json_object_get(x, "moves");
	assert_int_equal(json_array_size(moves), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(moves, 1), "state")),
			    "done");
	assert_string_equal(json_string_value(json_object_get(json_array_get(moves, 2), "state")),
			    "skipped");
	json_decref(report);
}

static void test_what_cannot_be_kept_is_not_done(void **state)
{
	json_t *report = json_pack("{s:s}", "planner", "best");
	struct kept k = { .result = -ENOSPC };
	struct mb_err err = { 0 };
	struct plan_case c;

	(void)state;
	set_up(&c);
	assert_fails(
		mb_apply_dry(&c.fleet.view, &c.plan_options, &c.plan, 5000, report, keep, &k, &err),
		ENOSPC, &err, "not kept");
	assert_int_equal(k.n, 1);
	assert_null(json_object_get(report, "execution"));
	json_decref(report);
}

/* Days of migrations are told at once. */
static void test_long_moves(void **state)
{
	json_t *report = json_object();
	struct mb_err err = { 0 };
	struct plan_case c;

	(void)state;
	set_up(&c);
	c.moves[0].time_s = 40 * 86400;
	assert_ok(mb_apply_dry(&c.fleet.view, &c.plan_options, &c.plan, 5000, report, NULL, NULL,
			       &err),
		  &err);
	assert_int_equal(json_integer_value(json_object_get(json_object_get(report, "execution"),
							    "ended_unix_ms")),
			 5000 + 40 * (int64_t)86400000 + 10000);
	json_decref(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dry),
		cmocka_unit_test(test_what_cannot_be_kept_is_not_done),
		cmocka_unit_test(test_long_moves),
	};

	return cmocka_run_group_tests_name("apply", tests, NULL, NULL);
}
