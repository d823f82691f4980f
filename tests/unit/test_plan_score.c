// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

#define VMS   7
#define PAGES 400

/* Distinct digests of all the VMs on one host, the plain way. */
static uint64_t union_of(const struct mb_fingerprint *fps, const uint32_t *host, uint32_t on)
{
	uint64_t all[VMS * PAGES], tmp[VMS * PAGES], n_union = 0;
	size_t n = 0;

	for (uint32_t v = 0; v < VMS; v++)
		for (uint32_t i = 0; i < fps[v].n_distinct && host[v] == on; i++)
			all[n++] = fps[v].digests[i];
	mb_sort_u64(all, tmp, n);
	for (size_t i = 0; i < n; i++)
		n_union += i == 0 || all[i] != all[i - 1];
	return n_union;
}

/* Digests of v that another VM on its host has, the plain way. */
static uint64_t shared_on_host(const struct mb_fingerprint *fps, const uint32_t *host, uint32_t v)
{
	uint64_t n = 0;

	for (uint32_t i = 0; i < fps[v].n_distinct && host[v] != MB_NOWHERE; i++) {
		bool found = false;

		for (uint32_t u = 0; u < VMS; u++)
			for (uint32_t k = 0; k < fps[u].n_distinct && u != v && host[u] == host[v];
			     k++)
				found |= fps[u].digests[k] == fps[v].digests[i];
		n += found;
	}
	return n;
}

static void test_unions_against_brute_force(void **state)
{
	const uint64_t vm_mb[VMS] = { 1, 1, 1, 1, 1, 1, 1 }, host_mb[] = { 9, 9, 9, 9 };
	struct rng r = { 6 };

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		struct mb_fingerprint fps[VMS];
		struct mb_digest_list lists[VMS];
		uint64_t unions[4], here[VMS], saved = 0;
		struct mb_err err = { 0 };
		uint32_t host[VMS];
		struct fleet f;

		fleet_init(&f, VMS, vm_mb, 4, host_mb);
		for (uint32_t v = 0; v < VMS; v++) {
			random_fingerprint(&r, rng_below(&r, PAGES), 30 + rng_below(&r, 800),
					   &fps[v]);
			lists[v] = (struct mb_digest_list){ fps[v].digests, fps[v].n_distinct };
			f.vms[v].pages = fps[v].n_pages;
			f.vms[v].distinct = fps[v].n_distinct;
			host[v] = (uint32_t)rng_below(&r, 5);
			host[v] = host[v] == 4 ? MB_NOWHERE : host[v];
			saved += host[v] == MB_NOWHERE ? 0 : fps[v].n_distinct;
		}
		assert_ok(mb_groups_compute(&f.groups, lists, VMS, 0, UINT64_MAX, &err), &err);
		mb_score_here(&f.view, host, here);
		for (uint32_t v = 0; v < VMS; v++)
			assert_int_equal(here[v], shared_on_host(fps, host, v));
		mb_score_unions(&f.view, host, unions);
		for (uint32_t h = 0; h < 4; h++) {
			uint8_t on_host[VMS];
			uint64_t distinct = 0;

			assert_int_equal(unions[h], union_of(fps, host, h));
			assert_int_equal(mb_score_union_pages(&f.view, host, h), unions[h]);
			for (uint32_t v = 0; v < VMS; v++) {
				on_host[v] = host[v] == h;
				distinct += on_host[v] ? fps[v].n_distinct : 0;
			}
			assert_int_equal(mb_groups_inter_saving(&f.groups, on_host),
					 distinct - unions[h]);
			saved -= unions[h];
		}
		assert_int_equal(mb_score_inter_pages(&f.view, host), saved);
		for (uint32_t v = 0; v < VMS; v++)
			mb_fingerprint_deinit(&fps[v]);
		fleet_deinit(&f);
	}
}

static void test_more_hosts_than_a_block(void **state)
{
	static struct mb_plan_host hosts[3000];
	const uint64_t vm_mb[] = { 1, 1, 1, 1, 1 }, host_mb[] = { 9 };
	const uint32_t host[] = { 2999, 1024, 2999, 1024, MB_NOWHERE };
	static uint64_t unions[3000];
	struct fleet f;

	(void)state;
	for (size_t h = 0; h < 3000; h++)
		hosts[h] = (struct mb_plan_host){ .name = "h", .memory_mb = 9 };
	fleet_init(&f, 5, vm_mb, 1, host_mb);
	f.view.hosts = hosts;
	f.view.n_hosts = 3000;
	fleet_share(&f, 0x1f, 70);
	assert_int_equal(mb_score_inter_pages(&f.view, host), 140);
	mb_score_unions(&f.view, host, unions);
	assert_int_equal(unions[2999], 2 * 970 - 70);
	assert_int_equal(unions[1024], 2 * 970 - 70);
	assert_int_equal(unions[0], 0);
	fleet_deinit(&f);
}

static void test_figures_of_a_plan(void **state)
{
	const uint64_t vm_mb[] = { 8, 8 }, host_mb[] = { 8, 16 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_plan plan;
	struct fleet f;

	(void)state;
	/* 900 + 400 distinct of 1000 + 400 pages: 5.07 MB, cut to 5. */
	fleet_init(&f, 2, vm_mb, 2, host_mb);
	fleet_share(&f, 3, 400);
	f.vms[0].host = 0;
	f.vms[1].host = 1;
	assert_ok(mb_plan_make(&plan, &mb_planner_best, &f.view, &o, &err), &err);
	assert_int_equal(plan.before_mb[0], 5);
	assert_int_equal(plan.before_mb[1], 5);
	assert_int_equal(plan.before_total_mb, 10);
	assert_int_equal(plan.saving_before_pages, 200);
	/* 2600 - 400 = 2200 pages. */
	assert_int_equal(plan.after_mb[0], 0);
	assert_int_equal(plan.after_mb[1], 8);
	assert_int_equal(plan.after_total_mb, 8);
	assert_int_equal(plan.saving_after_pages, 600);
	assert_int_equal(plan.n_moves, 1);
	mb_plan_deinit(&plan);
	fleet_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unions_against_brute_force),
		cmocka_unit_test(test_more_hosts_than_a_block),
		cmocka_unit_test(test_figures_of_a_plan),
	};

	return cmocka_run_group_tests_name("plan_score", tests, NULL, NULL);
}
