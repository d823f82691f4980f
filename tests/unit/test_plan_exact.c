// SPDX-License-Identifier: GPL-2.0-or-later
/* Planner `best` against the proven optimum, and the proof's model against trying all placements.
 */
#include "tests/exact/exact.h"
#include "tests/unit/util_fleet.h"

/* What ASan may find it finds on few fleets; how good `best` is does not depend on it. */
#ifdef __SANITIZE_ADDRESS__
#define FLEETS 50
#else
#define FLEETS 500
#endif

/* A fleet with its rules: two of APART at most. */
struct ruled {
	struct fleet f;
	struct mb_plan_options o;
	struct mb_plan_rule rules[2];
	uint32_t members[2][FLEET_VMS_MAX];
};

static void add_apart(struct rng *r, struct ruled *u)
{
	uint32_t i = u->f.view.n_rules, n = 0;

	for (uint32_t v = 0; v < u->f.view.n_vms && n < 3; v++)
		if (rng_below(r, 3) == 0)
			u->members[i][n++] = v;
	if (n < 2)
		return;
	u->rules[i] = (struct mb_plan_rule){ MB_RULE_APART, "apart", u->members[i], n };
	u->f.view.rules = u->rules;
	u->f.view.n_rules++;
}

/* Pins one VM where it is, if it fits there alone: what no plan can mend is no plan's fault. */
static void pin_one(struct rng *r, struct ruled *u)
{
	struct mb_plan_vm *vm = &u->f.vms[rng_below(r, u->f.view.n_vms)];

	vm->pinned = vm->memory_mb <= mb_plan_capacity_mb(&u->f.hosts[vm->host], &u->o);
}

static void make_ruled(struct rng *r, struct ruled *u, uint32_t n_vms, uint32_t n_hosts)
{
	*u = (struct ruled){ .o = { .overcommit_percent = (uint32_t)rng_below(r, 60) } };
	fleet_random(r, &u->f, n_vms, n_hosts, rng_below(r, 2));
	fleet_scatter(r, &u->f);
	for (unsigned int i = 0; i < 2; i++)
		if (rng_below(r, 3) == 0)
			add_apart(r, u);
	if (rng_below(r, 3) == 0)
		pin_one(r, u);
	u->o.one_tenant_per_host = rng_below(r, 4) == 0;
	for (uint32_t v = 0; v < n_vms; v++)
		u->f.vms[v].tenant = (uint32_t)rng_below(r, 3);
}

static void lift_rules(struct ruled *u)
{
	u->f.view.n_rules = 0;
	u->o.one_tenant_per_host = false;
	for (uint32_t v = 0; v < u->f.view.n_vms; v++)
		u->f.vms[v].pinned = false;
}

/* The rules once more, as naively as can be. */
static bool obeys(const struct ruled *u, const uint32_t *host)
{
	const struct mb_plan_vm *vms = u->f.vms;

	if (!fleet_fits(&u->f, &u->o, host))
		return false;
	for (uint32_t v = 0; v < u->f.view.n_vms; v++) {
		if (vms[v].pinned && host[v] != vms[v].host)
			return false;
		for (uint32_t w = 0; w < v && u->o.one_tenant_per_host; w++)
			if (host[v] == host[w] && vms[v].tenant != vms[w].tenant)
				return false;
	}
	for (uint32_t i = 0; i < u->f.view.n_rules; i++)
		for (uint32_t k = 0; k < u->rules[i].n_vms; k++)
			for (uint32_t l = 0; l < k; l++)
				if (host[u->rules[i].vms[k]] == host[u->rules[i].vms[l]])
					return false;
	return true;
}

static uint64_t try_all(const struct ruled *u)
{
	uint32_t host[FLEET_VMS_MAX] = { 0 };
	uint64_t best = UINT64_MAX;
	uint32_t v;

	do {
		if (obeys(u, host)) {
			uint64_t saving = mb_score_inter_pages(&u->f.view, host);

			best = best == UINT64_MAX || saving > best ? saving : best;
		}
		for (v = 0; v < u->f.view.n_vms && ++host[v] == u->f.view.n_hosts; v++)
			host[v] = 0;
	} while (v < u->f.view.n_vms);
	return best;
}

