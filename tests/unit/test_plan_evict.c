// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_model.h"

#include "proto/base/cleanup.h"
#include "server/plan/evict.h"

/* Fleets without groups here: all VMs are units. */
struct eviction {
	struct model m;
	uint32_t vms[FLEET_VMS_MAX], n, at[FLEET_VMS_MAX];
	bool moved[FLEET_VMS_MAX];
};

/* --- the header's prose, naively -------------------------------------------------------------- */

static bool arrives(const struct eviction *e, const uint32_t *at, uint32_t vm, uint32_t host)
{
	uint32_t then[FLEET_VMS_MAX];

	memcpy(then, at, e->m.f.view.n_vms * sizeof(*then));
	then[vm] = host;
	return model_may_come(&e->m, at, vm, host) &&
	       (!e->m.o.inflow_max || model_inflow(&e->m, then, host) <= e->m.o.inflow_max);
}

static uint64_t overlap(const struct eviction *e, const uint32_t *at, uint32_t vm, uint32_t host)
{
	uint32_t then[FLEET_VMS_MAX];

	memcpy(then, at, e->m.f.view.n_vms * sizeof(*then));
	then[vm] = host;
	return mb_score_union_pages(&e->m.f.view, at, host) + e->m.f.vms[vm].distinct -
	       mb_score_union_pages(&e->m.f.view, then, host);
}

static uint32_t best_for(const struct eviction *e, const uint32_t *at, uint32_t vm, uint32_t but)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t h = 0; h < e->m.f.view.n_hosts; h++)
		if (h != but && arrives(e, at, vm, h) &&
		    (best == MB_NOWHERE || overlap(e, at, vm, h) > overlap(e, at, vm, best)))
			best = h;
	return best;
}

/* The smallest (largest) one of those that `pick` names; the lower index on a tie. */
static uint32_t extreme(const struct eviction *e, const bool *pick, bool largest)
{
	uint32_t best = MB_NOWHERE;

	for (uint32_t v = 0; v < e->m.f.view.n_vms; v++) {
		int64_t size = model_full(&e->m, v);

		if (pick[v] && (best == MB_NOWHERE || (largest ? size > model_full(&e->m, best) :
								 size < model_full(&e->m, best))))
			best = v;
	}
	return best;
}

static bool two_steps(struct eviction *e, uint32_t vm)
{
	bool left[FLEET_VMS_MAX];
	uint32_t w;

	for (uint32_t v = 0; v < e->m.f.view.n_vms; v++)
		left[v] = e->at[v] != MB_NOWHERE && !e->m.f.vms[v].pinned && !e->moved[v];
	while ((w = extreme(e, left, false)) != MB_NOWHERE) {
		uint32_t then[FLEET_VMS_MAX], from = e->at[w];

		left[w] = false;
		memcpy(then, e->at, e->m.f.view.n_vms * sizeof(*then));
		then[w] = MB_NOWHERE;
		then[w] = best_for(e, then, w, from);
		if (then[w] == MB_NOWHERE || !arrives(e, then, vm, from))
			continue;
		e->at[w] = then[w];
		e->at[vm] = from;
		e->moved[w] = true;
		return true;
	}
	return false;
}

/* MB_NOWHERE, or who finds no place. */
static uint32_t evict(struct eviction *e, unsigned int *pushed)
{
	bool left[FLEET_VMS_MAX];
	uint32_t v;

	memcpy(left, e->moved, sizeof(left));
	while ((v = extreme(e, left, true)) != MB_NOWHERE) {
		uint32_t host = best_for(e, e->at, v, MB_NOWHERE);

		left[v] = false;
		if (host != MB_NOWHERE) {
			e->at[v] = host;
			continue;
		}
		if (!two_steps(e, v))
			return v;
		++*pushed;
	}
	return MB_NOWHERE;
}

/* --- against it ------------------------------------------------------------------------------- */

static void set_up(struct rng *r, struct eviction *e)
{
	uint32_t n = 1 + (uint32_t)rng_below(r, 9), from;

	memset(e, 0, sizeof(*e));
	model_random(r, &e->m, n, 2 + (uint32_t)rng_below(r, 4));
	for (uint32_t k = 0; k < e->m.f.view.n_rules; k++)
		e->m.rules[k].kind = MB_RULE_APART;
	model_settle(r, &e->m);
	from = (uint32_t)rng_below(r, e->m.f.view.n_hosts);
	e->m.f.hosts[from].state = MB_HOST_EMPTYING;
	for (uint32_t v = 0; v < n; v++) {
		e->at[v] = e->m.f.vms[v].host;
		e->m.f.vms[v].pinned =
			e->at[v] != MB_NOWHERE && e->at[v] != from && rng_below(r, 8) == 0;
		e->moved[v] = e->at[v] == from;
		if (e->at[v] != from)
			continue;
		e->vms[e->n++] = v;
		e->at[v] = MB_NOWHERE;
	}
}

