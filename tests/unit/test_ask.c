// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ask.h"

#include "server/report.h"
#include "tests/unit/util_test.h"

/*
 * a and b share 8192 pages (32 MB), c and d 5120 (20 MB); they run the other way round, one host is
 * in the pool. c lasts, a does not.
 */
#define FLEET                                                                                      \
	"{\"hosts\": [{\"name\": \"h0\", \"memory_mb\": 310, \"free_mb\": 10},"                    \
	"{\"name\": \"h1\", \"memory_mb\": 310},"                                                  \
	"{\"name\": \"p\", \"memory_mb\": 310, \"state\": \"pool\"}],"                             \
	"\"vms\": [" VM("a", "h0") "," VM("b", "h1") "," VM("c", "h0") "," VM("d", "h1") "]"
#define VM(name, host) "{\"name\": \"" name "\", \"memory_mb\": 100, \"host\": \"" host "\"}"

struct scene {
	struct mb_fleet_file file;
	struct mb_live_fleet fleet;
	struct mb_ask ask;
};

static struct mb_group all[] = { { 8192, 0, 2 }, { 5120, 2, 2 } };
static struct mb_group lasts[] = { { 5120, 2, 2 } };
static uint32_t sets[] = { 0, 1, 2, 3 };
static const struct mb_groups groups = { all, 2, sets, 4 };
static const struct mb_groups durable = { lasts, 1, sets, 4 };

/* "vm\0a\0planner\0seed\0": an empty name ends it. */
static const char *on_query(void *ctx, const char *name)
{
	for (const char *p = ctx; p && *p;) {
		const char *value = p + strlen(p) + 1;

		if (strcmp(p, name) == 0)
			return value;
		p = value + strlen(value) + 1;
	}
	return NULL;
}

static void scene_open(struct scene *s, const char *more)
{
	static const char *const names[] = { "a", "b", "c", "d" };
	struct mb_seen_vm seen[4];
	struct mb_err err = { 0 };
	char text[2000];

	snprintf(text, sizeof(text), "%s%s}", FLEET, more);
	assert_ok(mb_fleet_file_parse(text, strlen(text), "", &s->file, &err), &err);
	for (int i = 0; i < 4; i++)
		seen[i] = (struct mb_seen_vm){ .name = names[i],
					       .host = "",
					       .domain = "d",
					       .memory_mb = 100,
					       .pages = 25600,
					       .distinct = 20000,
					       .zero_pages = 1000,
					       .settled_s = UINT64_MAX,
					       .moved_from = "" };
	assert_ok(mb_live_fleet_join(&s->fleet, seen, 4, &groups, &s->file, &err), &err);
	s->ask = (struct mb_ask){ .fleet = &s->fleet,
				  .options = &s->file.options,
				  .query = on_query };
}

static void scene_close(struct scene *s)
{
	mb_live_fleet_deinit(&s->fleet);
	mb_fleet_file_deinit(&s->file);
}

/* A scene of its own: options and forgotten hosts must not outlive a question. */
static json_t *ask_with(const char *more, const struct mb_groups *d, const char *question,
			const char *query)
{
	struct mb_err err = { 0 };
	struct scene s;
	json_t *j;

	scene_open(&s, more);
	s.ask.durable = d;
	s.ask.ctx = (void *)(uintptr_t)query;
	assert_ok(mb_ask(&s.ask, question, &j, &err), &err);
	assert_string_equal(json_string_value(json_object_get(j, "question")), question);
	scene_close(&s);
	return j;
}

static json_t *ask(const char *question, const char *query)
{
	return ask_with("", NULL, question, query);
}

static void refused(const char *more, const char *question, const char *query, int code,
		    const char *words)
{
	struct mb_err err = { 0 };
	struct scene s;
	json_t *j;

	scene_open(&s, more);
	s.ask.ctx = (void *)(uintptr_t)query;
	assert_fails(mb_ask(&s.ask, question, &j, &err), code, &err, words);
	assert_null(j);
	scene_close(&s);
}

static const char *placed(json_t *j, const char *vm)
{
	return json_string_value(json_object_get(json_object_get(j, "placement"), vm));
}