static void test_the_model_against_all_placements(void **state)
{
	unsigned int solved = 0, impossible = 0, ruled = 0;
	struct rng r = { 11 };

	(void)state;
	for (unsigned int i = 0; i < FLEETS; i++) {
		uint32_t host[FLEET_VMS_MAX];
		uint64_t exact;
		struct ruled u;

		make_ruled(&r, &u, 1 + (uint32_t)rng_below(&r, 6), 1 + (uint32_t)rng_below(&r, 3));
		exact = exact_optimum(&u.f.view, &u.o, host);
		assert_int_equal(exact, try_all(&u));
		if (exact == UINT64_MAX) {
			impossible++;
		} else {
			assert_true(obeys(&u, host));
			assert_int_equal(exact, mb_score_inter_pages(&u.f.view, host));
			solved++;
			ruled += u.f.view.n_rules || u.o.one_tenant_per_host;
		}
		fleet_deinit(&u.f);
	}
	/* Both outcomes, and rules, were there to be told apart. */
	assert_true(solved > FLEETS / 3 && impossible > FLEETS / 6 && ruled > FLEETS / 6);
}

/* What `best` missed, over many fleets. */
struct missed {
	unsigned int fleets, optimal, impossible;
	double sum, worst;
	unsigned int worst_fleet;
	uint64_t worst_saving, worst_optimum;
};

static void hold_against_optimum(struct missed *m, const struct ruled *u, unsigned int number)
{
	uint32_t host[FLEET_VMS_MAX];
	uint64_t optimum = exact_optimum(&u->f.view, &u->o, host), saving;
	struct mb_err err = { 0 };
	char note[MB_PLAN_NOTE_BYTES] = "";
	double lost;
	/* Where all should be: whether moves get there from here is another question. */
	int r = mb_planner_best.place(&u->f.view, &u->o, host, note, &err);

	if (optimum == UINT64_MAX) {
		assert_fails(r, ENOSPC, &err, "fits on no host");
		m->impossible++;
		return;
	}
	if (r != 0)
		fail_msg("fleet %u has a placement, best has none: %s", number, err.text);
	assert_true(obeys(u, host));
	saving = mb_score_inter_pages(&u->f.view, host);
	assert_true(saving <= optimum);
	m->fleets++;
	m->optimal += saving == optimum;
	lost = optimum ? 100 * (1 - (double)saving / (double)optimum) : 0;
	m->sum += lost;
	if (lost <= m->worst)
		return;
	m->worst = lost;
	m->worst_fleet = number;
	m->worst_saving = saving;
	m->worst_optimum = optimum;
}

static void say(const struct missed *m)
{
	print_message(
		"%u fleets with a placement, %u without: %u optimal, %.3f %% lost on average\n",
		m->fleets, m->impossible, m->optimal, m->sum / m->fleets);
	if (m->worst > 0)
		print_message("worst: fleet %u, %llu pages of %llu\n", m->worst_fleet,
			      (unsigned long long)m->worst_saving,
			      (unsigned long long)m->worst_optimum);
}

/* So many fleets have a placement; about as many have none, and `best` must say so. */
static void run(uint64_t seed, bool rules)
{
	struct missed m = { 0 };
	struct rng r = { seed };

	for (unsigned int i = 0; m.fleets < FLEETS && i < 4 * FLEETS; i++) {
		uint32_t n_vms = 4 + (uint32_t)rng_below(&r, 5);
		uint32_t n_hosts = 2 + (uint32_t)rng_below(&r, 2);
		struct ruled u;

		make_ruled(&r, &u, n_vms, n_hosts);
		if (!rules)
			lift_rules(&u);
		hold_against_optimum(&m, &u, i);
		fleet_deinit(&u.f);
	}
	say(&m);
	assert_int_equal(m.fleets, FLEETS);
	/* So small ones it sees all placements of. */
	assert_int_equal(m.optimal, m.fleets);
}

static void test_best_against_the_optimum(void **state)
{
	(void)state;
	run(12, false);
}

static void test_best_against_the_optimum_under_rules(void **state)
{
	(void)state;
	run(13, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_model_against_all_placements),
		cmocka_unit_test(test_best_against_the_optimum),
		cmocka_unit_test(test_best_against_the_optimum_under_rules),
	};

	return cmocka_run_group_tests_name("plan_exact", tests, NULL, NULL);
}
