// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "server/report.h"

static const struct mb_plan_host hosts[] = { { .name = "h0", .memory_mb = 100 },
					     { .name = "h1", .memory_mb = 200 } };
static const struct mb_plan_vm vms[] = {
	{ .name = "a", .memory_mb = 10, .host = 1 },
	{ .name = "b", .memory_mb = 20, .host = MB_NOWHERE },
	{ .name = "c", .memory_mb = 30, .host = 0 },
};
/* 7 pages in a and b, 5 in b and c, 3 in all. */
static struct mb_group group_list[] = { { 7, 0, 2 }, { 3, 2, 3 }, { 5, 5, 2 } };
static uint32_t group_vms[] = { 0, 1, 0, 1, 2, 1, 2 };
static const struct mb_groups groups = { group_list, 3, group_vms, 7 };
static const struct mb_fleet_view fleet = {
	.hosts = hosts, .vms = vms, .n_hosts = 2, .n_vms = 3, .groups = &groups
};
static const struct mb_planner planner = { .name = "p" };

static void test_whole_report(void **state)
{
	uint32_t host[] = { 0, 0, MB_NOWHERE };
	struct mb_move moves[] = { { .vm = 0,
				     .from = 1,
				     .to = 0,
				     .feasible = true,
				     .detour = true,
				     .why = MB_WHY_ROOM,
				     .gain_pages = -256,
				     .there_pages = 512,
				     .with = 2,
				     .copy_mb = 12,
				     .start_s = 3,
				     .time_s = 4 },
				   { .vm = 1,
				     .from = MB_NOWHERE,
				     .to = 0,
				     .why = MB_WHY_PLACE,
				     .with = MB_NOWHERE,
				     .converges = true } };
	uint64_t before[] = { 3, 4 }, after[] = { 9, 0 };
	struct mb_plan plan = { .host = host,
				.moves = moves,
				.n_moves = 2,
				.before_mb = before,
				.after_mb = after,
				.before_total_mb = 7,
				.after_total_mb = 9,
				.saving_before_pages = 50,
				.saving_after_pages = 40,
				.copy_mb = 12,
				.time_s = 7,
				.note = "mind" };
	json_t *j = mb_report_plan(&fleet, &plan, &planner,
				   &(struct mb_plan_options){ .strict = true });
	char *text = json_dumps(j, JSON_COMPACT);

	(void)state;
	/* As a text: the order of the keys is part of it. */
	assert_string_equal(
		text,
		"{\"planner\":\"p\",\"strict\":true,\"note\":\"mind\",\"hosts\":["
		"{\"name\":\"h0\",\"memory_mb\":100,\"before_mb\":3,\"after_mb\":9,"
		"\"full_before_mb\":30,\"full_after_mb\":30,"
		"\"vms_before\":[\"c\"],\"vms_after\":[\"a\",\"b\"]},"
		"{\"name\":\"h1\",\"memory_mb\":200,\"before_mb\":4,\"after_mb\":0,"
		"\"full_before_mb\":10,\"full_after_mb\":0,"
		"\"vms_before\":[\"a\"],\"vms_after\":[]}],"
		"\"before_mb\":7,\"after_mb\":9,\"saved_mb\":-2,"
		"\"placement\":{\"a\":\"h0\",\"b\":\"h0\",\"c\":null},"
		"\"saving\":{\"before_pages\":50,\"after_pages\":40,\"gain_pages\":-10,"
		"\"inter_before_pages\":0,\"inter_after_pages\":10},"
		"\"copy_mb\":12,\"time_s\":7,"
		"\"moves\":[{\"vm\":\"a\",\"from\":\"h1\",\"to\":\"h0\",\"memory_mb\":10,"
		"\"feasible\":true,\"detour\":true,\"why\":\"room\",\"gain_pages\":-256,"
		"\"there_pages\":512,\"with\":\"c\",\"copy_mb\":12,\"start_s\":3,"
		"\"time_s\":4,\"converges\":false,\"reason\":\"steps aside to make room: "
		"2.0 MB of its pages are there already, most of them in \\\"c\\\"; gives up "
		"1.0 MB; copies 12 MB in about 4 s, but dirties memory faster than the link "
		"copies it\"},"
		"{\"vm\":\"b\",\"from\":null,\"to\":\"h0\",\"memory_mb\":20,"
		"\"feasible\":false,\"detour\":false,\"why\":\"place\",\"gain_pages\":0,"
		"\"there_pages\":0,\"with\":null,\"copy_mb\":0,\"start_s\":0,\"time_s\":0,"
		"\"converges\":true,\"reason\":\"cannot be made: no room for its full size on "
		"\\\"h0\\\" when its turn comes, or a rule forbids it; it runs nowhere yet; "
		"saves 0.0 MB\"}]}");
	free(text);
	json_decref(j);
}