static void test_word_by_word(void **state)
{
	unsigned int done = 0, failed = 0, pushed = 0;
	struct rng r = { 12 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		mb_cleanup(mb_search_deinit) struct mb_search search = { 0 };
		bool moved[FLEET_VMS_MAX];
		struct mb_err err = { 0 };
		struct mb_no_fit no;
		struct eviction e;
		uint32_t want;
		bool got;

		set_up(&r, &e);
		assert_ok(mb_search_init(&search, &e.m.f.view, &e.m.o, &err), &err);
		mb_tally_load(&search.tally, e.at);
		got = mb_evict(&search, &mb_planner_paper, e.vms, e.n, moved, &no);
		want = evict(&e, &pushed);
		assert_int_equal(got, want == MB_NOWHERE);
		if (got)
			assert_memory_equal(search.tally.host, e.at,
					    e.m.f.view.n_vms * sizeof(*e.at));
		else
			assert_int_equal(no.vm, want);
		done += got && e.n;
		failed += !got;
		model_deinit(&e.m);
	}
	assert_true(done > MODEL_FLEETS / 10 && failed > MODEL_FLEETS / 10 &&
		    pushed > MODEL_FLEETS / 100);
}

/* Who moves may still go elsewhere, if that saves more, and nobody else. */
static void test_improving_moves_no_others(void **state)
{
	unsigned int better = 0;
	struct rng r = { 13 };

	(void)state;
	for (unsigned int i = 0; i < MODEL_FLEETS; i++) {
		mb_cleanup(mb_search_deinit) struct mb_search search = { 0 };
		bool moved[FLEET_VMS_MAX];
		uint32_t pushes = 0;
		struct mb_err err = { 0 };
		struct mb_no_fit no;
		struct eviction e;

		set_up(&r, &e);
		assert_ok(mb_search_init(&search, &e.m.f.view, &e.m.o, &err), &err);
		mb_tally_load(&search.tally, e.at);
		if (mb_evict(&search, &mb_planner_best, e.vms, e.n, moved, &no)) {
			const uint32_t *at = search.tally.host;
			uint64_t saving = search.tally.saving;

			mb_evict_improve(&search, moved);
			assert_true(search.tally.saving >= saving);
			better += search.tally.saving > saving;
			for (uint32_t v = 0; v < e.m.f.view.n_vms; v++) {
				if (e.moved[v])
					assert_true(at[v] != MB_NOWHERE);
				else
					pushes += at[v] != e.at[v];
				if (e.m.f.vms[v].pinned)
					assert_int_equal(at[v], e.at[v]);
				if (at[v] != MB_NOWHERE)
					assert_true(model_is_open(&e.m, v, at[v]));
			}
			assert_true(pushes <= e.n);
			for (uint32_t h = 0; h < e.m.f.view.n_hosts; h++) {
				assert_true(model_gets_on(&e.m, at, h));
				assert_true(model_room(&e.m, at, h) >= 0);
			}
		}
		model_deinit(&e.m);
	}
	assert_true(better > 0);
}

/*
 * What saves more may be out of reach at full size; then it goes as it was evicted. Either way the
 * tally is where the stage has come to: who empties another host counts from there.
 */
static void test_tally_and_stage_agree(void **state)
{
	enum { FLEETS = 3000 }; /* falling back is rare */
	unsigned int went = 0, improved = 0, fell_back = 0;
	struct rng r = { 14 };

	(void)state;
	for (unsigned int i = 0; i < FLEETS; i++) {
		mb_cleanup(mb_stage_deinit) struct mb_stage stage = { 0 };
		mb_cleanup(mb_search_deinit) struct mb_search search = { 0 };
		uint32_t unit_host[FLEET_VMS_MAX], better[FLEET_VMS_MAX];
		bool moved[FLEET_VMS_MAX], again[FLEET_VMS_MAX], ret;
		struct mb_plan plan = { 0 };
		struct mb_err err = { 0 };
		struct mb_no_fit no;
		struct eviction e;
		size_t bytes;

		set_up(&r, &e);
		/* Where sharing counts as room, arriving takes more than staying. */
		e.m.o.count_sharing_percent = 100;
		bytes = e.m.f.view.n_vms * sizeof(*unit_host);
		assert_ok(mb_stage_init(&stage, &e.m.f.view, &e.m.o, false, &err), &err);
		assert_ok(mb_search_init(&search, &stage.units.view, &e.m.o, &err), &err);
		mb_tally_load(&search.tally, e.at);
		if (mb_evict(&search, &mb_planner_best, e.vms, e.n, moved, &no)) {
			/* What it will try first. */
			memcpy(again, moved, sizeof(again));
			memcpy(unit_host, search.tally.host, bytes);
			mb_evict_improve(&search, again);
			memcpy(better, search.tally.host, bytes);
			mb_tally_load(&search.tally, unit_host);

			assert_ok(mb_evict_go(&stage, &search, &mb_planner_best, &e.m.o, moved,
					      unit_host, &plan, &ret, &err),
				  &err);
			if (ret) {
				assert_memory_equal(search.tally.host, stage.unit_host, bytes);
				went++;
				improved += memcmp(stage.unit_host, unit_host, bytes) != 0;
				fell_back += memcmp(better, unit_host, bytes) != 0 &&
					     memcmp(stage.unit_host, unit_host, bytes) == 0;
			}
		}
		free(plan.moves);
		model_deinit(&e.m);
	}
	print_message("%u went, %u improved, %u as evicted\n", went, improved, fell_back);
	assert_true(went > FLEETS / 10 && improved && fell_back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_word_by_word),
		cmocka_unit_test(test_improving_moves_no_others),
		cmocka_unit_test(test_tally_and_stage_agree),
	};

	return cmocka_run_group_tests_name("plan_evict", tests, NULL, NULL);
}
