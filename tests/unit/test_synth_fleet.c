// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/synth_fleet.h"
#include "server/plan/search.h"
#include "tests/unit/util_test.h"

static const struct mb_synth_fleet_params *find(const char *name)
{
	const struct mb_synth_fleet_params *p = mb_synth_fleets;

	while (p->name && strcmp(p->name, name) != 0)
		p++;
	assert_non_null(p->name);
	return p;
}

static double saved_percent(const struct mb_fleet_view *f, const uint32_t *host)
{
	double distinct = 0;

	for (uint32_t v = 0; v < f->n_vms; v++)
		distinct += (double)f->vms[v].distinct;
	return 100 * (double)mb_score_inter_pages(f, host) / distinct;
}

static void assert_near(const char *what, double percent, double expected)
{
	print_message("%s: %.2f %%\n", what, percent);
	if (percent < expected - 0.2 || percent > expected + 0.2)
		fail_msg("%s saves %.2f %%, not %.1f", what, percent, expected);
}

static void test_hard_is_as_hard_as_it_says(void **state)
{
	const struct mb_plan_options o = { 0 };
	char note[MB_PLAN_NOTE_BYTES] = "";
	struct mb_synth_fleet f;
	struct mb_search s;
	struct mb_err err = { 0 };
	uint32_t *host;

	(void)state;
	assert_ok(mb_synth_fleet_init(&f, find("hard"), &err), &err);
	host = malloc(f.view.n_vms * sizeof(*host));
	assert_non_null(host);
	for (uint32_t v = 0; v < f.view.n_vms; v++)
		host[v] = f.vms[v].host;
	assert_near("in turn", saved_percent(&f.view, host), 5.4);
	assert_ok(mb_planner_paper.place(&f.view, &o, host, note, &err), &err);
	assert_near("paper", saved_percent(&f.view, host), 5.5);
	assert_ok(mb_search_init(&s, &f.view, &o, &err), &err);
	mb_tally_clear(&s.tally);
	assert_true(mb_search_fill(&s, 0));
	assert_near("greedy", saved_percent(&f.view, s.tally.host), 13.3);
	assert_true(f.groups.n_groups > 4000);
	mb_search_deinit(&s);
	mb_synth_fleet_deinit(&f);
	free(host);
}

static void test_all_are_fleets(void **state)
{
	(void)state;
	for (const struct mb_synth_fleet_params *p = mb_synth_fleets; p->name; p++) {
		const struct mb_plan_options o = { 0 };
		struct mb_synth_fleet f, again;
		struct mb_err err = { 0 };
		uint64_t *used;

		assert_ok(mb_synth_fleet_init(&f, p, &err), &err);
		assert_ok(mb_plan_check(&f.view, &o, &err), &err);
		used = calloc(p->n_hosts, sizeof(*used));
		assert_non_null(used);
		for (uint32_t v = 0; v < p->n_vms; v++)
			if (f.vms[v].host != MB_NOWHERE)
				used[f.vms[v].host] += f.vms[v].memory_mb;
		for (uint32_t h = 0; h < p->n_hosts; h++)
			assert_true(used[h] && used[h] <= p->host_mb);
		free(used);
		assert_ok(mb_synth_fleet_init(&again, p, &err), &err);
		assert_int_equal(f.groups.n_vms, again.groups.n_vms);
		assert_memory_equal(f.groups.vms, again.groups.vms,
				    f.groups.n_vms * sizeof(*f.groups.vms));
		mb_synth_fleet_deinit(&again);
		mb_synth_fleet_deinit(&f);
	}
}

/* One application, and nothing else but the zero page in common. */
static void share_on_os(uint32_t percent, uint64_t *ret_least, uint64_t *ret_most)
{
	const struct mb_synth_kind none = { 2, 0, 1, 100 };
	const struct mb_synth_fleet_params p = {
		.name = "test",
		.n_hosts = 1,
		.n_vms = 20,
		.host_mb = 20,
		.vm_pages = 256,
		.n_sizes = 1,
		.os = none,
		.app = { 1, 100, 1, 100 },
		.data = none,
		.app_on_os_percent = percent,
	};
	struct mb_synth_fleet f;
	struct mb_err err = { 0 };
	uint64_t m[400];

	assert_ok(mb_synth_fleet_init(&f, &p, &err), &err);
	mb_groups_matrix(&f.groups, 20, m);
	*ret_least = *ret_most = m[1];
	for (uint32_t i = 0; i < 20; i++)
		for (uint32_t j = 0; j < i; j++) {
			uint64_t share = m[i * 20 + j];

			*ret_least = share < *ret_least ? share : *ret_least;
			*ret_most = share > *ret_most ? share : *ret_most;
		}
	mb_synth_fleet_deinit(&f);
}

static void test_a_part_of_the_application_is_on_one_os_only(void **state)
{
	uint64_t least, most;

	(void)state;
	share_on_os(0, &least, &most);
	assert_int_equal(least, 101);
	assert_int_equal(most, 101);
	share_on_os(30, &least, &most);
	assert_int_equal(least, 71);
	assert_int_equal(most, 101);
	share_on_os(100, &least, &most);
	assert_int_equal(least, 1);
	assert_int_equal(most, 101);
}

static void test_no_room_is_nowhere(void **state)
{
	struct mb_synth_fleet_params p = *find("easy");
	struct mb_synth_fleet f;
	struct mb_err err = { 0 };
	uint32_t nowhere = 0;

	(void)state;
	p.n_hosts = 3;
	p.n_vms = 35;
	assert_ok(mb_synth_fleet_init(&f, &p, &err), &err);
	assert_int_equal(f.vms[0].memory_mb, 256);
	for (uint32_t v = 0; v < p.n_vms; v++)
		nowhere += f.vms[v].host == MB_NOWHERE;
	assert_int_equal(nowhere, 2);
	mb_synth_fleet_deinit(&f);
	p.n_hosts = 0;
	assert_ok(mb_synth_fleet_init(&f, &p, &err), &err);
	assert_int_equal(f.vms[0].host, MB_NOWHERE);
	mb_synth_fleet_deinit(&f);
}

static void test_what_cannot_be(void **state)
{
	struct mb_synth_fleet_params p = *find("easy");
	struct mb_synth_fleet f;
	struct mb_err err = { 0 };

	(void)state;
	p.os.n = 0;
	assert_fails(mb_synth_fleet_init(&f, &p, &err), EINVAL, &err, "fleet easy: 0 OSes");
	p = *find("easy");
	p.n_sizes = 9;
	assert_fails(mb_synth_fleet_init(&f, &p, &err), EINVAL, &err, "9 sizes");
	p = *find("easy");
	p.vm_pages = 1000;
	assert_fails(mb_synth_fleet_init(&f, &p, &err), EINVAL, &err, "has 1000 pages");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hard_is_as_hard_as_it_says),
		cmocka_unit_test(test_all_are_fleets),
		cmocka_unit_test(test_a_part_of_the_application_is_on_one_os_only),
		cmocka_unit_test(test_no_room_is_nowhere),
		cmocka_unit_test(test_what_cannot_be),
	};

	return cmocka_run_group_tests_name("synth_fleet", tests, NULL, NULL);
}
