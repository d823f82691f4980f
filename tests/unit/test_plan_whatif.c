// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "server/plan/question.h"

/* Is a host part of a rule that wants VMs together, and some are elsewhere? */
static bool is_split(const struct model *m, const uint32_t *at, uint32_t host)
{
	for (uint32_t i = 0; i < m->f.view.n_rules; i++) {
		bool here = false, elsewhere = false;

		for (uint32_t k = 0; k < m->rules[i].n_vms; k++) {
			uint32_t on = at[m->rules[i].vms[k]];

			here |= on == host;
			elsewhere |= on != host && on != MB_NOWHERE;
		}
		if (m->rules[i].kind == MB_RULE_TOGETHER && here && elsewhere)
			return true;
	}
	return false;
}

static bool fits(const struct model *m, const uint32_t *at, uint32_t host)
{
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (at[v] == host && !model_is_open(m, v, host))
			return false;
	return model_gets_on(m, at, host) && model_room(m, at, host) >= 0 &&
	       (!m->o.inflow_max || model_inflow(m, at, host) <= m->o.inflow_max) &&
	       !is_split(m, at, host);
}

static void check_host(const struct model *m, const struct mb_whatif_host *got, const uint32_t *at,
		       const uint64_t *zero, uint32_t host)
{
	uint64_t full_mb = 0, pages = 0, zeros = 0, self = 0;

	for (uint32_t v = 0; v < m->f.view.n_vms; v++) {
		const struct mb_plan_vm *vm = &m->f.vms[v];

		if (at[v] != host)
			continue;
		full_mb += vm->memory_mb;
		pages += vm->pages;
		zeros += zero && zero[v] ? zero[v] - 1 : 0;
		self += vm->pages - vm->distinct;
	}
	assert_int_equal(got->full_mb, full_mb);
	assert_int_equal(got->pages, pages);
	assert_int_equal(got->zero_pages, zeros);
	assert_int_equal(got->self_pages, self - zeros);
	assert_int_equal(got->distinct_pages, mb_score_union_pages(&m->f.view, at, host));
	assert_int_equal(got->zero_pages + got->self_pages + got->inter_pages + got->distinct_pages,
			 pages);
	assert_int_equal(got->fits, fits(m, at, host));
	assert_int_equal(got->fits, !*got->reason);
}

static void test_random_placements(void **state)
{
	unsigned int good = 0, bad = 0;
	struct rng r = { 10 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 1 + (uint32_t)rng_below(&r, 7), at[FLEET_VMS_MAX];
		struct mb_whatif_host got[FLEET_HOSTS_MAX];
		uint64_t zero[FLEET_VMS_MAX];
		const uint64_t *zeros = rng_below(&r, 4) ? zero : NULL;
		struct mb_err err = { 0 };
		struct model m;

		model_random(&r, &m, n, 1 + (uint32_t)rng_below(&r, 5));
		model_scatter(&r, &m);
		if (m.f.vms[0].host != MB_NOWHERE)
			m.f.vms[0].pinned = rng_below(&r, 2);
		for (uint32_t v = 0; v < n; v++) {
			zero[v] = rng_below(&r, m.f.vms[v].pages - m.f.vms[v].distinct + 2);
			at[v] = (uint32_t)rng_below(&r, m.f.view.n_hosts + 1);
			if (at[v] == m.f.view.n_hosts)
				at[v] = MB_NOWHERE;
		}
		assert_ok(mb_plan_whatif(got, &m.f.view, &m.o, at, zeros, &err), &err);
		for (uint32_t h = 0; h < m.f.view.n_hosts; h++) {
			check_host(&m, &got[h], at, zeros, h);
			*(got[h].fits ? &good : &bad) += 1;
		}
		model_deinit(&m);
	}
	assert_true(good > MODEL_FLEETS / 2 && bad > MODEL_FLEETS / 2);
}

static void expect(const struct model *m, const uint32_t *at, uint32_t host, const char *reason)
{
	struct mb_whatif_host got[FLEET_HOSTS_MAX];
	struct mb_err err = { 0 };

	assert_ok(mb_plan_whatif(got, &m->f.view, &m->o, at, NULL, &err), &err);
	if (!strstr(got[host].reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", got[host].reason, reason);
}

static void test_reasons(void **state)
{
	const uint64_t vm_mb[] = { 4, 4, 4 }, host_mb[] = { 8, 8, 8 };
	const uint32_t all[] = { 0, 0, 0 }, split[] = { MB_NOWHERE, 0, 1 };
	const uint32_t far[] = { 0, MB_NOWHERE, 1 };
	struct model m = { 0 };

	(void)state;
	fleet_init(&m.f, 3, vm_mb, 3, host_mb);
	expect(&m, all, 0, "no room for VM \"v2\": 4 MB too much");
	m.f.hosts[0].memory_mb = 12;
	expect(&m, all, 0, "");
	m.o.inflow_max = 1;
	expect(&m, all, 0, "");
	m.f.vms[0].host = m.f.vms[1].host = 1;
	expect(&m, all, 0, "VM \"v1\": 1 VMs come there already");
	m.o.inflow_max = 0;
	/* Who is not asked about does not hide that the others are apart. */
	model_add_rule(&m, MB_RULE_TOGETHER, 7);
	expect(&m, all, 0, "");
	expect(&m, split, 0, "rule \"r0\" wants VM \"v1\" together with others");
	expect(&m, split, 1, "rule \"r0\" wants VM \"v2\" together with others");
	expect(&m, far, 0, "rule \"r0\" wants VM \"v0\" together with others");
	expect(&m, split, 2, "");
}

static void test_no_such_host(void **state)
{
	const uint64_t mb[] = { 1, 1 };
	const uint32_t at[] = { 0, 2 };
	struct mb_whatif_host got[2];
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct fleet f;

	(void)state;
	fleet_init(&f, 2, mb, 2, mb);
	assert_fails(mb_plan_whatif(got, &f.view, &o, at, NULL, &err), EINVAL, &err,
		     "VM \"v1\" on host 2 of 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_placements),
		cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_no_such_host),
	};

	return cmocka_run_group_tests_name("plan_whatif", tests, NULL, NULL);
}
