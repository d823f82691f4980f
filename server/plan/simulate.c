// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/simulate.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"
#include "server/plan/group_list.h"
#include "server/plan/question.h"

struct sim {
	const struct mb_sim_world *world;
	const struct mb_sim_player *player;
	const struct mb_sim_rules *rules;
	const struct mb_plan_options *options;
	struct mb_plan_vm *vms;	   /* .host is where each is now */
	struct mb_synth_vm *synth; /* NULL: memory stays as it is */
	struct mb_groups own;	   /* of synthetic memory, as it is now */
	struct mb_fleet_view view; /* of all VMs, running or not */
	uint64_t *saved;	   /* [0, n_hosts): pages */
	uint64_t *full_mb;	   /* [0, n_hosts) */
	uint64_t *gain;		   /* [0, n_hosts): of the VM that is looked at */
	size_t *seen;		   /* [0, n_hosts): scratch, and so is this one */
	uint32_t *list;		   /* [0, n_vms): the VMs that churn */
	uint64_t random;
	struct mb_sim_result *result;
	struct mb_sim_step *step;
};

static void sim_deinit(struct sim *s)
{
	free(s->vms);
	free(s->synth);
	mb_groups_deinit(&s->own);
	free(s->saved);
	free(s->full_mb);
	free(s->gain);
	free(s->seen);
	free(s->list);
}

static uint64_t next_random(struct sim *s)
{
	return mb_mix64(s->random += 0x9e3779b97f4a7c15u);
}

/* The groups of synthetic memory as it is now. */
static int make_groups(struct sim *s, struct mb_err *err)
{
	if (!s->synth)
		return 0;
	mb_groups_deinit(&s->own);
	return mb_synth_groups(&s->own, s->rules->seed, s->world->images, s->world->n_images,
			       s->synth, s->world->n_vms, err);
}

static int sim_init(struct sim *s, struct mb_err *err)
{
	const struct mb_sim_world *w = s->world;
	size_t n_vms = (size_t)w->n_vms + 1, n_hosts = (size_t)w->n_hosts + 1;

	s->vms = calloc(n_vms, sizeof(*s->vms));
	s->synth = w->groups ? NULL : calloc(n_vms, sizeof(*s->synth));
	s->saved = calloc(n_hosts, sizeof(*s->saved));
	s->full_mb = calloc(n_hosts, sizeof(*s->full_mb));
	s->gain = calloc(n_hosts, sizeof(*s->gain));
	s->seen = calloc(n_hosts, sizeof(*s->seen));
	s->list = calloc(n_vms, sizeof(*s->list));
	if (!s->vms || (!w->groups && !s->synth) || !s->saved || !s->full_mb || !s->gain ||
	    !s->seen || !s->list)
		return mb_fail_mem(err, "a simulation");
	memcpy(s->vms, w->vms, w->n_vms * sizeof(*s->vms));
	for (uint32_t v = 0; v < w->n_vms; v++)
		s->vms[v].host = MB_NOWHERE;
	if (s->synth)
		memcpy(s->synth, w->synth, w->n_vms * sizeof(*s->synth));
	s->random = s->rules->seed;
	s->view = (struct mb_fleet_view){ .hosts = w->hosts,
					  .vms = s->vms,
					  .n_hosts = w->n_hosts,
					  .n_vms = w->n_vms,
					  .groups = w->groups ? w->groups : &s->own };
	return make_groups(s, err);
}

static uint64_t used_mb(const struct sim *s, uint32_t host)
{
	return s->full_mb[host] - s->saved[host] / MB_PLAN_PAGES_PER_MB;
}

/* saved[] and full_mb[] of who is where. */
static int measure(struct sim *s, struct mb_err *err)
{
	mb_autofree uint32_t *host = malloc(((size_t)s->world->n_vms + 1) * sizeof(*host));
	uint32_t n_hosts = s->world->n_hosts;

	if (!host)
		return mb_fail_mem(err, "a simulation");
	for (uint32_t v = 0; v < s->world->n_vms; v++)
		host[v] = s->vms[v].host;
	mb_score_unions(&s->view, host, s->saved);
	for (uint32_t h = 0; h < n_hosts; h++)
		s->saved[h] = 0 - s->saved[h];
	memset(s->full_mb, 0, n_hosts * sizeof(*s->full_mb));
	for (uint32_t v = 0; v < s->world->n_vms; v++)
		if (host[v] != MB_NOWHERE) {
			s->saved[host[v]] += s->vms[v].pages;
			s->full_mb[host[v]] += s->vms[v].memory_mb;
		}
	return 0;
}

