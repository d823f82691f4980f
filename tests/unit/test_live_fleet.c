// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/live_fleet.h"

#include "proto/base/clock.h"
#include "tests/unit/util_server.h"

static void parse(const char *text, struct mb_fleet_file *ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_fleet_file_parse(text, strlen(text), "", ret, &err), &err);
}

/* What three agents said; the view borrows it. */
static struct mb_vm vms[3];

static void make_view(struct mb_sharing_view *ret)
{
	*ret = (struct mb_sharing_view){ .fleet = { .vms = vms, .n = 3 } };
	memset(vms, 0, sizeof(vms));
	for (int i = 0; i < 3; i++) {
		snprintf(vms[i].name, sizeof(vms[i].name), "v%d", i);
		vms[i].identity.page_bytes = MB_PAGE_BYTES;
		vms[i].memory_bytes = 512 << 20;
		vms[i].sharing = (struct mb_self_sharing){ .pages = 1000, .distinct = 900 };
	}
	strcpy(vms[0].host, "h1");
	strcpy(vms[1].host, "elsewhere");
}

static void test_the_file_wins(void **state)
{
	struct mb_sharing_view view;
	struct mb_fleet_file file;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	parse("{\"hosts\":[{\"name\":\"h0\",\"memory_mb\":4096},{\"name\":\"h1\",\"memory_mb\":"
	      "8192}],"
	      "\"vms\":[{\"name\":\"planned\",\"memory_mb\":77},"
	      "{\"name\":\"v0\",\"memory_mb\":1024,\"host\":\"h0\"},"
	      "{\"name\":\"v1\",\"memory_mb\":2048}]}",
	      &file);
	assert_ok(mb_live_fleet_init(&f, &view, &file, &err), &err);
	assert_int_equal(f.n_file_hosts, 2);
	assert_int_equal(f.view.n_hosts, 3);
	assert_string_equal(f.hosts[0].name, "h0");
	assert_int_equal(f.hosts[1].memory_mb, 8192);
	/* An agent named it, the file does not. */
	assert_string_equal(f.hosts[2].name, "elsewhere");
	assert_int_equal(f.hosts[2].memory_mb, 0);

	assert_int_equal(f.view.n_vms, 4);
	assert_int_equal(f.vms[0].memory_mb, 1024);
	assert_int_equal(f.vms[0].host, 0);
	assert_int_equal(f.vms[0].pages, 1000);
	assert_int_equal(f.vms[0].distinct, 900);
	/* The file gives a size, but no host: the agent's word counts. */
	assert_int_equal(f.vms[1].memory_mb, 2048);
	assert_int_equal(f.vms[1].host, 2);
	assert_int_equal(f.vms[2].memory_mb, 512);
	assert_int_equal(f.vms[2].host, MB_NOWHERE);
	/* Only the file knows it: it takes its place and shares nothing. */
	assert_string_equal(f.vms[3].name, "planned");
	assert_int_equal(f.vms[3].memory_mb, 77);
	assert_int_equal(f.vms[3].pages, 0);
	assert_int_equal(f.vms[3].host, MB_NOWHERE);
	mb_live_fleet_deinit(&f);
	mb_live_fleet_deinit(&f);
	mb_fleet_file_deinit(&file);
}