static void test_says_whose_sharing_is_unknown(void **state)
{
	struct mb_err err = { 0 };
	struct scene s;
	json_t *j;

	(void)state;
	scene_open(&s, "");
	assert_ok(mb_ask(&s.ask, "plan", &j, &err), &err);
	assert_null(json_object_get(j, "vms_of_unknown_sharing"));
	json_decref(j);
	s.fleet.n_no_groups = 2;
	assert_ok(mb_ask(&s.ask, "plan", &j, &err), &err);
	assert_int_equal(json_integer_value(json_object_get(j, "vms_of_unknown_sharing")), 2);
	json_decref(j);
	scene_close(&s);
}

static void test_plan_and_its_options(void **state)
{
	json_t *j = ask("plan", NULL);

	(void)state;
	assert_string_equal(placed(j, "a"), placed(j, "b"));
	assert_string_equal(placed(j, "c"), placed(j, "d"));
	assert_string_not_equal(placed(j, "a"), placed(j, "c"));
	json_decref(j);
	/* What the file says, and the question's word against it. */
	j = ask_with(", \"options\": {\"min_gain_mb\": 100}", NULL, "plan", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "moves")), 0);
	json_decref(j);
	j = ask_with(", \"options\": {\"min_gain_mb\": 100}", NULL, "plan", "min_gain_mb\0001\0");
	assert_true(json_array_size(json_object_get(j, "moves")) > 0);
	json_decref(j);
	j = ask("plan", "planner\0seed\0strict\0001\0overcommit\00050\0");
	assert_string_equal(json_string_value(json_object_get(j, "planner")), "seed");
	assert_true(json_is_true(json_object_get(j, "strict")));
	json_decref(j);
	/* A rule against it. */
	j = ask_with(", \"rules\": [{\"name\": \"r\", \"kind\": \"apart\", \"vms\": [\"a\", "
		     "\"b\"]}]",
		     NULL, "plan", NULL);
	assert_string_not_equal(placed(j, "a"), placed(j, "b"));
	json_decref(j);
}

static const char *best_host(json_t *j)
{
	json_t *first = json_array_get(json_object_get(j, "hosts"), 0);

	return json_string_value(json_object_get(first, "name"));
}

static void test_place(void **state)
{
	json_t *j = ask("place", "vm\0b\0");
	json_t *first = json_array_get(json_object_get(j, "hosts"), 0);

	(void)state;
	assert_string_equal(best_host(j), "h0");
	assert_true(json_is_true(json_object_get(first, "fits")));
	assert_int_equal(json_array_size(json_object_get(j, "hosts")), 3);
	assert_int_equal(json_integer_value(json_object_get(first, "gain_pages")), 8192);
	json_decref(j);
	refused("", "place", NULL, EINVAL, "parameter vm is missing");
	refused("", "place", "vm\0nobody\0", ENOENT, "no VM \"nobody\"");
	refused("", "place", "vm\0\0", EINVAL, "VM name of 0 bytes");
	refused("", "place", "vm\0\xff\0", EINVAL, "printable");
}

static void test_drain(void **state)
{
	json_t *j = ask("drain", "host\0h0\0overcommit\000100\0");

	(void)state;
	assert_string_equal(json_string_value(json_object_get(j, "drained")), "h0");
	assert_string_equal(placed(j, "a"), "h1");
	assert_string_equal(placed(j, "c"), "h1");
	json_decref(j);
	refused("", "drain", "host\0h0\0", ENOSPC, "VM \"");
	refused("", "drain", "host\0nowhere\0", ENOENT, "no host \"nowhere\"");
	refused("", "drain", NULL, EINVAL, "parameter host is missing");
}

static void test_consolidate(void **state)
{
	json_t *j = ask("consolidate", "low_percent\00080\0overcommit\000100\0");
	json_t *emptied = json_object_get(j, "emptied");

	(void)state;
	assert_int_equal(json_array_size(emptied), 1);
	assert_int_equal(json_integer_value(json_object_get(j, "low_percent")), 80);
	json_decref(j);
	j = ask("consolidate", NULL);
	assert_int_equal(json_array_size(json_object_get(j, "emptied")), 0);
	assert_int_equal(json_integer_value(json_object_get(j, "low_percent")), 30);
	json_decref(j);
	refused("", "consolidate", "low_percent\000101\0", EINVAL, "low_percent");
}

