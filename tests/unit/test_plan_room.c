// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "server/plan/room.h"

/* The whole of a placement on one host, as room.h promises. */
static bool allowed(const struct model *m, const uint32_t *at, uint32_t host)
{
	if (m->o.inflow_max && model_inflow(m, at, host) > m->o.inflow_max)
		return false;
	for (uint32_t v = 0; v < m->f.view.n_vms; v++)
		if (at[v] == host && !model_is_open(m, v, host))
			return false;
	return model_gets_on(m, at, host);
}

static void shuffle(struct rng *r, uint32_t *order, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		order[i] = i;
	for (uint32_t i = n; i > 1; i--) {
		uint32_t k = (uint32_t)rng_below(r, i), t = order[k];

		order[k] = order[i - 1];
		order[i - 1] = t;
	}
}

/* VMs come and go; each question is answered as by who is there then. */
static void test_come_and_go(void **state)
{
	struct rng r = { 1 };
	unsigned int yes = 0, no = 0;

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 1 + (uint32_t)rng_below(&r, 8), at[FLEET_VMS_MAX];
		struct mb_err err = { 0 };
		struct mb_room room;
		struct model m;

		model_random(&r, &m, n, 1 + (uint32_t)rng_below(&r, 4));
		model_scatter(&r, &m);
		assert_ok(mb_room_init(&room, &m.f.view, &m.o, &err), &err);
		memset(at, 0xff, sizeof(at));
		for (unsigned int step = 0; step < 40; step++) {
			uint32_t v = (uint32_t)rng_below(&r, n), from = at[v];
			uint32_t host = (uint32_t)rng_below(&r, m.f.view.n_hosts);
			bool want;

			if (from != MB_NOWHERE) {
				mb_room_take(&room, v, from);
				at[v] = MB_NOWHERE;
			}
			at[v] = host;
			want = allowed(&m, at, host);
			assert_int_equal(mb_room_allows(&room, v, host, MB_NOWHERE, NULL, 0), want);
			*(want ? &yes : &no) += 1;
			at[v] = want ? host : MB_NOWHERE;
			if (want)
				mb_room_put(&room, v, host);
			if (rng_below(&r, 20) == 0) {
				mb_room_clear(&room);
				memset(at, 0xff, sizeof(at));
			}
		}
		mb_room_deinit(&room);
		model_deinit(&m);
	}
	assert_true(yes > MODEL_FLEETS && no > MODEL_FLEETS);
}

/* A placement is allowed just if its VMs can be put one after the other, in any order. */
static void test_any_order(void **state)
{
	struct rng r = { 2 };
	unsigned int good = 0;

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 1 + (uint32_t)rng_below(&r, 6), at[FLEET_VMS_MAX];
		bool want = true;
		struct mb_err err = { 0 };
		struct mb_room room;
		struct model m;

		model_random(&r, &m, n, 1 + (uint32_t)rng_below(&r, 5));
		model_scatter(&r, &m);
		for (uint32_t v = 0; v < n; v++)
			at[v] = (uint32_t)rng_below(&r, m.f.view.n_hosts);
		for (uint32_t h = 0; h < m.f.view.n_hosts; h++)
			want &= allowed(&m, at, h);
		good += want;
		assert_ok(mb_room_init(&room, &m.f.view, &m.o, &err), &err);
		for (unsigned int k = 0; k < 5; k++) {
			uint32_t order[FLEET_VMS_MAX];
			bool got = true;

			shuffle(&r, order, n);
			mb_room_clear(&room);
			for (uint32_t v = 0; v < n && got; v++) {
				got = mb_room_allows(&room, order[v], at[order[v]], MB_NOWHERE,
						     NULL, 0);
				mb_room_put(&room, order[v], at[order[v]]);
			}
			assert_int_equal(got, want);
		}
		mb_room_deinit(&room);
		model_deinit(&m);
	}
	assert_true(good > MODEL_FLEETS / 20);
}

/* `without` is as if that VM had been taken; and a take undoes a put. */
static void test_without(void **state)
{
	struct rng r = { 3 };
	unsigned int differ = 0;

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		uint32_t n = 2 + (uint32_t)rng_below(&r, 6);
		uint32_t n_hosts = 1 + (uint32_t)rng_below(&r, 3);
		uint32_t vm = (uint32_t)rng_below(&r, n), host = (uint32_t)rng_below(&r, n_hosts);
		struct mb_err err = { 0 };
		struct mb_room room;
		struct model m;

		model_random(&r, &m, n, n_hosts);
		model_scatter(&r, &m);
		assert_ok(mb_room_init(&room, &m.f.view, &m.o, &err), &err);
		for (uint32_t v = 0; v < n; v++)
			if (v != vm && mb_room_allows(&room, v, host, MB_NOWHERE, NULL, 0))
				mb_room_put(&room, v, host);
		for (uint32_t v = 0; v < n; v++) {
			bool before, without, taken;

			if (v == vm)
				continue;
			before = mb_room_allows(&room, vm, host, MB_NOWHERE, NULL, 0);
			if (mb_room_allows(&room, v, host, MB_NOWHERE, NULL, 0))
				mb_room_put(&room, v, host);
			else
				continue;
			without = mb_room_allows(&room, vm, host, v, NULL, 0);
			differ += without != mb_room_allows(&room, vm, host, MB_NOWHERE, NULL, 0);
			mb_room_take(&room, v, host);
			taken = mb_room_allows(&room, vm, host, MB_NOWHERE, NULL, 0);
			assert_int_equal(without, taken);
			assert_int_equal(before, taken);
		}
		mb_room_deinit(&room);
		model_deinit(&m);
	}
	assert_true(differ > MODEL_FLEETS / 100);
}

