// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/execution.h"

#include "tests/unit/util_execution.h"

static void set_up(struct plan_case *c, struct mb_execution *x)
{
	case_init(c, 2, (const uint64_t[]){ 4, 3 }, (const uint32_t[]){ 0, MB_NOWHERE }, 3,
		  (const uint64_t[]){ 4, 4, 4 });
	case_move(c, 0, 1);
	case_move(c, 1, 0);
	case_create(c, NULL, x);
}

static char *dump(const struct mb_execution *x)
{
	json_t *json = mb_execution_to_json(x);
	char *text;

	assert_non_null(json);
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	assert_non_null(text);
	return text;
}

static void reload(struct mb_execution *x)
{
	json_t *json = mb_execution_to_json(x);
	struct mb_err err = { 0 };

	mb_execution_deinit(x);
	assert_ok(mb_execution_from_json(x, json, &err), &err);
	json_decref(json);
}

/* Written, read and written again, at any time of its life, it says the same. */
static void test_round_trip(void **state)
{
	struct rng r = { 3 };

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		struct mb_execution x;
		struct plan_case c;
		struct fake f;
		struct mb_err err = { 0 };
		uint64_t now = 1000;

		case_random(&c, &r);
		case_create(&c, NULL, &x);
		fake_init(&f, &c.fleet, i);
		f.trouble_percent = 60;
		while (!mb_execution_has_ended(&x)) {
			struct mb_order o = mb_execution_step(&x, now);
			struct mb_migration g;
			const char *host = NULL;
			enum mb_located where;
			char *before = dump(&x), *after;

			reload(&x);
			after = dump(&x);
			assert_string_equal(before, after);
			free(before);
			free(after);
			if (o.kind == MB_ORDER_NONE) {
				now = o.wake_ms == UINT64_MAX ? now + 1000 : o.wake_ms;
				continue;
			}
			/* The order is forgotten, as in a crash; it is asked again. */
			o = mb_execution_step(&x, now);
			if (o.kind == MB_ORDER_NONE)
				continue;
			mb_execution_migration(&x, o.move, &g);
			if (o.kind != MB_ORDER_LOCATE) {
				mb_execution_polled(&x, o.move, MB_POLLED_DONE,
						    &(struct mb_copied){ 0 }, "", now);
				continue;
			}
			where = f.mover.ops->locate(&f.mover, &g, now, &host, &err);
			mb_execution_located(&x, o.move, where, host, err.text, now);
			/* What was begun arrives. */
			if (!mb_execution_has_ended(&x) && g.begun_ms)
				f.vms[c.moves[o.move].vm].host = c.moves[o.move].to;
		}
		mb_execution_deinit(&x);
	}
}

static void test_shape(void **state)
{
	struct mb_execution x;
	struct plan_case c;
	char *text;

	(void)state;
	set_up(&c, &x);
	text = dump(&x);
	assert_non_null(strstr(text, "\"state\":\"running\""));
	assert_non_null(
		strstr(text, "\"vm\":\"v0\",\"from\":\"h0\",\"to\":\"h1\",\"state\":\"waiting\""));
	assert_non_null(strstr(text, "\"vm\":\"v1\",\"from\":null"));
	assert_non_null(strstr(text, "\"created_unix_ms\":1000,\"cancelled_unix_ms\":null"));
	free(text);
	mb_execution_deinit(&x);
}

/* What was about to begin is looked at again: much may have happened since. */
static void test_a_begin_after_a_restart(void **state)
{
	struct mb_execution x;
	struct plan_case c;
	struct mb_order o;

	(void)state;
	set_up(&c, &x);
	o = mb_execution_step(&x, 1000);
	assert_int_equal(o.kind, MB_ORDER_LOCATE);
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 1000);
	reload(&x);
	assert_int_equal(mb_execution_step(&x, 1000).kind, MB_ORDER_LOCATE);
	mb_execution_located(&x, 0, MB_LOCATED_HOST, "h0", "", 1000);
	assert_int_equal(mb_execution_step(&x, 1000).kind, MB_ORDER_BEGIN);
	/* But one that was begun, as far as anybody knows, is never begun again. */
	reload(&x);
	assert_int_equal(mb_execution_step(&x, 2000).kind, MB_ORDER_POLL);
	mb_execution_deinit(&x);
}

