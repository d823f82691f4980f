// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

/* Two hosts, four VMs; all share; v0 and v1 on h0, v2 on h1. It is fine but for what a case does.
 */
struct setup {
	struct model m;
	struct mb_groups score;
	struct mb_group score_group;
	uint32_t score_vms[2];
};

static void set_up(struct setup *s)
{
	const uint64_t vm_mb[] = { 10, 20, 30, 40 }, host_mb[] = { 100, 200 };

	memset(s, 0, sizeof(*s));
	fleet_init(&s->m.f, 4, vm_mb, 2, host_mb);
	fleet_share(&s->m.f, 15, 50);
	s->m.f.vms[0].host = s->m.f.vms[1].host = 0;
	s->m.f.vms[2].host = 1;
	s->score_group = (struct mb_group){ .weight_pages = 10, .n_vms = 2 };
	s->score_vms[1] = 1;
	s->score = (struct mb_groups){ &s->score_group, 1, s->score_vms, 2 };
}

typedef void (*breaker)(struct setup *s);
#define V(i)	 s->m.f.vms[i]
#define H(i)	 s->m.f.hosts[i]
#define G	 s->m.f.groups
#define O	 s->m.o
#define APART	 MB_RULE_APART
#define TOGETHER MB_RULE_TOGETHER
#define CASE(name, code)                                                                           \
	static void name(struct setup *s)                                                          \
	{                                                                                          \
		code;                                                                              \
	}

CASE(host_large, H(1).memory_mb = UINT64_MAX / 2)
CASE(host_overcommitted, (H(1).memory_mb = (uint64_t)1 << 48, O.overcommit_percent = UINT32_MAX))
CASE(host_reserve, H(1).reserve_mb = 201)
CASE(host_capacity, H(1).capacity[MB_DISK_KB_S] = UINT64_MAX)
CASE(host_state, H(1).state = MB_HOST_STATES)
CASE(host_trust, H(1).trust = UINT32_MAX)
CASE(vm_host, V(2).host = 2)
CASE(vm_distinct, V(2).distinct = V(2).pages + 1)
CASE(vm_mean, V(2).mean[0] = UINT64_MAX)
CASE(vm_peak, V(2).peak[2] = UINT64_MAX)
CASE(vm_tenant, V(2).tenant = UINT32_MAX)
CASE(vm_trust, V(2).trust = UINT32_MAX)
CASE(vm_pinned, V(3).pinned = true)
CASE(vm_pooled, H(1).state = MB_HOST_POOL)
CASE(vm_memory, V(2).memory_mb = UINT64_MAX)
CASE(vm_sum, (V(2).memory_mb = V(3).memory_mb = (uint64_t)3 << 44))
CASE(vm_pages, V(2).pages = UINT64_MAX)
CASE(sharing_percent, O.count_sharing_percent = 101)
CASE(mean_percent, O.mean_percent = UINT32_MAX)
CASE(peak_percent, O.peak_percent = UINT32_MAX)
CASE(too_many, s->m.f.view.n_vms = UINT32_MAX)
CASE(group_alone, G.groups[0].n_vms = 1)
CASE(group_past, G.groups[0].first_vm = 1)
CASE(group_far, G.groups[0].first_vm = UINT32_MAX)
CASE(group_vm, G.vms[3] = 4)
CASE(group_twice, G.vms[3] = 2)
CASE(group_weight, G.groups[0].weight_pages = 951)
CASE(group_wraps, G.groups[0].weight_pages = UINT64_MAX)
CASE(score_vm, (s->m.f.view.score_groups = &s->score, s->score_vms[1] = 9))
CASE(score_weight, (s->m.f.view.score_groups = &s->score, s->score_group.weight_pages = 951))
CASE(rule_short, model_add_rule(&s->m, APART, 2))
CASE(rule_vm, model_add_rule(&s->m, APART, 3); s->m.rule_vms[0][1] = 4)
CASE(rule_twice, model_add_rule(&s->m, TOGETHER, 3); s->m.rule_vms[0][1] = 0)
CASE(together_tenants,
     (O.one_tenant_per_host = true, V(1).tenant = 7, (void)model_add_rule(&s->m, TOGETHER, 3)))
CASE(together_trusts,
     (O.one_trust_domain_per_host = true, V(1).trust = 7, (void)model_add_rule(&s->m, TOGETHER, 3)))
CASE(together_pinned, (V(0).pinned = V(2).pinned = true, (void)model_add_rule(&s->m, TOGETHER, 5)))
CASE(together_pinned_far,
     (V(0).pinned = V(2).pinned = true, (void)model_add_rule(&s->m, TOGETHER, 9),
      (void)model_add_rule(&s->m, TOGETHER, 12)))
CASE(apart_together, (model_add_rule(&s->m, APART, 9), (void)model_add_rule(&s->m, TOGETHER, 3),
		      (void)model_add_rule(&s->m, TOGETHER, 10)))
