// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "server/plan/question.h"

/* The others where they are, the VM and those that go with it on `host` (or nowhere). */
static void put_group(const struct model *m, uint32_t vm, uint32_t host, uint32_t *at)
{
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		at[v] = model_together(m, vm, v) ? host : m->f.vms[v].host;
}

static bool pinned_elsewhere(const struct model *m, uint32_t vm, uint32_t host)
{
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (v != vm && m->f.vms[v].pinned && m->f.vms[v].host != host &&
		    model_together(m, vm, v))
			return true;
	return false;
}

static bool fits(const struct model *m, uint32_t vm, uint32_t host)
{
	enum mb_host_state state = m->f.hosts[host].state;
	uint32_t without[FLEET_VMS_MAX], with[FLEET_VMS_MAX];
	int64_t size = 0;

	put_group(m, vm, MB_NOWHERE, without);
	put_group(m, vm, host, with);
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		size += model_together(m, vm, v) ? model_full(m, v) : 0;
	return (state == MB_HOST_ACTIVE || state == MB_HOST_POOL) &&
	       !pinned_elsewhere(m, vm, host) && model_gets_on(m, with, host) &&
	       size <= model_room(m, without, host);
}

static void check_host(const struct model *m, const struct mb_rank *got, uint32_t vm)
{
	uint32_t without[FLEET_VMS_MAX], with[FLEET_VMS_MAX], alone[FLEET_VMS_MAX];
	uint64_t before, after, own;

	put_group(m, vm, MB_NOWHERE, without);
	put_group(m, vm, got->host, with);
	memset(alone, 0xff, sizeof(alone));
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (model_together(m, vm, v))
			alone[v] = got->host;
	before = mb_score_union_pages(&m->f.view, without, got->host);
	after = mb_score_union_pages(&m->f.view, with, got->host);
	own = mb_score_union_pages(&m->f.view, alone, got->host);
	assert_int_equal(got->fits, fits(m, vm, got->host));
	assert_int_equal(got->wakes, m->f.hosts[got->host].state == MB_HOST_POOL);
	assert_int_equal(got->used_after_mb, after / MB_PLAN_PAGES_PER_MB);
	/* Planner paper: what the group would find there. */
	assert_true(got->value == (double)(before + own - after));
	without[vm] = got->host;
	assert_int_equal(got->gain_pages,
			 before + m->f.vms[vm].distinct -
				 mb_score_union_pages(&m->f.view, without, got->host));
	assert_true(strlen(got->reason) > 0);
}

static bool in_order(const struct mb_rank *a, const struct mb_rank *b)
{
	if (a->fits != b->fits)
		return a->fits;
	if (a->wakes != b->wakes)
		return b->wakes;
	if (a->value > b->value || a->value < b->value)
		return a->value > b->value;
	return a->host < b->host;
}

static void test_random_fleets(void **state)
{
	unsigned int good = 0, bad = 0;
	struct rng r = { 11 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 1 + (uint32_t)rng_below(&r, 8), vm = (uint32_t)rng_below(&r, n);
		uint32_t seen = 0;
		struct mb_err err = { 0 };
		struct mb_rank *got;
		struct model m;

		model_random(&r, &m, n, 1 + (uint32_t)rng_below(&r, 5));
		model_settle(&r, &m);
		for (uint32_t v = 0; v < n; v++)
			m.f.vms[v].pinned = m.f.vms[v].host != MB_NOWHERE && !rng_below(&r, 8);
		assert_ok(mb_plan_rank(&got, &mb_planner_paper, &m.f.view, &m.o, vm, &err), &err);
		for (uint32_t k = 0; k < m.f.view.n_hosts; k++) {
			seen |= 1u << got[k].host;
			check_host(&m, &got[k], vm);
			assert_true(!k || in_order(&got[k - 1], &got[k]));
			*(got[k].fits ? &good : &bad) += 1;
		}
		assert_int_equal(seen, (1u << m.f.view.n_hosts) - 1);
		free(got);
		model_deinit(&m);
	}
	assert_true(good > MODEL_FLEETS && bad > MODEL_FLEETS);
}

