// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/simulate.h"
#include "tests/unit/util_test.h"

#define VMS_MAX	   64
#define HOSTS_MAX  8
#define VM_MB	   256
#define VM_PAGES   (VM_MB * MB_PLAN_PAGES_PER_MB)
#define IMAGES_MAX 128

static const struct mb_sim_player first_fit = { "first-fit", MB_SIM_FIRST_FIT, NULL };
static const struct mb_sim_player most_free = { "most-free", MB_SIM_MOST_FREE, NULL };
static const struct mb_sim_player best = { "best", MB_SIM_PLANNER, &mb_planner_best };
static const struct mb_sim_player paper = { "paper", MB_SIM_PLANNER, &mb_planner_paper };
static const struct mb_sim_player seed = { "seed", MB_SIM_PLANNER, &mb_planner_seed };

/* VMs of VM_MB, VM v of kind v % n_kinds; a kind's image is its first data set. */
struct game {
	struct mb_plan_host hosts[HOSTS_MAX];
	struct mb_plan_vm vms[VMS_MAX];
	struct mb_synth_image images[IMAGES_MAX];
	struct mb_synth_vm synth[VMS_MAX];
	struct mb_sim_data data[VMS_MAX];
	struct mb_sim_world world;
	struct mb_sim_rules rules;
	struct mb_plan_options options;
};

static void game_init(struct game *g, uint32_t n_hosts, uint64_t host_mb, uint32_t n_vms,
		      uint32_t n_kinds, uint32_t share_percent)
{
	*g = (struct game){ .rules = { .seed = 1 }, .options = { .count_sharing_percent = 100 } };
	for (uint32_t h = 0; h < n_hosts; h++)
		g->hosts[h] = (struct mb_plan_host){ .name = "host", .memory_mb = host_mb };
	for (uint32_t i = 0; i < IMAGES_MAX; i++)
		g->images[i] = (struct mb_synth_image){ VM_PAGES * share_percent / 100, 1, 100 };
	for (uint32_t v = 0; v < n_vms; v++) {
		g->vms[v] = (struct mb_plan_vm){
			.name = "vm", .memory_mb = VM_MB, .pages = VM_PAGES, .distinct = VM_PAGES
		};
		g->synth[v] = (struct mb_synth_vm){ .distinct = VM_PAGES, .salt = v };
		for (unsigned int k = 0; k < MB_SYNTH_IMAGES_MAX; k++)
			g->synth[v].images[k] = k ? MB_SYNTH_NONE : v % n_kinds;
		g->data[v] = (struct mb_sim_data){ 0, 0, IMAGES_MAX };
	}
	g->world = (struct mb_sim_world){ .hosts = g->hosts,
					  .n_hosts = n_hosts,
					  .vms = g->vms,
					  .n_vms = n_vms,
					  .images = g->images,
					  .n_images = IMAGES_MAX,
					  .synth = g->synth,
					  .data = g->data };
}

static void play(const struct game *g, const struct mb_sim_player *player,
		 struct mb_sim_result *ret)
{
	struct mb_err err = { 0 };

	assert_ok(mb_sim_run(ret, &g->world, player, &g->rules, &g->options, &err), &err);
}

static uint32_t placed(const struct game *g, const struct mb_sim_player *player)
{
	struct mb_sim_result r;
	uint32_t n;

	play(g, player, &r);
	n = r.steps[0].vms;
	assert_int_equal(n, r.steps[0].arrived);
	assert_int_equal(n + r.steps[0].refused, g->world.n_vms);
	assert_true(r.before_refusal <= n);
	mb_sim_result_deinit(&r);
	return n;
}

static void test_nothing_shared_all_are_equal(void **state)
{
	const struct mb_sim_player *players[] = { &first_fit, &most_free, &paper, &best, &seed };
	struct game g;

	(void)state;
	game_init(&g, 2, 1000, 10, 1, 0);
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(placed(&g, players[i]), 6);
}