static void expect(const struct mb_fleet_view *f, const struct mb_plan_options *o,
		   const char *reason)
{
	struct mb_err err = { 0 };
	struct mb_room room;
	char why[200] = "";

	assert_ok(mb_room_init(&room, f, o, &err), &err);
	mb_room_put(&room, 1, 0);
	assert_int_equal(mb_room_allows(&room, 0, 0, MB_NOWHERE, why, sizeof(why)), !reason);
	if (reason && !strstr(why, reason))
		fail_msg("\"%s\" does not say \"%s\"", why, reason);
	mb_room_deinit(&room);
}

/* v1 is on h0; why may v0 not come there? */
static void test_reasons(void **state)
{
	static const uint32_t both[] = { 0, 1 };
	const struct mb_plan_rule apart = { MB_RULE_APART, "replicas", both, 2 };
	const uint64_t mb[] = { 1, 1 };
	struct mb_plan_options o = { 0 };
	struct fleet f;

	(void)state;
	fleet_init(&f, 2, mb, 2, mb);
	expect(&f.view, &o, NULL);
	f.hosts[0].state = MB_HOST_MAINTENANCE;
	expect(&f.view, &o, "maintenance");
	f.hosts[0].state = MB_HOST_POOL;
	expect(&f.view, &o, "pool");
	f.hosts[0].state = MB_HOST_EMPTYING;
	expect(&f.view, &o, "drained");
	f.hosts[0].state = MB_HOST_ACTIVE;
	f.hosts[0].trust = 1;
	expect(&f.view, &o, "of another trust domain only");
	f.hosts[0].trust = 0;
	f.vms[0].trust = f.vms[0].tenant = 1;
	expect(&f.view, &o, NULL);
	o.one_trust_domain_per_host = true;
	expect(&f.view, &o, "VMs of another trust domain");
	o.one_trust_domain_per_host = false;
	o.one_tenant_per_host = true;
	expect(&f.view, &o, "another tenant");
	o.one_tenant_per_host = false;
	f.view.rules = &apart;
	f.view.n_rules = 1;
	expect(&f.view, &o, "\"replicas\"");
	f.view.n_rules = 0;
	o.inflow_max = 1;
	expect(&f.view, &o, NULL);
	f.vms[0].host = f.vms[1].host = 1;
	expect(&f.view, &o, "1 VMs come there already");
	o.inflow_max = 0;
	f.hosts[0].capacity[MB_NETWORK_KBIT_S] = 10;
	f.vms[0].mean[MB_NETWORK_KBIT_S] = 4;
	f.vms[1].mean[MB_NETWORK_KBIT_S] = 4;
	expect(&f.view, &o, NULL);
	o.mean_percent = 79;
	expect(&f.view, &o, "mean network: 4 of 7 kbit/s are taken, it needs 4");
	f.vms[0].peak[MB_NETWORK_KBIT_S] = 11;
	o.mean_percent = 0;
	expect(&f.view, &o, "peak network");
}

static void test_alike(void **state)
{
	const uint64_t mb[] = { 1, 1 };
	struct mb_plan_options o = { 0 };
	struct mb_err err = { 0 };
	struct mb_room room;
	struct fleet f;

	(void)state;
	fleet_init(&f, 1, mb, 2, mb);
	assert_ok(mb_room_init(&room, &f.view, &o, &err), &err);
	assert_true(mb_room_alike(&room, 0, 1));
	f.hosts[1].trust = 1;
	assert_false(mb_room_alike(&room, 0, 1));
	f.hosts[1].trust = 0;
	f.hosts[0].capacity[MB_DISK_KB_S] = 1;
	assert_false(mb_room_alike(&room, 0, 1));
	f.hosts[1].capacity[MB_DISK_KB_S] = 1;
	assert_true(mb_room_alike(&room, 0, 1));
	f.hosts[0].state = f.hosts[1].state = MB_HOST_MAINTENANCE;
	assert_false(mb_room_alike(&room, 0, 1));
	mb_room_deinit(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_come_and_go), cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_without),	    cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_alike),
	};

	return cmocka_run_group_tests_name("plan_room", tests, NULL, NULL);
}