static void test_both_placements_count(void **state)
{
	struct mb_plan_vm here[] = { vms[0], vms[1], vms[2] };
	struct mb_fleet_view view = {
		.hosts = hosts, .vms = here, .n_hosts = 2, .n_vms = 3, .groups = &groups
	};
	uint32_t host[] = { 1, 1, 1 };
	uint64_t mb[] = { 0, 0 };
	struct mb_plan plan = { .host = host, .before_mb = mb, .after_mb = mb };
	json_t *j, *saving, *h1;

	(void)state;
	here[1].host = here[2].host = 1;
	here[0].host = 0;
	j = mb_report_plan(&view, &plan, &planner, &(struct mb_plan_options){ 0 });
	saving = json_object_get(j, "saving");
	/* b and c: 5 + 3; all three: 7 + 5 and twice 3. */
	assert_int_equal(json_integer_value(json_object_get(saving, "inter_before_pages")), 8);
	assert_int_equal(json_integer_value(json_object_get(saving, "inter_after_pages")), 18);
	h1 = json_array_get(json_object_get(j, "hosts"), 1);
	assert_int_equal(json_integer_value(json_object_get(h1, "full_before_mb")), 50);
	assert_int_equal(json_integer_value(json_object_get(h1, "full_after_mb")), 60);
	json_decref(j);
}

static void test_empty_fleet(void **state)
{
	struct mb_fleet_view none = { 0 };
	struct mb_plan plan = { 0 };
	json_t *j = mb_report_plan(&none, &plan, &planner, &(struct mb_plan_options){ 0 });

	(void)state;
	assert_non_null(j);
	assert_int_equal(json_array_size(json_object_get(j, "hosts")), 0);
	assert_true(json_is_object(json_object_get(j, "placement")));
	json_decref(j);
}

static void test_answers_of_questions(void **state)
{
	const struct mb_rank ranks[] = { { .host = 1,
					   .fits = true,
					   .value = 2.5,
					   .gain_pages = 7,
					   .used_after_mb = 9,
					   .reason = "good" },
					 { .host = 0, .wakes = true, .reason = "no room" } };
	const struct mb_hotspot spots[] = {
		{ .host = 1, .reason = "swaps", .woken = 0, .relieved = true },
		{ .host = 0,
		  .reason = "full",
		  .woken = MB_NOWHERE,
		  .lost_pages = 60,
		  .lost_error_pages = 7 }
	};
	const bool emptied[] = { false, true };
	json_t *j = json_pack(
		"{s:o, s:o, s:o}", "r",
		mb_report_ranks(&fleet, 2, ranks, &planner, &(struct mb_plan_options){ 0 }), "e",
		mb_report_emptied(&fleet, emptied), "h", mb_report_hotspots(&fleet, spots, 2));
	char *text = json_dumps(j, JSON_COMPACT);

	(void)state;
	assert_string_equal(
		text, "{\"r\":{\"planner\":\"p\",\"strict\":false,\"vm\":\"c\",\"host\":\"h0\","
		      "\"memory_mb\":30,\"hosts\":["
		      "{\"name\":\"h1\",\"fits\":true,\"wakes\":false,\"value\":2.5,"
		      "\"gain_pages\":7,\"used_after_mb\":9,\"memory_mb\":200,\"reason\":\"good\"},"
		      "{\"name\":\"h0\",\"fits\":false,\"wakes\":true,\"value\":0.0,"
		      "\"gain_pages\":0,\"used_after_mb\":0,\"memory_mb\":100,"
		      "\"reason\":\"no room\"}]},"
		      "\"e\":[\"h1\"],"
		      "\"h\":[{\"host\":\"h1\",\"reason\":\"swaps\",\"woken\":\"h0\","
		      "\"relieved\":true,\"lost_pages\":0},"
		      "{\"host\":\"h0\",\"reason\":\"full\",\"woken\":null,"
		      "\"relieved\":false,\"lost_pages\":60,\"lost_error_pages\":7}]}");
	free(text);
	json_decref(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_report),
		cmocka_unit_test(test_both_placements_count),
		cmocka_unit_test(test_empty_fleet),
		cmocka_unit_test(test_answers_of_questions),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
