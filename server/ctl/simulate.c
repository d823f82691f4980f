// SPDX-License-Identifier: GPL-2.0-or-later
#include <argp.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/ctl/ctl.h"
#include "server/ctl/scenario_world.h"

static const struct mb_sim_player oblivious[] = {
	{ "first-fit", MB_SIM_FIRST_FIT, NULL },
	{ "most-free", MB_SIM_MOST_FREE, NULL },
};

struct options {
	const char *path, *planner;
	uint64_t seed;
	bool json;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;
	struct mb_err err;

	switch (key) {
	case 'p':
		o->planner = arg;
		if (!mb_planner_find(arg))
			argp_error(state, "no planner \"%s\" (mbctl plan --help lists them)", arg);
		return 0;
	case 'r':
		if (mb_parse_u64(arg, 0, INT64_MAX, "--seed", &o->seed, &err) < 0)
			argp_error(state, "%s", err.text);
		return 0;
	case 'j':
		o->json = true;
		return 0;
	case ARGP_KEY_ARG:
		if (o->path)
			argp_error(state, "\"%s\" is too much", arg);
		o->path = arg;
		return 0;
	case ARGP_KEY_END:
		if (!o->path)
			argp_error(state, "which scenario?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static json_t *report_step(const struct mb_sim_step *s)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}",
			 "left", (json_int_t)s->left, "changed", (json_int_t)s->changed, "arrived",
			 (json_int_t)s->arrived, "refused", (json_int_t)s->refused, "moves",
			 (json_int_t)s->moves, "infeasible_moves", (json_int_t)s->infeasible,
			 "plan_failed", s->plan_failed, "vms", (json_int_t)s->vms, "hosts_used",
			 (json_int_t)s->hosts_used, "full_mb", (json_int_t)s->full_mb, "used_mb",
			 (json_int_t)s->used_mb, "inter_pages", (json_int_t)s->inter_pages,
			 "hosts_over", (json_int_t)s->hosts_over, "over_mb",
			 (json_int_t)s->over_mb);
}

static json_t *report_player(const struct mb_sim_player *player, const struct mb_sim_result *result)
{
	json_t *steps = json_array();

	for (uint32_t i = 0; i < result->n_steps; i++)
		if (json_array_append_new(steps, report_step(&result->steps[i])) < 0) {
			json_decref(steps);
			return NULL;
		}
	return json_pack("{s:s, s:b, s:I, s:I, s:s?, s:o}", "player", player->name, "aware",
			 player->policy == MB_SIM_PLANNER, "placed",
			 (json_int_t)result->steps[0].vms, "before_refusal",
			 (json_int_t)result->before_refusal, "no_plan",
			 *result->no_plan.text ? result->no_plan.text : NULL, "steps", steps);
}

static json_t *report_scenario(const struct options *o, const struct mb_scenario *s)
{
	uint64_t host_mb = 0;
	json_t *published = json_null();

	for (uint32_t h = 0; h < s->n_hosts; h++)
		host_mb += s->host_mb[h];
	if (s->published)
		published = json_pack("{s:s, s:I, s:I}", "where", s->published, "aware",
				      (json_int_t)s->published_aware, "oblivious",
				      (json_int_t)s->published_oblivious);
	return json_pack("{s:s, s:s?, s:I, s:I, s:I, s:I, s:o, s:[]}", "scenario", o->path, "note",
			 s->note, "seed", (json_int_t)s->rules.seed, "hosts",
			 (json_int_t)s->n_hosts, "hosts_mb", (json_int_t)host_mb, "vms",
			 (json_int_t)s->n_vms, "published", published, "players");
}

static int play(const struct mb_scenario *s, const struct mb_sim_world *world,
		const struct mb_sim_player *player, json_t *report, struct mb_err *err)
{
	mb_cleanup(mb_sim_result_deinit) struct mb_sim_result result = { 0 };
	struct mb_plan_options options = s->options;
	int r;

	options.seed = s->rules.seed;
	r = mb_sim_run(&result, world, player, &s->rules, &options, err);
	if (r < 0)
		return mb_fail_in(err, r, "player %s", player->name);
	if (json_array_append_new(json_object_get(report, "players"),
				  report_player(player, &result)) < 0)
		return mb_fail_mem(err, "the simulation's report");
	return 0;
}

static int simulate(const struct options *o, json_t **ret, struct mb_err *err)
{
	mb_cleanup(mb_scenario_deinit) struct mb_scenario s = { 0 };
	mb_cleanup(mb_scenario_world_deinit) struct mb_scenario_world w = { 0 };
	int r = mb_scenario_read(o->path, &s, err);

	if (r < 0)
		return r;
	s.rules.seed = o->seed;
	r = mb_scenario_world_init(&w, &s, err);
	if (r == 0 && !(*ret = report_scenario(o, &s)))
		r = mb_fail_mem(err, "the simulation's report");
	for (size_t i = 0; i < MB_ARRAY_LEN(oblivious) && r == 0; i++)
		r = play(&s, &w.world, &oblivious[i], *ret, err);
	for (size_t i = 0; mb_planner_at(i) && r == 0; i++) {
		const struct mb_planner *p = mb_planner_at(i);
		struct mb_sim_player player = { p->name, MB_SIM_PLANNER, p };

		if (!o->planner || strcmp(o->planner, p->name) == 0)
			r = play(&s, &w.world, &player, *ret, err);
	}
	return r < 0 ? mb_fail_in(err, r, "%s", o->path) : 0;
}

int mb_ctl_simulate(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{ "planner", 'p', "NAME", 0, "Planner that plays (default: each in turn)", 0 },
		{ "seed", 'r', "N", 0, "Of all that is drawn at random (default 1)", 0 },
		{ "json", 'j', NULL, 0, "Print JSON (docs/json.md)", 0 },
		{ 0 },
	};
	static const struct argp argp = {
		.options = options,
		.parser = parse_option,
		.args_doc = "SCENARIO",
		.doc = "Plays a scenario (docs/planner.md): how many VMs a planner places until "
		       "the "
		       "hosts are full, and what it saves while memory churns; beside it two "
		       "schedulers that know nothing of sharing. No server is asked.",
	};
	struct options o = { .seed = 1 };
	mb_cleanup(mb_ctl_json_unref) json_t *root = NULL;
	struct mb_err err = { 0 };
	int r;

	argp_parse(&argp, argc, argv, 0, NULL, &o);
	r = simulate(&o, &root, &err);
	if (r == 0)
		r = mb_ctl_print(root, o.json, mb_render_simulate, &err);
	return mb_ctl_end(r, &err);
}