static void test_room_on_arrival(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	/* n VMs that share half use 128 (n + 1) MB; one more needs 256 beside them. */
	game_init(&g, 1, 1024, 10, 1, 50);
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[0].vms, 6);
	assert_int_equal(r.before_refusal, 6);
	assert_int_equal(r.steps[0].used_mb, 896);
	assert_int_equal(r.steps[0].full_mb, 6 * VM_MB);
	assert_int_equal(r.steps[0].inter_pages, 5 * VM_PAGES / 2);
	mb_sim_result_deinit(&r);
	assert_int_equal(placed(&g, &best), 6);
	g.rules.arrive_merged = true;
	assert_int_equal(placed(&g, &first_fit), 7);
	assert_int_equal(placed(&g, &best), 7);
	/* A planner that counts no sharing as room packs by full size. */
	g.rules.arrive_merged = false;
	g.options.count_sharing_percent = 0;
	assert_int_equal(placed(&g, &best), 4);
	assert_int_equal(placed(&g, &first_fit), 6);
}

static void test_oblivious_players_take_turns_as_they_say(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	/* Two kinds in turn: most-free tells them apart by chance, first-fit mixes them. */
	game_init(&g, 2, 4096, 4, 2, 50);
	play(&g, &most_free, &r);
	assert_int_equal(r.steps[0].hosts_used, 2);
	assert_int_equal(r.steps[0].inter_pages, VM_PAGES);
	mb_sim_result_deinit(&r);
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[0].hosts_used, 1);
	assert_int_equal(r.steps[0].inter_pages, VM_PAGES);
	mb_sim_result_deinit(&r);
}

static void test_who_knows_places_more(void **state)
{
	unsigned int fewer = 0;
	struct game g;

	(void)state;
	/* A host of each kind to begin with; then kinds come as they like. */
	for (uint64_t i = 0; i < 20; i++) {
		uint32_t knows;

		game_init(&g, 4, 1536, 60, 4, 45);
		for (uint32_t v = 4; v < 60; v++)
			g.synth[v].images[0] = (uint32_t)(mb_synth_random(i, v, 0) % 4);
		g.rules.n_start = 4;
		knows = placed(&g, &best);
		assert_true(placed(&g, &paper) >= placed(&g, &most_free));
		assert_true(knows >= placed(&g, &most_free));
		fewer += knows > placed(&g, &most_free);
		assert_true(knows > placed(&g, &first_fit));
	}
	assert_true(fewer > 10);
}

static void test_start_needs_room(void **state)
{
	struct mb_err err = { 0 };
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 2, 300, 4, 1, 0);
	g.rules.n_start = 2;
	play(&g, &best, &r);
	assert_int_equal(r.steps[0].vms, 2);
	assert_int_equal(r.steps[0].hosts_used, 2);
	assert_int_equal(r.before_refusal, 2);
	mb_sim_result_deinit(&r);
	g.rules.n_start = 3;
	assert_fails(mb_sim_run(&r, &g.world, &best, &g.rules, &g.options, &err), EINVAL, &err,
		     "has no room");
	g.rules.n_start = 5;
	assert_fails(mb_sim_run(&r, &g.world, &best, &g.rules, &g.options, &err), EINVAL, &err,
		     "5 of 4 VMs");
}

static void test_moves_make_room(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	/* One of a kind on each host; a larger one fits on neither, unless they are together. */
	game_init(&g, 2, 700, 3, 1, 50);
	g.rules.n_start = 2;
	g.vms[2].memory_mb = 600;
	play(&g, &best, &r);
	assert_int_equal(r.steps[0].refused, 1);
	mb_sim_result_deinit(&r);
	g.rules.make_room = true;
	play(&g, &best, &r);
	assert_int_equal(r.steps[0].refused, 0);
	assert_int_equal(r.steps[0].moves, 1);
	assert_int_equal(r.steps[0].vms, 3);
	assert_int_equal(r.steps[0].used_mb, 384 + 600);
	mb_sim_result_deinit(&r);
}

static void test_books_agree_with_a_recount(void **state)
{
	const struct mb_sim_player *players[] = { &first_fit, &most_free, &paper, &best };
	struct game g;

	(void)state;
	game_init(&g, 5, 1500, 40, 3, 37);
	for (uint32_t v = 0; v < 40; v++) {
		g.synth[v].images[1] = 100;
		g.vms[v].distinct = g.synth[v].distinct -= v;
	}
	g.images[100] = (struct mb_synth_image){ 5000, 9, 60 };
	/* A step in which nothing happens is counted anew. */
	g.rules.n_steps = 1;
	for (size_t i = 0; i < 4; i++) {
		struct mb_sim_result r;

		play(&g, players[i], &r);
		assert_int_equal(r.steps[0].used_mb, r.steps[1].used_mb);
		assert_int_equal(r.steps[0].full_mb, r.steps[1].full_mb);
		assert_int_equal(r.steps[0].inter_pages, r.steps[1].inter_pages);
		assert_int_equal(r.steps[0].vms, r.steps[1].vms);
		assert_int_equal(r.steps[1].arrived + r.steps[1].left + r.steps[1].changed, 0);
		assert_true(r.steps[0].inter_pages > 0);
		mb_sim_result_deinit(&r);
	}
}