/* gain[]: pages of a VM that each host has already. */
static void find_gains(struct sim *s, uint32_t vm)
{
	const struct mb_groups *g = s->view.groups;

	memset(s->gain, 0, s->world->n_hosts * sizeof(*s->gain));
	memset(s->seen, 0, s->world->n_hosts * sizeof(*s->seen));
	for (size_t i = 0; i < g->n_groups; i++) {
		const uint32_t *vms = g->vms + g->groups[i].first_vm;
		uint32_t n = g->groups[i].n_vms;
		bool has = false;

		for (uint32_t k = 0; k < n && !has; k++)
			has = vms[k] == vm;
		for (uint32_t k = 0; k < n && has; k++) {
			uint32_t h = s->vms[vms[k]].host;

			/* Once a host, however many there have it. */
			if (h == MB_NOWHERE || s->seen[h] == i + 1)
				continue;
			s->gain[h] += g->groups[i].weight_pages;
			s->seen[h] = i + 1;
		}
	}
}

static bool has_room(const struct sim *s, uint32_t vm, uint32_t host)
{
	const struct mb_plan_vm *v = &s->vms[vm];
	uint64_t capacity = mb_plan_capacity_mb(&s->world->hosts[host], s->options), saved;

	if (!s->rules->arrive_merged)
		return used_mb(s, host) + v->memory_mb <= capacity;
	saved = s->saved[host] + s->gain[host] + v->pages - v->distinct;
	return s->full_mb[host] + v->memory_mb - saved / MB_PLAN_PAGES_PER_MB <= capacity;
}

/* Where a scheduler that knows nothing of sharing puts a VM. */
static uint32_t choose_obliviously(const struct sim *s, uint32_t vm)
{
	uint32_t best = MB_NOWHERE;
	uint64_t best_free = 0;

	for (uint32_t h = 0; h < s->world->n_hosts; h++) {
		uint64_t capacity = mb_plan_capacity_mb(&s->world->hosts[h], s->options);

		if (!has_room(s, vm, h) ||
		    (best != MB_NOWHERE && capacity - used_mb(s, h) <= best_free))
			continue;
		best = h;
		best_free = capacity - used_mb(s, h);
		if (s->player->policy == MB_SIM_FIRST_FIT)
			break;
	}
	return best;
}

static int choose_by_rank(struct sim *s, uint32_t vm, uint32_t *ret, struct mb_err *err)
{
	mb_autofree struct mb_rank *ranks = NULL;
	const struct mb_rank *best = NULL;
	int r = mb_plan_rank(&ranks, s->player->planner, &s->view, s->options, vm, err);

	for (uint32_t i = 0; r == 0 && i < s->world->n_hosts; i++)
		if ((s->rules->arrive_merged || ranks[i].fits) && has_room(s, vm, ranks[i].host) &&
		    (!best || ranks[i].value > best->value ||
		     (ranks[i].value == best->value && ranks[i].host < best->host)))
			best = &ranks[i];
	*ret = best ? best->host : MB_NOWHERE;
	return r;
}

static int choose(struct sim *s, uint32_t vm, uint32_t *ret, struct mb_err *err)
{
	if (s->player->policy == MB_SIM_PLANNER)
		return choose_by_rank(s, vm, ret, err);
	*ret = choose_obliviously(s, vm);
	return 0;
}

/* The fleet of those that run: what a plan is made for. */
struct running {
	struct mb_fleet_view view;
	struct mb_plan_vm *vms;
	struct mb_groups groups;
	uint32_t *old; /* index in the simulation */
};

static void running_deinit(struct running *f)
{
	free(f->vms);
	free(f->old);
	mb_groups_deinit(&f->groups);
}

static int running_init(struct running *f, const struct sim *s, struct mb_err *err)
{
	size_t n = (size_t)s->world->n_vms + 1;
	mb_autofree uint32_t *renamed = malloc(n * sizeof(*renamed));

	f->view = s->view;
	f->vms = calloc(n, sizeof(*f->vms));
	f->old = calloc(n, sizeof(*f->old));
	if (!renamed || !f->vms || !f->old)
		return mb_fail_mem(err, "a simulation");
	f->view.vms = f->vms;
	f->view.groups = &f->groups;
	f->view.n_vms = 0;
	for (uint32_t v = 0; v < s->world->n_vms; v++) {
		renamed[v] = UINT32_MAX;
		if (s->vms[v].host == MB_NOWHERE)
			continue;
		renamed[v] = f->view.n_vms;
		f->old[f->view.n_vms] = v;
		f->vms[f->view.n_vms++] = s->vms[v];
	}
	return mb_group_list_restrict(s->view.groups, renamed, &f->groups, err);
}