CASE(apart_pinned, (V(0).pinned = V(1).pinned = true, (void)model_add_rule(&s->m, APART, 3)))
CASE(apart_pinned_far, (V(0).pinned = V(1).pinned = true, model_add_rule(&s->m, APART, 9),
			(void)model_add_rule(&s->m, TOGETHER, 10)))

static const struct {
	breaker breaks;
	const char *says, *and;
} cases[] = {
	{ host_large, "host \"h1\" of", "MB" },
	{ host_overcommitted, "host \"h1\" of", "MB" },
	{ host_reserve, "\"h1\" reserves 201 MB of 200", "" },
	{ host_capacity, "\"h1\"", "capacity" },
	{ host_state, "\"h1\"", "unknown state" },
	{ host_trust, "\"h1\"", "trust domain" },
	{ vm_host, "\"v2\" is on host 2 of 2", "" },
	{ vm_distinct, "\"v2\" has 1051 distinct pages of 1050", "" },
	{ vm_mean, "\"v2\"", "load" },
	{ vm_peak, "\"v2\"", "load" },
	{ vm_tenant, "\"v2\"", "tenant" },
	{ vm_trust, "\"v2\"", "trust domain" },
	{ vm_pinned, "\"v3\" is pinned, but runs nowhere", "" },
	{ vm_pooled, "\"v2\" runs on host \"h1\"", "switched off" },
	{ vm_memory, "\"v2\" of", "MB" },
	{ vm_sum, "\"v3\" of", "MB" },
	{ vm_pages, "\"v2\" of", "pages" },
	{ sharing_percent, "101 %", "room" },
	{ mean_percent, "mean", "4294967295 %" },
	{ peak_percent, "peak", "4294967295 %" },
	{ too_many, "more than", "VMs" },
	{ group_alone, "group 0 is malformed", "" },
	{ group_past, "group 0 is malformed", "" },
	{ group_far, "group 0 is malformed", "" },
	{ group_vm, "group 0 has VM 4 of 4", "" },
	{ group_twice, "group 0 has VM 2 of 4", "" },
	{ group_weight, "\"v0\" shares more", "950 distinct" },
	{ group_wraps, "\"v0\" shares more", "" },
	{ score_vm, "group 0 has VM 9 of 4", "" },
	{ score_weight, "\"v0\" shares more", "" },
	{ rule_short, "\"r0\" names fewer than two", "" },
	{ rule_vm, "\"r0\" names VM 4 of 4", "" },
	{ rule_twice, "\"r0\" names VM 0 of 4, or one twice", "" },
	{ together_tenants, "\"r0\"", "tenants" },
	{ together_trusts, "\"v0\" and \"v1\"", "trust domains" },
	{ together_pinned, "\"v0\" and \"v2\"", "pinned to two hosts" },
	{ together_pinned_far, "\"r1\"", "pinned to two hosts" },
	{ apart_together, "\"r0\" keeps VM \"v3\" apart", "together" },
	{ apart_pinned, "\"r0\" keeps VM \"v1\" apart", "same host \"h0\"" },
	{ apart_pinned_far, "\"r0\" keeps VM \"v3\" apart", "same host \"h0\"" },
};

static void test_every_error(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct mb_err err = { 0 };
		struct setup s;

		set_up(&s);
		assert_ok(mb_plan_check(&s.m.f.view, &s.m.o, &err), &err);
		cases[i].breaks(&s);
		assert_fails(mb_plan_check(&s.m.f.view, &s.m.o, &err), EINVAL, &err, cases[i].says);
		assert_fails(mb_plan_check(&s.m.f.view, &s.m.o, &err), EINVAL, &err, cases[i].and);
		model_deinit(&s.m);
	}
}

static void test_what_is_fine(void **state)
{
	struct mb_err err = { 0 };
	struct rng r = { 7 };
	struct setup s;

	(void)state;
	/* Rules that only look like those that contradict each other. */
	set_up(&s);
	s.m.f.view.score_groups = &s.score;
	s.m.f.vms[0].pinned = s.m.f.vms[1].pinned = s.m.f.vms[2].pinned = true;
	model_add_rule(&s.m, MB_RULE_TOGETHER, 3);
	model_add_rule(&s.m, MB_RULE_APART, 5);
	model_add_rule(&s.m, MB_RULE_APART, 9);
	assert_ok(mb_plan_check(&s.m.f.view, &s.m.o, &err), &err);
	model_deinit(&s.m);
	/* Nothing is a fleet, too. */
	set_up(&s);
	model_deinit(&s.m);
	s.m.f.view.n_vms = s.m.f.view.n_hosts = 0;
	assert_ok(mb_plan_check(&s.m.f.view, &s.m.o, &err), &err);
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		struct model m;

		model_random(&r, &m, 1 + (uint32_t)rng_below(&r, 10),
			     1 + (uint32_t)rng_below(&r, 5));
		model_settle(&r, &m);
		assert_ok(mb_plan_check(&m.f.view, &m.o, &err), &err);
		model_deinit(&m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_error),
		cmocka_unit_test(test_what_is_fine),
	};

	return cmocka_run_group_tests_name("plan_check", tests, NULL, NULL);
}