static void test_leaving_and_arriving(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 2, 1024, 12, 1, 0);
	g.rules.n_steps = 2;
	g.rules.leave_percent = 50;
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[0].vms, 8);
	assert_int_equal(r.steps[1].left, 4);
	assert_int_equal(r.steps[1].vms, 4);
	assert_int_equal(r.steps[2].vms, 2);
	assert_int_equal(r.steps[2].used_mb, 2 * VM_MB);
	mb_sim_result_deinit(&r);
	g.rules.arrive_percent = 75;
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[1].arrived, 4);
	assert_int_equal(r.steps[1].refused, 2);
	assert_int_equal(r.steps[2].vms, 8);
	mb_sim_result_deinit(&r);
}

static void test_changed_data_is_shared_no_more(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 1, 1024, 6, 1, 50);
	g.rules.n_steps = 1;
	g.rules.change_percent = 100;
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[0].hosts_over, 0);
	assert_int_equal(r.steps[1].changed, 6);
	assert_true(r.steps[1].inter_pages < r.steps[0].inter_pages);
	assert_int_equal(r.steps[1].hosts_over, 1);
	assert_int_equal(r.steps[1].over_mb, r.steps[1].used_mb - 1024);
	mb_sim_result_deinit(&r);
}

static void test_moves_win_back_what_churn_took(void **state)
{
	struct mb_sim_result still, moved;
	struct game g;

	(void)state;
	game_init(&g, 4, 1400, 16, 4, 50);
	for (uint32_t v = 0; v < 16; v++)
		g.data[v].n_images = 4;
	g.rules.n_steps = 3;
	g.rules.change_percent = 40;
	play(&g, &best, &still);
	g.rules.rebalance = true;
	play(&g, &best, &moved);
	assert_int_equal(still.steps[1].moves, 0);
	assert_true(moved.steps[1].moves > 0);
	assert_true(moved.steps[1].inter_pages > still.steps[1].inter_pages);
	assert_true(moved.steps[3].inter_pages > still.steps[3].inter_pages);
	assert_int_equal(moved.steps[3].vms, 16);
	mb_sim_result_deinit(&still);
	mb_sim_result_deinit(&moved);
}

static void test_the_first_refusal_is_remembered(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 1, 600, 4, 1, 0);
	g.vms[3].memory_mb = 80;
	g.vms[3].pages = g.vms[3].distinct = g.synth[3].distinct = 80 * MB_PLAN_PAGES_PER_MB;
	play(&g, &first_fit, &r);
	assert_int_equal(r.before_refusal, 2);
	assert_int_equal(r.steps[0].vms, 3);
	mb_sim_result_deinit(&r);
}

static void test_self_sharing_is_no_inter_sharing(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 1, 1024, 3, 1, 0);
	for (uint32_t v = 0; v < 3; v++)
		g.vms[v].distinct = g.synth[v].distinct = VM_PAGES / 2;
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[0].vms, 3);
	assert_int_equal(r.steps[0].used_mb, 3 * VM_MB / 2);
	assert_int_equal(r.steps[0].inter_pages, 0);
	mb_sim_result_deinit(&r);
}

/* Of images that VMs have in part, other data is another part. */
static void test_changed_and_new_vms_have_other_parts(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 1, 8 * VM_MB, 4, 1, 0);
	g.images[0] = (struct mb_synth_image){ VM_PAGES, 30, 50 };
	for (uint32_t v = 0; v < 4; v++)
		g.data[v].n_images = 0;
	g.rules.n_steps = 1;
	g.rules.change_percent = 100;
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[1].changed, 4);
	assert_int_not_equal(r.steps[1].inter_pages, r.steps[0].inter_pages);
	mb_sim_result_deinit(&r);
	g.rules.change_percent = 0;
	g.rules.leave_percent = g.rules.arrive_percent = 100;
	play(&g, &first_fit, &r);
	assert_int_equal(r.steps[1].arrived, 4);
	assert_int_not_equal(r.steps[1].inter_pages, r.steps[0].inter_pages);
	mb_sim_result_deinit(&r);
}

