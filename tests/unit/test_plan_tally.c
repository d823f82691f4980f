// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

#include "server/plan/tally.h"

static uint64_t saving_with(const struct fleet *f, const struct mb_tally *t, uint32_t vm,
			    uint32_t host)
{
	uint32_t at[FLEET_VMS_MAX];

	memcpy(at, t->host, f->view.n_vms * sizeof(*at));
	at[vm] = host;
	return mb_score_inter_pages(&f->view, at);
}

static void check(const struct fleet *f, struct mb_tally *t)
{
	assert_int_equal(t->saving, mb_score_inter_pages(&f->view, t->host));
	for (uint32_t v = 0; v < f->view.n_vms; v++) {
		uint64_t without = saving_with(f, t, v, MB_NOWHERE);

		if (t->host[v] != MB_NOWHERE)
			assert_int_equal(mb_tally_own(t, v), t->saving - without);
		for (uint32_t h = 0; h < f->view.n_hosts; h++)
			if (h != t->host[v])
				assert_int_equal(mb_tally_gain(t, h, v),
						 saving_with(f, t, v, h) - without);
	}
}

static void check_swap(const struct fleet *f, struct mb_tally *t, uint32_t a, uint32_t b)
{
	uint32_t at[FLEET_VMS_MAX];

	memcpy(at, t->host, f->view.n_vms * sizeof(*at));
	at[a] = t->host[b];
	at[b] = t->host[a];
	assert_int_equal(mb_tally_swap(t, a, b, mb_tally_own(t, a), mb_tally_own(t, b)),
			 (int64_t)(mb_score_inter_pages(&f->view, at) - t->saving));
}

static void test_every_figure_after_every_move(void **state)
{
	struct mb_plan_options o = { .overcommit_percent = 20 };
	struct rng r = { 8 };

	(void)state;
	/* From one host to many beside small groups: counters per host, and lists of them. */
	for (unsigned int i = 0; i < 60; i++) {
		uint32_t n_vms = 2 + (uint32_t)rng_below(&r, 9), n_hosts = 1 + i % 16;
		struct mb_err err = { 0 };
		struct mb_tally t;
		struct fleet f;

		fleet_random(&r, &f, n_vms, n_hosts, i & 1);
		assert_ok(mb_tally_init(&t, &f.view, &o, &err), &err);
		for (unsigned int step = 0; step < 40; step++) {
			uint32_t v = (uint32_t)rng_below(&r, n_vms);
			uint32_t u = (uint32_t)rng_below(&r, n_vms);

			if (t.host[v] == MB_NOWHERE)
				mb_tally_put(&t, v, (uint32_t)rng_below(&r, n_hosts));
			else if (rng_below(&r, 3) == 0)
				mb_tally_take(&t, v);
			check(&f, &t);
			if (t.host[v] != MB_NOWHERE && t.host[u] != MB_NOWHERE &&
			    t.host[u] != t.host[v])
				check_swap(&f, &t, v, u);
		}
		mb_tally_clear(&t);
		check(&f, &t);
		for (uint32_t h = 0; h < n_hosts; h++)
			assert_int_equal(t.room[h] / MB_TALLY_MB, f.hosts[h].memory_mb * 120 / 100);
		mb_tally_deinit(&t);
		fleet_deinit(&f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_figure_after_every_move),
	};

	return cmocka_run_group_tests_name("plan_tally", tests, NULL, NULL);
}