static void test_everything_of_the_file_arrives(void **state)
{
	static const char text[] =
		"{\"hosts\":[{\"name\":\"h0\",\"memory_mb\":4096,\"reserve_mb\":7,"
		"\"cpu_millicores\":5,\"state\":\"maintenance\",\"trust_domain\":\"d\","
		"\"free_mb\":9},{\"name\":\"h1\",\"memory_mb\":1,\"trust_domain\":\"e\"}],"
		"\"vms\":[{\"name\":\"new\",\"memory_mb\":1,\"tenant\":\"t\","
		"\"trust_domain\":\"e\"},"
		"{\"name\":\"v2\",\"memory_mb\":1,\"host\":\"h0\",\"pinned\":true,"
		"\"tenant\":\"u\",\"cpu_millicores\":{\"mean\":1,\"peak\":2},"
		"\"dirty_mb_s\":1,\"swap_pages_s\":3},"
		"{\"name\":\"v0\",\"memory_mb\":1,\"tenant\":\"t\"}],"
		"\"rules\":[{\"name\":\"r\",\"kind\":\"apart\","
		"\"vms\":[\"new\",\"v2\"]},"
		"{\"name\":\"s\",\"kind\":\"together\",\"vms\":[\"v2\",\"v0\"]}]}";
	struct mb_sharing_view view;
	struct mb_fleet_file file;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	strcpy(vms[0].identity.domain, "d");
	strcpy(vms[2].identity.domain, "d");
	parse(text, &file);
	assert_ok(mb_live_fleet_init(&f, &view, &file, &err), &err);
	assert_int_equal(f.hosts[0].reserve_mb, 7);
	assert_int_equal(f.hosts[0].capacity[MB_CPU_MILLICORES], 5);
	assert_int_equal(f.hosts[0].state, MB_HOST_MAINTENANCE);
	assert_int_equal(f.hosts[0].free_mb, 9);
	assert_true(f.hosts[1].free_mb == UINT64_MAX);
	/* "d" is what agents say of their hash identity, too. */
	assert_int_not_equal(f.hosts[0].trust, 0);
	assert_int_equal(f.vms[0].trust, f.hosts[0].trust);
	assert_int_equal(f.vms[1].trust, 0);
	assert_int_not_equal(f.hosts[1].trust, f.hosts[0].trust);
	assert_int_equal(f.vms[3].trust, f.hosts[1].trust);
	assert_true(f.vms[2].pinned && !f.vms[0].pinned);
	assert_int_not_equal(f.vms[0].tenant, 0);
	assert_int_equal(f.vms[0].tenant, f.vms[3].tenant);
	assert_int_not_equal(f.vms[0].tenant, f.vms[2].tenant);
	assert_int_equal(f.vms[1].tenant, 0);
	assert_int_equal(f.vms[2].mean[MB_CPU_MILLICORES], 1);
	assert_int_equal(f.vms[2].peak[MB_CPU_MILLICORES], 2);
	assert_int_equal(f.vms[2].dirty_kb_s, 1024);
	assert_int_equal(f.vms[2].swap_pages_s, 3);
	assert_true(f.vms[2].settled_s == UINT64_MAX && f.vms[3].settled_s == UINT64_MAX);
	/* VMs by the view's numbers, ascending; the file has them in another order. */
	assert_int_equal(f.view.n_rules, 2);
	assert_string_equal(f.view.rules[0].name, "r");
	assert_int_equal(f.view.rules[0].kind, MB_RULE_APART);
	assert_int_equal(f.view.rules[0].vms[0], 2);
	assert_int_equal(f.view.rules[0].vms[1], 3);
	assert_int_equal(f.view.rules[1].vms[0], 0);
	assert_int_equal(f.view.rules[1].vms[1], 2);
	mb_live_fleet_deinit(&f);
	mb_fleet_file_deinit(&file);
}

static void test_who_moved_of_late(void **state)
{
	struct mb_sharing_view view;
	struct mb_fleet_file file;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	parse("{\"hosts\":[{\"name\":\"h0\",\"memory_mb\":1},{\"name\":\"h1\","
	      "\"memory_mb\":1},{\"name\":\"h2\",\"memory_mb\":1}],\"vms\":[]}",
	      &file);
	vms[0].moved_ns = mb_now_ns() - 100 * 1000000000ull;
	strcpy(vms[0].moved_from, "h2");
	vms[1].moved_ns = mb_now_ns() - 50 * 1000000000ull;
	strcpy(vms[1].moved_from, "gone");
	/* Later by number, earlier by time. */
	vms[2].moved_ns = mb_now_ns() - 500 * 1000000000ull;
	strcpy(vms[2].moved_from, "h2");
	assert_ok(mb_live_fleet_init(&f, &view, &file, &err), &err);
	assert_in_range(f.vms[0].settled_s, 100, 130);
	assert_in_range(f.vms[1].settled_s, 50, 80);
	assert_in_range(f.vms[2].settled_s, 500, 530);
	assert_true(f.hosts[0].cooled_s == UINT64_MAX);
	assert_in_range(f.hosts[1].cooled_s, 100, 130);
	assert_in_range(f.hosts[2].cooled_s, 100, 130);
	/* A host that nobody runs on and the file does not know is none. */
	assert_int_equal(f.view.n_hosts, 4);
	assert_in_range(f.hosts[3].cooled_s, 50, 80);
	mb_live_fleet_deinit(&f);
	mb_fleet_file_deinit(&file);
}

static void test_weighs_what_lasts(void **state)
{
	static struct mb_group all[] = { { 100, 0, 2 }, { 10, 2, 2 } };
	static struct mb_group lasts[] = { { 40, 0, 2 } };
	static uint32_t sets[] = { 0, 1, 1, 2 };
	const struct mb_groups durable = { lasts, 1, sets, 2 };
	const struct mb_fleet_file none = { 0 };
	struct mb_sharing_view view;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	view.groups = (struct mb_groups){ all, 2, sets, 4 };
	assert_ok(mb_live_fleet_init(&f, &view, &none, &err), &err);
	/* Nothing else to go by. */
	assert_ok(mb_live_fleet_weigh(&f, NULL, 25, &err), &err);
	assert_null(f.view.score_groups);
	assert_ok(mb_live_fleet_weigh(&f, &durable, 100, &err), &err);
	assert_null(f.view.score_groups);
	assert_ok(mb_live_fleet_weigh(&f, &durable, 25, &err), &err);
	assert_int_equal(f.view.score_groups->n_groups, 2);
	assert_int_equal(f.view.score_groups->groups[0].weight_pages, 25 + 30);
	assert_int_equal(f.view.score_groups->groups[1].weight_pages, 2);
	assert_ok(mb_live_fleet_weigh(&f, &durable, 0, &err), &err);
	assert_int_equal(f.view.score_groups->n_groups, 1);
	assert_ptr_equal(f.view.groups, &view.groups);
	mb_live_fleet_deinit(&f);
}

