// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/executions.h"

#include "tests/unit/util_execution.h"
#include "tests/unit/util_server.h"

static struct mb_store *store;

static int set_up(void **state)
{
	static int n;
	struct mb_err err = { 0 };
	char name[32], path[128];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	assert_ok(mb_store_open(path, &store, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_store_close(store);
	return 0;
}

static void make_case(struct plan_case *c)
{
	case_init(c, 1, (const uint64_t[]){ 4 }, (const uint32_t[]){ 0 }, 2,
		  (const uint64_t[]){ 4, 4 });
	case_move(c, 0, 1);
}

static json_t *report(void)
{
	return json_pack("{s:s, s:s}", "planner", "best", "question", "drain");
}

static const char *word(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "none";
}

static void test_kept_as_answered(void **state)
{
	struct mb_executions_keeper keeper = { .store = store };
	json_t *answer = report(), *kept = NULL, *list = NULL, *o;
	struct mb_err err = { 0 };
	struct plan_case c;

	(void)state;
	make_case(&c);
	assert_ok(mb_apply_dry(&c.fleet.view, &c.plan_options, &c.plan, 5000, answer,
			       mb_executions_keep, &keeper, &err),
		  &err);
	assert_ok(mb_executions_get(store, 1, &kept, &err), &err);
	assert_true(json_equal(answer, kept));
	assert_ok(mb_executions_list(store, 9, &list, &err), &err);
	assert_int_equal(json_array_size(json_object_get(list, "executions")), 1);
	o = json_array_get(json_object_get(list, "executions"), 0);
	assert_string_equal(word(o, "question"), "drain");
	assert_string_equal(word(o, "planner"), "best");
	assert_string_equal(word(o, "mover"), "dry");
	assert_string_equal(word(o, "state"), "done");
	assert_int_equal(json_integer_value(json_object_get(o, "done")), 1);
	assert_int_equal(json_integer_value(json_object_get(o, "ended_unix_ms")), 15000);
	json_decref(answer);
	json_decref(kept);
	json_decref(list);
	kept = NULL;
	assert_fails(mb_executions_get(store, 2, &kept, &err), ENOENT, &err, "no execution 2");
	assert_null(kept);
}

/* As a server leaves it that dies at once. */
static void leave_behind(const char *damage)
{
	struct mb_execution x;
	struct plan_case c;
	struct mb_err err = { 0 };
	json_t *json;
	struct mb_execution_record rec = { .created_unix_ms = 1000,
					   .mover = "dry",
					   .question = "plan",
					   .planner = "best",
					   .state = "running",
					   .moves = 1,
					   .plan = "{}" };

	make_case(&c);
	case_create(&c, NULL, &x);
	assert_int_equal(mb_execution_step(&x, 1000).kind, MB_ORDER_LOCATE);
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 1000);
	assert_int_equal(mb_execution_step(&x, 1000).kind, MB_ORDER_BEGIN);
	json = mb_execution_to_json(&x);
	json_object_set_new(json, "mover", json_string("dry"));
	rec.execution = damage ? damage : json_dumps(json, 0);
	assert_ok(mb_store_put_execution(store, &rec, &err), &err);
	json_decref(json);
	if (!damage)
		free((void *)(uintptr_t)rec.execution);
	mb_execution_deinit(&x);
}

static void test_resume(void **state)
{
	json_t *kept = NULL, *x, *move;
	struct mb_err err = { 0 };

	(void)state;
	leave_behind(NULL);
	leave_behind("{\"moves\":7}");
	assert_ok(mb_executions_resume(store, NULL, 60000, &err), &err);
	assert_ok(mb_executions_get(store, 1, &kept, &err), &err);
	x = json_object_get(kept, "execution");
	move = json_array_get(json_object_get(x, "moves"), 0);
	assert_string_equal(word(x, "state"), "done");
	assert_string_equal(word(x, "mover"), "dry");
	assert_string_equal(word(move, "state"), "done");
	/* Begun by the server before, and not again. */
	assert_int_equal(json_integer_value(json_object_get(move, "begun_unix_ms")), 1000);
	assert_int_equal(json_integer_value(json_object_get(move, "tries")), 1);
	json_decref(kept);
	kept = NULL;
	assert_ok(mb_executions_list(store, 9, &kept, &err), &err);
	assert_string_equal(word(json_array_get(json_object_get(kept, "executions"), 0), "state"),
			    "unreadable");
	json_decref(kept);
	/* Nothing is left to be done. */
	assert_ok(mb_executions_resume(store, NULL, 70000, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_as_answered, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_resume, set_up, tear_down),
	};

	return cmocka_run_group_tests_name("executions", tests, NULL, NULL);
}