static void test_no_plan_is_told_and_survived(void **state)
{
	struct mb_sim_result r;
	struct game g;

	(void)state;
	/* Full hosts whose VMs share no more: by full size no packing is left. */
	game_init(&g, 2, 1024, 12, 1, 50);
	g.rules = (struct mb_sim_rules){
		.seed = 1, .n_steps = 2, .change_percent = 100, .rebalance = true
	};
	play(&g, &best, &r);
	assert_int_equal(r.steps[0].vms, 12);
	assert_true(r.steps[1].plan_failed);
	assert_non_null(strstr(r.no_plan.text, "VM \"vm\""));
	assert_int_equal(r.steps[2].vms, 12);
	assert_true(r.steps[2].over_mb > 0);
	mb_sim_result_deinit(&r);
}

static void test_same_seed_same_game(void **state)
{
	struct mb_sim_result a, b, c;
	struct game g;

	(void)state;
	game_init(&g, 4, 1400, 30, 4, 50);
	g.rules = (struct mb_sim_rules){ .seed = 3,
					 .n_steps = 4,
					 .leave_percent = 20,
					 .change_percent = 30,
					 .arrive_percent = 20,
					 .rebalance = true };
	play(&g, &best, &a);
	play(&g, &best, &b);
	assert_memory_equal(a.steps, b.steps, a.n_steps * sizeof(*a.steps));
	g.rules.seed = 4;
	play(&g, &best, &c);
	assert_memory_not_equal(a.steps, c.steps, a.n_steps * sizeof(*a.steps));
	mb_sim_result_deinit(&a);
	mb_sim_result_deinit(&b);
	mb_sim_result_deinit(&c);
}

static void test_recorded_memory(void **state)
{
	uint32_t set[] = { 0, 1, 2 };
	struct mb_group group = { 1000, 0, 3 };
	struct mb_groups groups = { &group, 1, set, 3 };
	struct mb_err err = { 0 };
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 1, 1024, 3, 1, 0);
	g.world.groups = &groups;
	play(&g, &best, &r);
	assert_int_equal(r.steps[0].inter_pages, 2000);
	mb_sim_result_deinit(&r);
	g.rules.n_steps = 1;
	g.rules.change_percent = 50;
	assert_fails(mb_sim_run(&r, &g.world, &best, &g.rules, &g.options, &err), EOPNOTSUPP, &err,
		     "it is recorded");
}

static void test_what_cannot_be(void **state)
{
	struct mb_err err = { 0 };
	struct mb_sim_result r;
	struct game g;

	(void)state;
	game_init(&g, 1, 1024, 3, 1, 0);
	g.rules.leave_percent = 101;
	assert_fails(mb_sim_run(&r, &g.world, &best, &g.rules, &g.options, &err), EINVAL, &err,
		     "101");
	g.rules.leave_percent = 0;
	g.vms[1].distinct = VM_PAGES + 1;
	assert_fails(mb_sim_run(&r, &g.world, &best, &g.rules, &g.options, &err), EINVAL, &err,
		     "distinct pages");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_shared_all_are_equal),
		cmocka_unit_test(test_room_on_arrival),
		cmocka_unit_test(test_oblivious_players_take_turns_as_they_say),
		cmocka_unit_test(test_who_knows_places_more),
		cmocka_unit_test(test_start_needs_room),
		cmocka_unit_test(test_moves_make_room),
		cmocka_unit_test(test_books_agree_with_a_recount),
		cmocka_unit_test(test_leaving_and_arriving),
		cmocka_unit_test(test_changed_data_is_shared_no_more),
		cmocka_unit_test(test_moves_win_back_what_churn_took),
		cmocka_unit_test(test_the_first_refusal_is_remembered),
		cmocka_unit_test(test_self_sharing_is_no_inter_sharing),
		cmocka_unit_test(test_changed_and_new_vms_have_other_parts),
		cmocka_unit_test(test_no_plan_is_told_and_survived),
		cmocka_unit_test(test_same_seed_same_game),
		cmocka_unit_test(test_recorded_memory),
		cmocka_unit_test(test_what_cannot_be),
	};

	return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}
