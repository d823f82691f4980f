// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/scenario_world.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/ctl/apart.h"
#include "server/ctl/load.h"
#include "server/plan/group_list.h"

static uint64_t pages_of(const struct mb_scenario_type *t, uint32_t percent)
{
	return t->memory_mb * MB_PLAN_PAGES_PER_MB * percent / 100;
}

static int make_fleet(struct mb_scenario_world *w, const struct mb_scenario *s, struct mb_err *err)
{
	w->names = calloc((size_t)s->n_hosts + s->n_vms + 1, sizeof(*w->names));
	w->hosts = calloc((size_t)s->n_hosts + 1, sizeof(*w->hosts));
	w->vms = calloc((size_t)s->n_vms + 1, sizeof(*w->vms));
	w->type_of = calloc((size_t)s->n_vms + 1, sizeof(*w->type_of));
	if (!w->names || !w->hosts || !w->vms || !w->type_of)
		return mb_fail_mem(err, "a scenario");
	for (uint32_t h = 0; h < s->n_hosts; h++) {
		snprintf(w->names[h], sizeof(*w->names), "host%u", h);
		w->hosts[h] = (struct mb_plan_host){ .name = w->names[h],
						     .memory_mb = s->host_mb[h],
						     .free_mb = UINT64_MAX,
						     .cooled_s = UINT64_MAX };
	}
	for (uint32_t v = 0; v < s->n_vms; v++) {
		bool in_turn = !s->random_order || v < s->rules.n_start;
		uint64_t drawn = mb_synth_random(s->rules.seed, v, 0);
		uint32_t t = (in_turn ? v : (uint32_t)(drawn >> 32)) % s->n_types;
		char *name = w->names[s->n_hosts + v];

		snprintf(name, sizeof(*w->names), "%s-%u", s->types[t].name, v);
		w->type_of[v] = t;
		w->vms[v] = (struct mb_plan_vm){ .name = name,
						 .memory_mb = s->types[t].memory_mb,
						 .pages = pages_of(&s->types[t], 100),
						 .distinct = pages_of(&s->types[t], 100) -
							     pages_of(&s->types[t],
								      s->types[t].self_percent),
						 .host = MB_NOWHERE,
						 .settled_s = UINT64_MAX };
	}
	w->world = (struct mb_sim_world){
		.hosts = w->hosts, .n_hosts = s->n_hosts, .vms = w->vms, .n_vms = s->n_vms
	};
	return 0;
}

/* Images: what all have, each type's own, each type's data sets. */
static int make_memory(struct mb_scenario_world *w, const struct mb_scenario *s, struct mb_err *err)
{
	mb_autofree uint32_t *first_data = calloc((size_t)s->n_types + 1, sizeof(*first_data));
	const struct mb_scenario_type *smallest = s->types;
	uint32_t n = 1 + s->n_types;
	uint64_t common;

	for (uint32_t i = 0; i < s->n_types; i++) {
		if (s->types[i].memory_mb < smallest->memory_mb)
			smallest = &s->types[i];
		n += s->types[i].data_sets;
	}
	common = pages_of(smallest, s->common_percent);
	w->images = calloc(n, sizeof(*w->images));
	w->synth = calloc((size_t)s->n_vms + 1, sizeof(*w->synth));
	w->data = calloc((size_t)s->n_vms + 1, sizeof(*w->data));
	if (!first_data || !w->images || !w->synth || !w->data)
		return mb_fail_mem(err, "a scenario");
	n = 0;
	w->images[n++] = (struct mb_synth_image){ (uint32_t)common, 1, 100 };
	for (uint32_t i = 0; i < s->n_types; i++) {
		const struct mb_scenario_type *t = &s->types[i];
		/* What is common comes off the type's own, whose pages are cut, too. */
		uint64_t own = pages_of(t, t->share_percent) - pages_of(t, t->data_percent);

		own -= MB_MIN(own, common);
		w->images[n++] = (struct mb_synth_image){ (uint32_t)own, 1, 100 };
	}
	for (uint32_t i = 0; i < s->n_types; i++) {
		const struct mb_scenario_type *t = &s->types[i];

		first_data[i] = n;
		for (uint32_t k = 0; k < t->data_sets; k++)
			w->images[n++] =
				(struct mb_synth_image){ (uint32_t)pages_of(t, t->data_percent), 1,
							 100 };
	}
	for (uint32_t v = 0; v < s->n_vms; v++) {
		uint32_t i = w->type_of[v], sets = s->types[i].data_sets;
		uint64_t drawn = mb_synth_random(s->rules.seed, v, 1);

		w->data[v] = (struct mb_sim_data){ 2, first_data[i], sets };
		w->synth[v] = (struct mb_synth_vm){
			.distinct = w->vms[v].distinct,
			.salt = v,
			.images = { 0, 1 + i,
				    sets ? first_data[i] + (uint32_t)(drawn % sets) : MB_SYNTH_NONE,
				    MB_SYNTH_NONE, MB_SYNTH_NONE, MB_SYNTH_NONE },
		};
	}
	w->world.images = w->images;
	w->world.n_images = n;
	w->world.synth = w->synth;
	w->world.data = w->data;
	return 0;
}

