// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <unistd.h>

#include "server/ctl/scenario.h"

#define HOSTS	 "\"hosts\": [{\"count\": 2, \"memory_mb\": 100}, {\"memory_mb\": 50}]"
#define TYPE	 "{\"name\": \"a\", \"memory_mb\": 10, \"share_percent\": 40}"
#define TYPES	 "\"types\": [" TYPE "]"
#define ARRIVALS "\"arrivals\": {\"count\": 8}"

static int parse(const char *text, struct mb_scenario *ret, struct mb_err *err)
{
	return mb_scenario_parse(text, strlen(text), "dir", ret, err);
}

static void test_reads_what_it_names(void **state)
{
	struct mb_scenario s;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(parse("{\"note\": \"n\", " HOSTS ", \"types\": [" TYPE ", {\"name\": \"b\", "
			"\"memory_mb\": 20, \"share_percent\": 30, \"data_percent\": 9, "
			"\"data_sets\": 3, \"self_percent\": 7}, {\"name\": \"c\", \"memory_mb\": "
			"20, "
			"\"share_percent\": 30, \"data_percent\": 9}], \"common_percent\": 5, "
			"\"arrivals\": {\"count\": 8, \"order\": \"random\", \"start\": 3}, "
			"\"options\": {\"overcommit_percent\": 10, \"count_sharing_percent\": 80, "
			"\"arrive_merged\": true, \"make_room\": true}, \"churn\": {\"steps\": 4, "
			"\"leave_percent\": 1, \"change_percent\": 2, \"arrive_percent\": 3, "
			"\"rebalance\": true}, \"published\": {\"where\": \"w\", \"aware\": 7, "
			"\"oblivious\": 6}}",
			&s, &err),
		  &err);
	assert_string_equal(s.note, "n");
	assert_int_equal(s.n_hosts, 3);
	assert_int_equal(s.host_mb[1], 100);
	assert_int_equal(s.host_mb[2], 50);
	assert_int_equal(s.n_types, 3);
	assert_string_equal(s.types[1].name, "b");
	assert_int_equal(s.types[1].memory_mb, 20);
	assert_int_equal(s.types[1].share_percent, 30);
	assert_int_equal(s.types[1].data_percent, 9);
	assert_int_equal(s.types[1].data_sets, 3);
	assert_int_equal(s.types[1].self_percent, 7);
	assert_int_equal(s.types[0].data_sets, 0);
	assert_int_equal(s.types[2].data_sets, 1);
	assert_int_equal(s.common_percent, 5);
	assert_int_equal(s.n_vms, 8);
	assert_true(s.random_order);
	assert_int_equal(s.options.overcommit_percent, 10);
	assert_int_equal(s.options.count_sharing_percent, 80);
	assert_true(s.rules.arrive_merged && s.rules.make_room && s.rules.rebalance);
	assert_int_equal(s.rules.n_start, 3);
	assert_int_equal(s.rules.n_steps, 4);
	assert_int_equal(s.rules.leave_percent, 1);
	assert_int_equal(s.rules.change_percent, 2);
	assert_int_equal(s.rules.arrive_percent, 3);
	assert_string_equal(s.published, "w");
	assert_int_equal(s.published_aware, 7);
	assert_int_equal(s.published_oblivious, 6);
	mb_scenario_deinit(&s);
}

static void test_what_need_not_be_said(void **state)
{
	struct mb_scenario s;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(parse("{" HOSTS ", " TYPES ", " ARRIVALS "}", &s, &err), &err);
	assert_int_equal(s.options.count_sharing_percent, 100);
	assert_false(s.random_order || s.rules.arrive_merged || s.rules.make_room);
	assert_int_equal(s.rules.n_steps + s.rules.n_start, 0);
	assert_null(s.note);
	assert_null(s.published);
	mb_scenario_deinit(&s);
	/* Traces: each arrives once. */
	assert_ok(parse("{" HOSTS ", \"types\": [{\"name\": \"a\", \"trace\": \"t\"}, "
			"{\"name\": \"b\", \"memory_mb\": 7, \"trace\": \"/t\"}]}",
			&s, &err),
		  &err);
	assert_int_equal(s.n_vms, 2);
	assert_string_equal(s.types[0].trace, "dir/t");
	assert_string_equal(s.types[1].trace, "/t");
	assert_int_equal(s.types[0].memory_mb, 0);
	assert_int_equal(s.types[1].memory_mb, 7);
	mb_scenario_deinit(&s);
}