static void test_hotspot(void **state)
{
	json_t *j = ask("hotspot", NULL), *spot;

	(void)state;
	assert_int_equal(json_array_size(json_object_get(j, "hotspots")), 1);
	spot = json_array_get(json_object_get(j, "hotspots"), 0);
	assert_string_equal(json_string_value(json_object_get(spot, "host")), "h0");
	json_decref(j);
	j = ask("hotspot", "free_mb\0005\0");
	assert_int_equal(json_array_size(json_object_get(j, "hotspots")), 0);
	json_decref(j);
	refused("", "hotspot", "free_mb\0x\0", EINVAL, "free_mb");
	refused("", "hotspot", "stall_percent\0-1\0", EINVAL, "stall_percent");
	refused("", "hotspot", "swap_pages_s\0-1\0", EINVAL, "swap_pages_s");
	refused("", "hotspot", "lost_pages\0004294967296\0", EINVAL, "lost_pages");
}

/* Two hosts with room for two VMs: one pair or the other... */
static void test_what_lasts_weighs_more(void **state)
{
	static const char pair[] = ", \"rules\": [{\"name\": \"r\", \"kind\": \"apart\", \"vms\": "
				   "[\"a\", \"d\"]}]";
	json_t *j = ask_with(pair, NULL, "place", "vm\0b\0overcommit\000100\0");
	json_t *first = json_array_get(json_object_get(j, "hosts"), 0);
	double whole = json_real_value(json_object_get(first, "value"));

	(void)state;
	json_decref(j);
	j = ask_with(pair, &durable, "place", "vm\0b\0overcommit\000100\0volatile_percent\00050\0");
	first = json_array_get(json_object_get(j, "hosts"), 0);
	assert_true(json_real_value(json_object_get(first, "value")) < whole);
	/* Figures that are shown are those of all contents. */
	assert_int_equal(json_integer_value(json_object_get(first, "gain_pages")), 8192);
	json_decref(j);
	j = ask_with("", &durable, "place", "vm\0b\0overcommit\000100\0volatile_percent\000100\0");
	first = json_array_get(json_object_get(j, "hosts"), 0);
	assert_true(json_real_value(json_object_get(first, "value")) == whole);
	json_decref(j);
	/* What does not last is not worth a move. */
	j = ask_with("", &durable, "plan", "volatile_percent\0000\0");
	assert_string_equal(placed(j, "c"), placed(j, "d"));
	json_decref(j);
}

static void test_bad_parameters(void **state)
{
	static const char *const questions[] = { "plan",	"place",   "drain",
						 "consolidate", "hotspot", "whatif" };

	(void)state;
	for (int i = 0; i < 6; i++) {
		assert_true(mb_ask_knows(questions[i]));
		refused("", questions[i], "planner\0magic\0", EINVAL, "no planner \"magic\"");
		refused("", questions[i], "strict\0002\0", EINVAL, "strict");
		refused("", questions[i], "overcommit\0001001\0", EINVAL, "overcommit");
		refused("", questions[i], "mean_percent\0-1\0", EINVAL, "mean_percent");
		refused("", questions[i], "one_tenant_per_host\0true\0", EINVAL,
			"one_tenant_per_host");
	}
	assert_false(mb_ask_knows("status"));
	assert_false(mb_ask_knows(""));
}

static void test_all_planners_answer(void **state)
{
	static const char *const asked[] = { "plan", "",	"place", "vm",		"drain",
					     "host", "hotspot", "",	 "consolidate", "" };

	(void)state;
	for (size_t k = 0; mb_planner_at(k); k++) {
		for (size_t i = 0; i < 10; i += 2) {
			char query[100] = { 0 };
			char *p = query;

			p = stpcpy(p, "planner") + 1;
			p = stpcpy(p, mb_planner_at(k)->name) + 1;
			p = stpcpy(p, "overcommit") + 1;
			p = stpcpy(p, "100") + 1;
			p = *asked[i + 1] ? stpcpy(p, asked[i + 1]) + 1 : p;
			strcpy(p, *asked[i + 1] == 'v' ? "a" : "h0");
			if (!*asked[i + 1])
				*p = 0;
			json_decref(ask(asked[i], query));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_says_whose_sharing_is_unknown),
		cmocka_unit_test(test_plan_and_its_options),
		cmocka_unit_test(test_place),
		cmocka_unit_test(test_drain),
		cmocka_unit_test(test_consolidate),
		cmocka_unit_test(test_hotspot),
		cmocka_unit_test(test_what_lasts_weighs_more),
		cmocka_unit_test(test_bad_parameters),
		cmocka_unit_test(test_all_planners_answer),
	};

	return cmocka_run_group_tests_name("ask", tests, NULL, NULL);
}
