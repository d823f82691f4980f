// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "server/ctl/render.h"

static void assert_renders(const char *json, const char *want)
{
	json_t *root = json_loads(json, 0, NULL);
	struct mb_err err = { 0 };
	char *text = NULL;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	assert_non_null(root);
	assert_ok(mb_render_simulate(root, to, &err), &err);
	fclose(to);
	assert_string_equal(text, want);
	free(text);
	json_decref(root);
}

#define STEP0                                                                                      \
	"{\"vms\":9,\"hosts_used\":2,\"full_mb\":90,\"used_mb\":80,\"inter_pages\":2560,"          \
	"\"moves\":1}"

static void test_arrivals(void **state)
{
	(void)state;
	assert_renders("{\"note\":\"Two hosts\",\"seed\":3,\"hosts\":2,\"hosts_mb\":100,\"vms\":12,"
		       "\"published\":{\"where\":\"there\",\"aware\":11,\"oblivious\":10},"
		       "\"players\":[{\"player\":\"best\",\"placed\":9,\"before_refusal\":8,"
		       "\"steps\":[" STEP0 "]}]}",
		       "Two hosts\n"
		       "2 hosts of 100 MB in all, 12 VMs want to run (seed 3)\n\n"
		       "player  placed  before the first refusal  hosts  full MB  used MB  inter MB"
		       "  moves\n"
		       "best         9                         8      2       90       80      10.0"
		       "      1\n"
		       "full: without any sharing; inter: saved because of who runs where\n"
		       "there: 11 placed by one who knows of sharing, 10 by one who does not\n");
}

static void test_churn(void **state)
{
	(void)state;
	assert_renders(
		"{\"seed\":1,\"hosts\":2,\"hosts_mb\":100,\"vms\":12,\"published\":null,"
		"\"players\":[{\"player\":\"seed\",\"placed\":9,\"before_refusal\":8,"
		"\"no_plan\":\"no\\u001broom\",\"steps\":[" STEP0
		",{\"left\":1,\"changed\":2,\"arrived\":3,\"refused\":4,\"moves\":5,"
		"\"infeasible_moves\":6,\"plan_failed\":true,\"hosts_over\":1,\"over_mb\":9,"
		"\"vms\":10,"
		"\"inter_pages\":256},"
		"{\"left\":1,\"changed\":2,\"arrived\":3,\"refused\":4,\"moves\":5,"
		"\"infeasible_moves\":6,\"plan_failed\":false,\"hosts_over\":1,\"over_mb\":0,"
		"\"vms\":12,\"inter_pages\":768}]}]}",
		"2 hosts of 100 MB in all, 12 VMs want to run (seed 1)\n\n"
		"player  placed  before the first refusal  hosts  full MB  used MB  inter MB  "
		"moves\n"
		"seed         9                         8      2       90       80      10.0      "
		"1\n"
		"full: without any sharing; inter: saved because of who runs where\n"
		"\nChurn, all steps together:\n"
		"player  left  changed  arrived  refused  moves  infeasible  no plan  over-full  "
		"over "
		"MB   VMs  inter MB\n"
		"seed       2        4        6        8     10          12        1          2    "
		"  "
		"4.5  11.0       2.0\n"
		"over-full: hosts that use more than they have, once a step; over MB, VMs, inter "
		"MB: "
		"mean of a step\n"
		"\ninter MB, step by step:\n"
		"step  seed\n"
		"   0  10.0\n"
		"   1   1.0\n"
		"   2   3.0\n"
		"\nplayer  had no plan, the first time because\n"
		"seed    no?room\n");
}

static void test_no_players(void **state)
{
	json_t *root = json_object();
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_render_simulate(root, stdout, &err), EBADMSG, &err, "players");
	json_decref(root);
	assert_renders("{\"players\":[]}",
		       "0 hosts of 0 MB in all, 0 VMs want to run (seed 0)\n\n"
		       "player  placed  before the first refusal  hosts  full MB  used MB  inter MB"
		       "  moves\n"
		       "full: without any sharing; inter: saved because of who runs where\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arrivals),
		cmocka_unit_test(test_churn),
		cmocka_unit_test(test_no_players),
	};

	return cmocka_run_group_tests_name("render_simulate", tests, NULL, NULL);
}
