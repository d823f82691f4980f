// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "server/report.h"

static const struct mb_plan_host hosts[] = { { "h0", 100 }, { "h1", 200 } };
static const struct mb_plan_vm vms[] = {
	{ .name = "a", .memory_mb = 10, .host = 1 },
	{ .name = "b", .memory_mb = 20, .host = MB_NOWHERE },
	{ .name = "c", .memory_mb = 30, .host = 0 },
};
static const struct mb_fleet_view fleet = { .hosts = hosts, .vms = vms, .n_hosts = 2, .n_vms = 3 };
static const struct mb_planner planner = { .name = "p" };

static void test_whole_report(void **state)
{
	uint32_t host[] = { 0, 0, MB_NOWHERE };
	struct mb_move moves[] = {
		{ .vm = 0, .from = 1, .to = 0, .feasible = true, .detour = true },
		{ .vm = 1, .from = MB_NOWHERE, .to = 0 }
	};
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
				.note = "mind" };
	json_t *j = mb_report_plan(&fleet, &plan, &planner,
				   &(struct mb_plan_options){ .strict = true });
	char *text = json_dumps(j, JSON_COMPACT);

	(void)state;
	/* As a text: the order of the keys is part of it. */
	assert_string_equal(
		text, "{\"planner\":\"p\",\"strict\":true,\"note\":\"mind\",\"hosts\":["
		      "{\"name\":\"h0\",\"memory_mb\":100,\"before_mb\":3,\"after_mb\":9,"
		      "\"vms_before\":[\"c\"],\"vms_after\":[\"a\",\"b\"]},"
		      "{\"name\":\"h1\",\"memory_mb\":200,\"before_mb\":4,\"after_mb\":0,"
		      "\"vms_before\":[\"a\"],\"vms_after\":[]}],"
		      "\"before_mb\":7,\"after_mb\":9,\"saved_mb\":-2,"
		      "\"placement\":{\"a\":\"h0\",\"b\":\"h0\",\"c\":null},"
		      "\"saving\":{\"before_pages\":50,\"after_pages\":40,\"gain_pages\":-10},"
		      "\"moves\":[{\"vm\":\"a\",\"from\":\"h1\",\"to\":\"h0\",\"memory_mb\":10,"
		      "\"feasible\":true,\"detour\":true},"
		      "{\"vm\":\"b\",\"from\":null,\"to\":\"h0\",\"memory_mb\":20,"
		      "\"feasible\":false,\"detour\":false}]}");
	free(text);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_report),
		cmocka_unit_test(test_empty_fleet),
	};

	return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