static int load_traces(struct mb_loads *loads, const struct mb_scenario *s, struct mb_err *err)
{
	struct mb_load_progress progress = { .n_files = s->n_types };
	int r = 0;

	mb_progress_begin(&progress.bar, "reading traces");
	for (uint32_t i = 0; i < s->n_types && r == 0; i++) {
		progress.file = i;
		r = mb_load_trace(loads, s->types[i].trace, true, &progress, err);
		if (r < 0)
			mb_fail_in(err, r, "type \"%s\"", s->types[i].name);
	}
	mb_progress_end(&progress.bar);
	return r;
}

/* The types' groups, as if there were one VM of each. */
static int group_types(const struct mb_loads *loads, struct mb_groups *ret, struct mb_err *err)
{
	mb_autofree struct mb_digest_list *lists = calloc(loads->n + 1, sizeof(*lists));
	mb_autofree const struct mb_identity **identities = calloc(loads->n + 1, sizeof(void *));

	if (!lists || !identities)
		return mb_fail_mem(err, "the digests of a scenario");
	for (size_t i = 0; i < loads->n; i++) {
		lists[i] = (struct mb_digest_list){ loads->items[i].fingerprint.digests,
						    loads->items[i].fingerprint.n_distinct };
		identities[i] = &loads->items[i].identity;
	}
	return mb_groups_apart(ret, identities, lists, (uint32_t)loads->n, err);
}

/* Pages that just the VMs of the types in has[] have. */
static int add_set(struct mb_group_list *list, const struct mb_scenario_world *w, const bool *has,
		   uint64_t pages, struct mb_err *err)
{
	int r = 0;

	for (uint32_t v = 0; v < w->world.n_vms && r == 0; v++)
		if (has[w->type_of[v]])
			r = mb_group_list_vm(list, v, err);
	return r < 0 ? r : mb_group_list_end(list, pages, err);
}

/* Clones have in common what their type has alone, and each group is that of all its types' VMs. */
static int clone(struct mb_scenario_world *w, const struct mb_loads *loads,
		 const struct mb_groups *types, struct mb_err *err)
{
	mb_cleanup(mb_group_list_deinit) struct mb_group_list list = { 0 };
	mb_autofree uint64_t *shared = calloc(loads->n + 1, sizeof(*shared));
	mb_autofree bool *has = calloc(loads->n + 1, sizeof(*has));
	int r = 0;

	if (!shared || !has)
		return mb_fail_mem(err, "a scenario");
	mb_groups_any(types, (uint32_t)loads->n, shared);
	for (size_t i = 0; i < types->n_groups && r == 0; i++) {
		const struct mb_group *g = &types->groups[i];

		for (uint32_t k = 0; k < g->n_vms; k++)
			has[types->vms[g->first_vm + k]] = true;
		r = add_set(&list, w, has, g->weight_pages, err);
		for (uint32_t k = 0; k < g->n_vms; k++)
			has[types->vms[g->first_vm + k]] = false;
	}
	for (size_t i = 0; i < loads->n && r == 0; i++) {
		has[i] = true;
		r = add_set(&list, w, has, loads->items[i].fingerprint.n_distinct - shared[i], err);
		has[i] = false;
	}
	return r < 0 ? r : mb_group_list_finish(&list, &w->groups, err);
}

static int take_traces(struct mb_scenario_world *w, const struct mb_scenario *s, struct mb_err *err)
{
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	mb_cleanup(mb_groups_deinit) struct mb_groups types = { 0 };
	int r = load_traces(&loads, s, err);

	for (uint32_t v = 0; v < s->n_vms && r == 0; v++) {
		const struct mb_fingerprint *f = &loads.items[w->type_of[v]].fingerprint;
		uint64_t mb = (f->n_pages + MB_PLAN_PAGES_PER_MB - 1) / MB_PLAN_PAGES_PER_MB;
		struct mb_plan_vm *vm = &w->vms[v];

		if (vm->memory_mb && vm->memory_mb < mb)
			return mb_fail(err, EINVAL,
				       "type \"%s\" has %llu MB, but its trace takes %llu",
				       s->types[w->type_of[v]].name,
				       (unsigned long long)vm->memory_mb, (unsigned long long)mb);
		vm->memory_mb = vm->memory_mb ? vm->memory_mb : mb;
		vm->pages = f->n_pages;
		vm->distinct = f->n_distinct;
	}
	if (r == 0)
		r = group_types(&loads, &types, err);
	if (r == 0)
		r = clone(w, &loads, &types, err);
	w->world.groups = &w->groups;
	return r;
}

int mb_scenario_world_init(struct mb_scenario_world *w, const struct mb_scenario *scenario,
			   struct mb_err *err)
{
	int r;

	*w = (struct mb_scenario_world){ 0 };
	r = make_fleet(w, scenario, err);
	if (r == 0)
		r = scenario->types[0].trace ? take_traces(w, scenario, err) :
					       make_memory(w, scenario, err);
	if (r < 0)
		mb_scenario_world_deinit(w);
	return r;
}

void mb_scenario_world_deinit(struct mb_scenario_world *w)
{
	free(w->names);
	free(w->hosts);
	free(w->vms);
	mb_groups_deinit(&w->groups);
	free(w->images);
	free(w->synth);
	free(w->data);
	free(w->type_of);
	*w = (struct mb_scenario_world){ 0 };
}