static int rebalance(struct sim *s, struct mb_err *err)
{
	mb_cleanup(running_deinit) struct running f = { 0 };
	mb_cleanup(mb_plan_deinit) struct mb_plan plan = { 0 };
	struct mb_err why = { 0 };
	int r = running_init(&f, s, err);

	if (r < 0)
		return r;
	r = mb_plan_make(&plan, s->player->planner, &f.view, s->options, &why);
	/* A planner without a plan leaves all where they are; the others go on. */
	if (r == -ENOSPC || r == -ERANGE) {
		s->step->plan_failed = true;
		if (!*s->result->no_plan.text)
			s->result->no_plan = why;
		return 0;
	}
	if (r < 0)
		return mb_fail(err, -r, "%s", why.text);
	for (size_t i = 0; i < plan.n_moves; i++) {
		s->step->moves += plan.moves[i].feasible;
		s->step->infeasible += !plan.moves[i].feasible;
		if (plan.moves[i].feasible)
			s->vms[f.old[plan.moves[i].vm]].host = plan.moves[i].to;
	}
	return measure(s, err);
}

static void put(struct sim *s, uint32_t vm, uint32_t host)
{
	struct mb_plan_vm *v = &s->vms[vm];

	s->step->arrived++;
	v->host = host;
	s->full_mb[host] += v->memory_mb;
	s->saved[host] += s->gain[host] + v->pages - v->distinct;
}

/* The VMs that run before anybody plays. */
static int start(struct sim *s, struct mb_err *err)
{
	if (s->rules->n_start > s->world->n_vms || (s->rules->n_start && !s->world->n_hosts))
		return mb_fail(err, EINVAL, "%u of %u VMs run from the start, on %u hosts",
			       s->rules->n_start, s->world->n_vms, s->world->n_hosts);
	for (uint32_t v = 0; v < s->rules->n_start; v++) {
		uint32_t h = v % s->world->n_hosts;

		find_gains(s, v);
		if (!has_room(s, v, h))
			return mb_fail(err, EINVAL,
				       "VM \"%.80s\" should run from the start, but host \"%.80s\" "
				       "has no room",
				       s->vms[v].name, s->world->hosts[h].name);
		put(s, v, h);
	}
	return 0;
}

/* *ret_host: MB_NOWHERE if it is refused. */
static int arrive(struct sim *s, uint32_t vm, uint32_t *ret_host, struct mb_err *err)
{
	int r;

	find_gains(s, vm);
	r = choose(s, vm, ret_host, err);
	if (r == 0 && *ret_host == MB_NOWHERE && s->rules->make_room &&
	    s->player->policy == MB_SIM_PLANNER && (r = rebalance(s, err)) == 0) {
		find_gains(s, vm);
		r = choose(s, vm, ret_host, err);
	}
	if (r == 0 && *ret_host == MB_NOWHERE)
		s->step->refused++;
	else if (r == 0)
		put(s, vm, *ret_host);
	return r;
}

static void end_step(struct sim *s)
{
	struct mb_sim_step *step = s->step;
	uint64_t self = 0, saved = 0;

	for (uint32_t h = 0; h < s->world->n_hosts; h++) {
		uint64_t mb = s->world->hosts[h].memory_mb;

		step->hosts_used += s->full_mb[h] > 0;
		step->full_mb += s->full_mb[h];
		step->used_mb += used_mb(s, h);
		saved += s->saved[h];
		if (used_mb(s, h) <= mb)
			continue;
		step->hosts_over++;
		step->over_mb += used_mb(s, h) - mb;
	}
	for (uint32_t v = 0; v < s->world->n_vms; v++)
		if (s->vms[v].host != MB_NOWHERE) {
			step->vms++;
			self += s->vms[v].pages - s->vms[v].distinct;
		}
	step->inter_pages = saved - self;
}

/* All VMs that run, or all that do not, into list[]. */
static uint32_t list_vms(struct sim *s, bool running)
{
	uint32_t n = 0;

	for (uint32_t v = 0; v < s->world->n_vms; v++)
		if ((s->vms[v].host != MB_NOWHERE) == running)
			s->list[n++] = v;
	return n;
}

static uint32_t percent_of(uint32_t n, uint32_t percent)
{
	return (uint32_t)(((uint64_t)n * percent + 50) / 100);
}