static void test_sizes(void **state)
{
	const struct mb_fleet_file none = { 0 };
	struct mb_sharing_view view;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	vms[0].memory_bytes = (512 << 20) + 1; /* rounded up: it must fit */
	vms[1].memory_bytes = 0;	       /* not known: what is in use */
	vms[1].sharing.pages = 300;
	vms[2].memory_bytes = INT64_MAX; /* the most that an agent may say */
	assert_ok(mb_live_fleet_init(&f, &view, &none, &err), &err);
	assert_int_equal(f.vms[0].memory_mb, 513);
	assert_int_equal(f.vms[1].memory_mb, 2);
	assert_int_equal(f.vms[2].memory_mb, 1ull << 43);
	mb_live_fleet_deinit(&f);
	vms[1].sharing.pages = 0;
	assert_ok(mb_live_fleet_init(&f, &view, &none, &err), &err);
	assert_int_equal(f.vms[1].memory_mb, 1);
	mb_live_fleet_deinit(&f);
}

/* What planners must know of VMs that send less than all. */
static void test_small_fingerprints(void **state)
{
	uint32_t set_vms[] = { 1, 2 };
	struct mb_comparable set = { .vms = set_vms, .n = 2, .shift = 4, .n_cut = 1 };
	struct mb_sharing_view view;
	struct mb_fleet_file file;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	view.sets = &set;
	view.n_sets = 1;
	vms[2].sample.cut_bits = 20;
	parse("{\"hosts\":[],\"vms\":[]}", &file);
	assert_ok(mb_live_fleet_init(&f, &view, &file, &err), &err);
	assert_int_equal(f.vms[0].sample_shift, 0);
	assert_int_equal(f.vms[1].sample_shift, 4);
	assert_int_equal(f.n_no_groups, 1);
	mb_live_fleet_deinit(&f);
	mb_fleet_file_deinit(&file);
}

static void test_nothing(void **state)
{
	const struct mb_sharing_view view = { 0 };
	const struct mb_fleet_file none = { 0 };
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_live_fleet_init(&f, &view, &none, &err), &err);
	assert_int_equal(f.view.n_vms, 0);
	assert_int_equal(f.view.n_hosts, 0);
	assert_ptr_equal(f.view.groups, &view.groups);
	mb_live_fleet_deinit(&f);
}

/* What agents say of swapping counts as long as they are there; the file's word comes first. */
static void test_swapping(void **state)
{
	const struct mb_guest swaps = { .known = true,
					.swapped_bytes = 3 * MB_PAGE_BYTES,
					.swapped_ns = 500000000,
					.has_stalls = true,
					.some_per_myriad = 1290 };
	struct mb_sharing_view view;
	struct mb_fleet_file file;
	struct mb_live_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	make_view(&view);
	for (int i = 0; i < 3; i++) {
		vms[i].pass.guest = swaps;
		vms[i].session = 1;
	}
	vms[2].session = 0;
	parse("{\"hosts\":[],\"vms\":[{\"name\":\"v0\",\"memory_mb\":1},"
	      "{\"name\":\"v1\",\"memory_mb\":1,\"swap_pages_s\":99,"
	      "\"stall_percent\":77}]}",
	      &file);
	assert_ok(mb_live_fleet_init(&f, &view, &file, &err), &err);
	assert_int_equal(f.vms[0].swap_pages_s, 6);
	assert_int_equal(f.vms[1].swap_pages_s, 99);
	assert_int_equal(f.vms[2].swap_pages_s, 0);
	assert_int_equal(f.vms[0].stall_percent, 12);
	assert_int_equal(f.vms[1].stall_percent, 77);
	assert_int_equal(f.vms[2].stall_percent, 0);
	mb_live_fleet_deinit(&f);
	/* Not known, or the first look. */
	vms[0].pass.guest.swapped_ns = 0;
	vms[0].pass.guest.has_stalls = false;
	vms[1].pass.guest.known = false;
	mb_fleet_file_deinit(&file);
	mb_fleet_file_init(&file);
	assert_ok(mb_live_fleet_init(&f, &view, &file, &err), &err);
	assert_int_equal(f.vms[0].swap_pages_s + f.vms[1].swap_pages_s, 0);
	assert_int_equal(f.vms[0].stall_percent + f.vms[1].stall_percent, 0);
	mb_live_fleet_deinit(&f);
	mb_fleet_file_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_file_wins),
		cmocka_unit_test(test_everything_of_the_file_arrives),
		cmocka_unit_test(test_who_moved_of_late),
		cmocka_unit_test(test_weighs_what_lasts),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_small_fingerprints),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_swapping),
	};

	return cmocka_run_group_tests_name("live_fleet", tests, NULL, NULL);
}