static void expect(const struct model *m, uint32_t vm, uint32_t place, uint32_t host,
		   const char *reason)
{
	struct mb_err err = { 0 };
	struct mb_rank *got;

	assert_ok(mb_plan_rank(&got, &mb_planner_best, &m->f.view, &m->o, vm, &err), &err);
	assert_int_equal(got[place].host, host);
	if (!strstr(got[place].reason, reason))
		fail_msg("\"%s\" does not say \"%s\"", got[place].reason, reason);
	free(got);
}

static void test_order_and_reasons(void **state)
{
	/* v1 shares most with v0, v2 a little; h3 is in the pool; h4 is too small; h5 is full. */
	const uint64_t vm_mb[] = { 4, 4, 4, 8 }, host_mb[] = { 8, 8, 8, 8, 2, 8 };
	struct model m = { 0 };
	struct mb_err err = { 0 };
	struct mb_rank *got;

	(void)state;
	fleet_init(&m.f, 4, vm_mb, 6, host_mb);
	fleet_share(&m.f, 3, 1024);
	fleet_share(&m.f, 5, 256);
	m.f.vms[1].host = 0;
	m.f.vms[2].host = 1;
	m.f.vms[3].host = 5;
	m.f.hosts[3].state = MB_HOST_POOL;
	expect(&m, 0, 0, 0,
	       "4.0 MB of its pages are there already, most of them, 4.0 MB, in \"v1\"");
	m.f.vms[0].sample_shift = 4;
	expect(&m, 0, 0, 0,
	       "4.0 +-1.1 MB of its pages are there already, most of them, 4.0 +-1.1 MB, in");
	m.f.vms[0].sample_shift = 0;
	/* An empty host is worth 60 % of the 5 MB that it could share. */
	expect(&m, 0, 1, 2, "it has room, and is empty");
	expect(&m, 0, 2, 1, "1.0 MB of its pages are there already");
	expect(&m, 0, 3, 3, "it has room, and is empty");
	expect(&m, 0, 4, 4, "no room: it needs 4 MB on arrival, 2 MB are left");
	expect(&m, 0, 5, 5, "no room: it needs 4 MB on arrival, 0 MB are left");
	/* Where it runs already is ranked as the others are. */
	m.f.vms[0].host = 1;
	expect(&m, 0, 0, 0, "\"v1\"");
	expect(&m, 0, 2, 1, "\"v2\"");
	/* But not if it would not be let in again. */
	m.f.hosts[1].state = MB_HOST_MAINTENANCE;
	expect(&m, 0, 4, 1, "maintenance");
	m.f.hosts[1].state = MB_HOST_ACTIVE;
	assert_fails(mb_plan_rank(&got, &mb_planner_best, &m.f.view, &m.o, 4, &err), EINVAL, &err,
		     "VM 4 of 4");
	model_deinit(&m);
}

/* Who must be with a pinned VM has no choice. */
static void test_with_one_that_is_pinned(void **state)
{
	const uint64_t vm_mb[] = { 4, 4 }, host_mb[] = { 8, 8 };
	struct model m = { 0 };

	(void)state;
	fleet_init(&m.f, 2, vm_mb, 2, host_mb);
	model_add_rule(&m, MB_RULE_TOGETHER, 3);
	m.f.vms[1].host = 1;
	m.f.vms[1].pinned = true;
	expect(&m, 0, 0, 1, "it has room");
	expect(&m, 0, 1, 0, "\"v1\", which it must be with, is pinned to \"h1\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_fleets),
		cmocka_unit_test(test_order_and_reasons),
		cmocka_unit_test(test_with_one_that_is_pinned),
	};

	return cmocka_run_group_tests_name("plan_rank", tests, NULL, NULL);
}
