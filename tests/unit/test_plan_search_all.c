// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/cleanup.h"
#include "server/plan/search.h"
#include "tests/unit/util_fleet.h"

#define PLENTY ((uint64_t)1 << 40)

struct looked {
	uint32_t host[FLEET_VMS_MAX];
	bool found, all;
	uint64_t work;
};

static struct looked look(const struct mb_fleet_view *view, const struct mb_plan_options *o,
			  const uint64_t *more_than, uint64_t work)
{
	struct looked l;
	struct mb_search s;
	struct mb_err err = { 0 };

	assert_ok(mb_search_init(&s, view, o, &err), &err);
	l.work = s.tally.work;
	l.all = mb_search_all(&s, more_than, work, l.host, &l.found);
	l.work = s.tally.work - l.work;
	mb_search_deinit(&s);
	return l;
}

static void test_finds_the_optimum(void **state)
{
	struct rng r = { 1 };
	unsigned int solved = 0, impossible = 0;

	(void)state;
	for (unsigned int i = 0; i < 400; i++) {
		struct mb_plan_options o = { .overcommit_percent = (uint32_t)rng_below(&r, 40) };
		struct looked l, more;
		uint64_t optimum;
		struct fleet f;

		fleet_random(&r, &f, 1 + (uint32_t)rng_below(&r, 7), 1 + (uint32_t)rng_below(&r, 3),
			     rng_below(&r, 2));
		optimum = fleet_optimum(&f, &o);
		l = look(&f.view, &o, NULL, PLENTY);
		assert_true(l.all);
		assert_int_equal(l.found, optimum != UINT64_MAX);
		if (l.found) {
			assert_true(fleet_fits(&f, &o, l.host));
			assert_int_equal(mb_score_inter_pages(&f.view, l.host), optimum);
			/* Nothing is more than the most. */
			more = look(&f.view, &o, &optimum, PLENTY);
			assert_true(more.all && !more.found);
			solved++;
		}
		impossible += !l.found;
		if (l.found && optimum) {
			optimum--;
			assert_true(look(&f.view, &o, &optimum, PLENTY).found);
		}
		fleet_deinit(&f);
	}
	assert_true(solved > 100 && impossible > 50);
}

/* Rules, pins and counted sharing, against what the tally says of every placement. */
static void test_rules_and_counted_sharing(void **state)
{
	struct rng r = { 2 };
	unsigned int solved = 0, beyond = 0;

	(void)state;
	for (unsigned int i = 0; i < 200; i++) {
		const struct mb_plan_options o = { .count_sharing_percent = 100,
						   .one_tenant_per_host = rng_below(&r, 4) == 0 };
		const uint32_t n_hosts = 2 + (uint32_t)rng_below(&r, 2), apart[] = { 0, 2 };
		const struct mb_plan_rule rule = { MB_RULE_APART, "apart", apart, 2 };
		uint64_t most = 0;
		uint32_t host[5] = { 0 }, v;
		bool any = false;
		struct mb_search s;
		struct mb_err err = { 0 };
		struct looked l;
		struct fleet f;

		fleet_random(&r, &f, 5, n_hosts, rng_below(&r, 2));
		f.view.rules = &rule;
		f.view.n_rules = (uint32_t)rng_below(&r, 2);
		for (v = 0; v < 5; v++)
			f.vms[v].tenant = (uint32_t)rng_below(&r, 2);
		f.vms[4].host = 1;
		f.vms[4].pinned = rng_below(&r, 2);
		assert_ok(mb_search_init(&s, &f.view, &o, &err), &err);
		do {
			bool fits = true;

			mb_tally_clear(&s.tally);
			for (v = 0; v < 5 && fits; v++) {
				if (s.tally.host[v] != MB_NOWHERE) {
					fits = host[v] == s.tally.host[v];
					continue;
				}
				fits = mb_tally_fits(&s.tally, v, host[v]);
				if (fits)
					mb_tally_put(&s.tally, v, host[v]);
			}
			if (fits) {
				most = MB_MAX(most, s.tally.saving);
				beyond += !fleet_fits(&f, &o, host);
			}
			any |= fits;
			for (v = 0; v < 5 && ++host[v] == n_hosts; v++)
				host[v] = 0;
		} while (v < 5);
		l = look(&f.view, &o, NULL, PLENTY);
		assert_true(l.all);
		assert_int_equal(l.found, any);
		if (any) {
			mb_tally_load(&s.tally, l.host);
			assert_int_equal(s.tally.saving, most);
			solved++;
		}
		mb_search_deinit(&s);
		fleet_deinit(&f);
	}
	/* Of what was counted some would not have fitted at full size. */
	assert_true(solved > 50 && beyond > 50);
}

static void test_stops_where_it_must(void **state)
{
	const struct mb_plan_options o = { 0 };
	struct rng r = { 3 };
	struct looked l, again;
	struct fleet f;

	(void)state;
	fleet_random(&r, &f, MB_SEARCH_ALL_VMS_MAX, 5, false);
	for (uint32_t h = 0; h < 5; h++)
		f.hosts[h].memory_mb *= 2;
	l = look(&f.view, &o, NULL, 20000);
	assert_true(l.found && !l.all);
	assert_true(l.work < 40000);
	again = look(&f.view, &o, NULL, 20000);
	assert_memory_equal(l.host, again.host, f.view.n_vms * sizeof(*l.host));
	fleet_deinit(&f);

	fleet_random(&r, &f, MB_SEARCH_ALL_VMS_MAX + 1, 5, false);
	l = look(&f.view, &o, NULL, PLENTY);
	assert_false(l.found || l.all);
	/* Pinned ones are no question. */
	f.vms[3].host = 2;
	f.vms[3].pinned = true;
	f.hosts[2].memory_mb *= 20;
	l = look(&f.view, &o, NULL, 20000);
	assert_true(l.found);
	assert_int_equal(l.host[3], 2);
	fleet_deinit(&f);
}

/* Interchangeable hosts are looked at once: else this would take 15! / 5! times as long. */
static void test_equal_hosts_are_one(void **state)
{
	const struct mb_plan_options o = { 0 };
	uint64_t vm_mb[10], host_mb[15];
	struct looked l;
	struct fleet f;

	(void)state;
	for (size_t i = 0; i < 15; i++)
		host_mb[i] = vm_mb[i % 10] = 100;
	fleet_init(&f, 10, vm_mb, 15, host_mb);
	fleet_share(&f, 0x3ff, 1000);
	l = look(&f.view, &o, NULL, 1000000);
	assert_true(l.found && l.all);
	/* Except where something tells them apart. */
	f.hosts[14].capacity[MB_CPU_MILLICORES] = 100;
	f.vms[0].mean[MB_CPU_MILLICORES] = 50;
	l = look(&f.view, &o, NULL, 10000);
	assert_true(l.found && !l.all);
	fleet_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_finds_the_optimum),
		cmocka_unit_test(test_rules_and_counted_sharing),
		cmocka_unit_test(test_stops_where_it_must),
		cmocka_unit_test(test_equal_hosts_are_one),
	};

	return cmocka_run_group_tests_name("plan_search_all", tests, NULL, NULL);
}