/* Brings `wanted` of the n in list[] to its front, drawn at random. */
static void draw(struct sim *s, uint32_t n, uint32_t wanted)
{
	for (uint32_t i = 0; i < wanted; i++) {
		uint32_t k = i + (uint32_t)(next_random(s) % (n - i)), v = s->list[k];

		s->list[k] = s->list[i];
		s->list[i] = v;
	}
}

static void leave(struct sim *s)
{
	uint32_t n = list_vms(s, true);

	s->step->left = percent_of(n, s->rules->leave_percent);
	draw(s, n, s->step->left);
	for (uint32_t i = 0; i < s->step->left; i++)
		s->vms[s->list[i]].host = MB_NOWHERE;
}

static int change(struct sim *s, struct mb_err *err)
{
	uint32_t n = list_vms(s, true);

	s->step->changed = percent_of(n, s->rules->change_percent);
	if (s->step->changed && (!s->synth || !s->world->data))
		return mb_fail(err, EOPNOTSUPP, "VMs should get other data, but it is recorded");
	draw(s, n, s->step->changed);
	for (uint32_t i = 0; i < s->step->changed; i++) {
		const struct mb_sim_data *d = &s->world->data[s->list[i]];
		struct mb_synth_vm *vm = &s->synth[s->list[i]];

		vm->salt = next_random(s);
		if (d->n_images)
			vm->images[d->slot] =
				d->first_image + (uint32_t)(next_random(s) % d->n_images);
	}
	return 0;
}

/* New VMs, of the kinds of those that do not run, take their places in list[]. */
static uint32_t renew(struct sim *s, uint32_t running)
{
	uint32_t n = list_vms(s, false);
	uint32_t wanted = MB_MIN(percent_of(running, s->rules->arrive_percent), n);

	draw(s, n, wanted);
	for (uint32_t i = 0; i < wanted && s->synth; i++)
		s->synth[s->list[i]].salt = next_random(s);
	return wanted;
}

static int churn(struct sim *s, struct mb_err *err)
{
	uint32_t running = list_vms(s, true), n_new, host;
	int r;

	leave(s);
	r = change(s, err);
	if (r < 0)
		return r;
	n_new = renew(s, running);
	r = make_groups(s, err);
	if (r == 0)
		r = measure(s, err);
	for (uint32_t i = 0; i < n_new && r == 0; i++)
		r = arrive(s, s->list[i], &host, err);
	if (r < 0)
		return r;
	return s->rules->rebalance && s->player->policy == MB_SIM_PLANNER ? rebalance(s, err) : 0;
}

static int run(struct sim *s, struct mb_err *err)
{
	bool refused = false;
	int r = sim_init(s, err);

	if (r == 0)
		r = mb_plan_check(&s->view, s->options, err);
	s->step = s->result->steps;
	if (r == 0)
		r = start(s, err);
	s->result->before_refusal = s->rules->n_start;
	for (uint32_t v = s->rules->n_start; v < s->world->n_vms && r == 0; v++) {
		uint32_t host = MB_NOWHERE;

		r = arrive(s, v, &host, err);
		refused |= host == MB_NOWHERE;
		s->result->before_refusal += !refused;
	}
	if (r == 0)
		end_step(s);
	for (uint32_t i = 1; i <= s->rules->n_steps && r == 0; i++) {
		s->step = &s->result->steps[i];
		r = churn(s, err);
		end_step(s);
	}
	return r;
}

int mb_sim_run(struct mb_sim_result *ret, const struct mb_sim_world *world,
	       const struct mb_sim_player *player, const struct mb_sim_rules *rules,
	       const struct mb_plan_options *options, struct mb_err *err)
{
	mb_cleanup(sim_deinit) struct sim s = {
		.world = world, .player = player, .rules = rules, .options = options, .result = ret
	};
	int r;

	*ret = (struct mb_sim_result){ .n_steps = rules->n_steps + 1 };
	ret->steps = calloc((size_t)rules->n_steps + 1, sizeof(*ret->steps));
	if (!ret->steps)
		return mb_fail_mem(err, "a simulation");
	if (rules->leave_percent > 100 || rules->change_percent > 100 ||
	    rules->arrive_percent > 100)
		r = mb_fail(err, EINVAL, "churn of %u, %u, %u %%", rules->leave_percent,
			    rules->change_percent, rules->arrive_percent);
	else
		r = run(&s, err);
	if (r < 0)
		mb_sim_result_deinit(ret);
	return r;
}

void mb_sim_result_deinit(struct mb_sim_result *r)
{
	free(r->steps);
	*r = (struct mb_sim_result){ 0 };
}