/* Something of it is replaced: `value` is JSON, NULL takes the key away. */
static void refuse(const char *list, size_t at, const char *key, const char *value,
		   const char *word)
{
	struct mb_execution x, y;
	struct mb_err err = { 0 };
	struct plan_case c;
	json_t *json, *of;

	set_up(&c, &x);
	json = mb_execution_to_json(&x);
	mb_execution_deinit(&x);
	of = !list			  ? json :
	     strcmp(list, "options") == 0 ? json_object_get(json, list) :
					    json_array_get(json_object_get(json, list), at);
	assert_non_null(of);
	if (value)
		json_object_set_new(of, key, json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(of, key);
	assert_fails(mb_execution_from_json(&y, json, &err), EINVAL, &err, word);
	assert_null(y.moves);
	assert_null(y.hosts);
	json_decref(json);
}

static void test_what_cannot_be(void **state)
{
	struct mb_execution x;
	struct mb_err err = { 0 };
	json_t *many = json_array(), *json;

	(void)state;
	refuse(NULL, 0, "moves", NULL, "\"moves\"");
	refuse(NULL, 0, "hosts", "{}", "\"hosts\"");
	refuse(NULL, 0, "created_unix_ms", "\"now\"", "created_unix_ms");
	refuse(NULL, 0, "options", "[]", "options: ");
	refuse("options", 0, "tries_max", "0", "options: per_host_max, tries_max");
	refuse("options", 0, "poll_ms", "-1", "poll_ms");
	refuse("options", 0, "per_host_max", "4294967296", "per_host_max");
	refuse("hosts", 1, "name", "\"h0\"", "hosts[1]: \"name\"");
	refuse("hosts", 1, "name", "\"h 1\"", "hosts[1]");
	refuse("hosts", 2, "limit_mb", "1.5", "hosts[2]: \"limit_mb\"");
	refuse("hosts", 2, "base_mb", "9223372036854775807", "hosts[2]: \"base_mb\"");
	refuse("hosts", 0, "in_order", "1", "in_order");
	refuse("moves", 1, "to", "\"h9\"", "moves[1]: \"to\"");
	refuse("moves", 1, "to", "null", "moves[1]: \"to\"");
	refuse("moves", 0, "to", "\"h0\"", "moves[0]: \"to\"");
	refuse("moves", 0, "from", NULL, "moves[0]: \"from\"");
	refuse("moves", 0, "vm", "7", "moves[0]: \"vm\"");
	refuse("moves", 0, "vm", "\"\\u00e4\"", "moves[0]");
	refuse("moves", 0, "state", "\"lost in space\"", "moves[0]: \"state\"");
	refuse("moves", 0, "state", "\"done\"", "moves[0]: \"state\"");
	refuse("moves", 0, "state", "\"running\"", "moves[0]: \"next\"");
	refuse("moves", 0, "next", "\"poll\"", "moves[0]: \"next\"");
	refuse("moves", 0, "ended_unix_ms", "5", "moves[0]: \"state\"");
	refuse("moves", 0, "holds_to", "true", "moves[0]: \"holds_to\"");
	refuse("moves", 0, "reason", "null", "moves[0]: \"reason\"");
	refuse("moves", 0, "memory_mb", "-4", "moves[0]: \"memory_mb\"");
	refuse("moves", 0, "found", "\"h7\"", "moves[0]: \"found\"");
	assert_fails(mb_execution_from_json(&x, NULL, &err), EINVAL, &err, "hosts");
	/* The count is looked at before anything is allocated for it. */
	for (size_t i = 0; i <= MB_EXECUTION_MOVES_MAX; i++)
		json_array_append_new(many, json_null());
	json = json_pack("{s:[], s:o}", "hosts", "moves", many);
	assert_fails(mb_execution_from_json(&x, json, &err), EINVAL, &err, "\"moves\"");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_shape),
		cmocka_unit_test(test_a_begin_after_a_restart),
		cmocka_unit_test(test_what_cannot_be),
	};

	return cmocka_run_group_tests_name("execution_json", tests, NULL, NULL);
}