static void test_says_what_is_wrong_and_where(void **state)
{
#define REST(rest) "{" HOSTS ", " TYPES ", " ARRIVALS ", " rest "}"
#define WITH(type) "{" HOSTS ", " ARRIVALS ", \"types\": [" TYPE ", " type "]}"
#define B	   "\"name\": \"b\", \"memory_mb\": 20, \"share_percent\": 30"
	static const struct {
		const char *text, *word;
	} wrong[] = {
		{ "{\n  \"hosts\": [,] }", "line 2, column 13: " },
		{ "[]", "not an object" },
		{ "{" TYPES ", " ARRIVALS "}", "no \"hosts\"" },
		{ "{" HOSTS ", " TYPES "}", "arrivals: no \"count\"" },
		{ REST("\"hist\": []"), "unknown key \"hist\"" },
		{ "{\"hosts\": []}", "hosts: not a list of at least one" },
		{ "{\"hosts\": [{\"memory_mb\": 0}]}",
		  "hosts[0].memory_mb: not a whole number from 1 to 8388608" },
		{ "{\"hosts\": [{\"memory_mb\": 1, \"count\": 10000}, {\"memory_mb\": 1}]}",
		  "hosts[1].count: more than 10000 hosts" },
		{ WITH("{\"memory_mb\": 1, \"share_percent\": 1}"), "types[1]: no \"name\"" },
		{ WITH("{\"name\": \"b c\", \"memory_mb\": 1, \"share_percent\": 1}"),
		  "types[1].name: " },
		{ WITH("{" B ", \"sharing\": 1}"), "types[1]: unknown key \"sharing\"" },
		{ WITH("{" B ", \"trace\": \"t\"}"), "types[1]: unknown key \"share_percent\"" },
		{ WITH("{\"name\": \"b\", \"trace\": \"t\"}"), "types[0] has none" },
		{ WITH("{" B ", \"data_percent\": 31}"), "types[1].data_percent: 31, a part of" },
		{ WITH("{" B ", \"data_sets\": 3}"), "types[1].data_sets: without data_percent" },
		{ WITH("{" B ", \"self_percent\": 71}"), "types[1].self_percent: 71, and" },
		{ WITH(TYPE), "types[1].name: \"a\" is types[0] already" },
		{ WITH("{\"name\": \"b\", \"memory_mb\": 1, \"share_percent\": 101}"),
		  "types[1].share_percent: not a whole number from 0 to 100" },
		{ REST("\"common_percent\": 41"), "two VMs of type \"a\" share less" },
		{ REST("\"options\": {\"make_room\": 1}"), "options.make_room: neither" },
		{ REST("\"note\": \"a\\u001bb\""), "note: has a control character" },
		{ REST("\"options\": []"), "options: not an object" },
		{ REST("\"churn\": {\"leave_percent\": 5}"), "churn: no \"steps\"" },
		{ REST("\"churn\": {\"steps\": 1, \"change_percent\": 5}"),
		  "churn.change_percent: no type has several data sets" },
		{ REST("\"published\": {\"aware\": 1, \"oblivious\": 1}"), "no \"where\"" },
		{ "{" HOSTS ", " TYPES ", \"arrivals\": {\"count\": 8, \"start\": 9}}",
		  "arrivals.start: not a whole number from 0 to 8" },
		{ "{" HOSTS ", " TYPES ", \"arrivals\": {\"count\": 8, \"order\": \"rnd\"}}",
		  "arrivals.order: neither" },
		{ "{\"hosts\": [{\"count\": 10000, \"memory_mb\": 1}], " TYPES
		  ", \"arrivals\": {\"count\": 10000}}",
		  "arrivals.count: 10000 VMs times 10000 hosts" },
		{ "{" HOSTS ", \"types\": [{\"name\": \"a\", \"trace\": \"t\"}], "
		  "\"common_percent\": 1}",
		  "common_percent: traces" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct mb_scenario s;
		struct mb_err err = { 0 };

		assert_fails(parse(wrong[i].text, &s, &err), EINVAL, &err, wrong[i].word);
		assert_null(s.types);
		assert_null(s.host_mb);
	}
}

static void test_reads_a_file(void **state)
{
	char path[] = "/tmp/mb_scenario.XXXXXX";
	int fd = mkstemp(path);
	struct mb_scenario s;
	struct mb_err err = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{\n]", 3), 3);
	close(fd);
	assert_fails(mb_scenario_read(path, &s, &err), EINVAL, &err, path);
	assert_non_null(strstr(err.text, ": line 2, "));
	unlink(path);
	assert_fails(mb_scenario_read(path, &s, &err), ENOENT, &err, path);
	mb_scenario_deinit(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_it_names),
		cmocka_unit_test(test_what_need_not_be_said),
		cmocka_unit_test(test_says_what_is_wrong_and_where),
		cmocka_unit_test(test_reads_a_file),
	};

	return cmocka_run_group_tests_name("scenario", tests, NULL, NULL);
}
