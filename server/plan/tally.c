// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/tally.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

void mb_tally_deinit(struct mb_tally *t)
{
	mb_room_deinit(&t->rules);
	free(t->host);
	free(t->room);
	free(t->total);
	free(t->full);
	free(t->least);
	free(t->gain);
	free(t->first_of);
	free(t->groups_of);
	free(t->row_of);
	free(t->counts);
	*t = (struct mb_tally){ 0 };
}

static bool row_is_list(const struct mb_tally *t, uint32_t n_vms)
{
	return 1 + 2 * (uint64_t)n_vms < t->fleet->n_hosts;
}

static void index_groups(struct mb_tally *t)
{
	const struct mb_groups *g = t->groups;
	uint32_t n = t->fleet->n_vms;

	for (size_t i = 0; i < g->n_vms; i++)
		t->first_of[g->vms[i] + 1]++;
	for (uint32_t v = 0; v < n; v++)
		t->first_of[v + 1] += t->first_of[v];
	/* Filling moves first_of[v] to the end of v's part, which is where v + 1 begins. */
	for (size_t i = 0; i < g->n_groups; i++)
		for (uint32_t k = 0; k < g->groups[i].n_vms; k++) {
			uint32_t v = g->vms[g->groups[i].first_vm + k];

			t->groups_of[t->first_of[v]++] = (uint32_t)i;
		}
	memmove(t->first_of + 1, t->first_of, n * sizeof(*t->first_of));
	t->first_of[0] = 0;
}

static void set_sizes(struct mb_tally *t, const struct mb_plan_options *options)
{
	for (uint32_t h = 0; h < t->fleet->n_hosts; h++)
		t->total[h] =
			MB_TALLY_MB * (int64_t)mb_plan_capacity_mb(&t->fleet->hosts[h], options);
	for (uint32_t v = 0; v < t->fleet->n_vms; v++) {
		const struct mb_plan_vm *vm = &t->fleet->vms[v];
		uint64_t self = vm->pages - vm->distinct;
		int64_t pages = MB_TALLY_PAGE * (int64_t)vm->pages;

		t->full[v] = MB_TALLY_MB * (int64_t)vm->memory_mb;
		/* A fingerprint larger than its VM: then it is as large as that. */
		if (t->counted_percent && vm->others)
			t->full[v] += MB_TALLY_PAGE * (int64_t)vm->beyond_pages;
		else if (t->counted_percent)
			t->full[v] = MB_MAX(t->full[v], pages);
		t->least[v] = t->full[v] - (int64_t)(t->counted_percent * self);
	}
}

int mb_tally_init(struct mb_tally *t, const struct mb_fleet_view *fleet,
		  const struct mb_plan_options *options, struct mb_err *err)
{
	const struct mb_groups *g = fleet->score_groups ? fleet->score_groups : fleet->groups;
	size_t n_vms = fleet->n_vms, n_hosts = fleet->n_hosts, cells = 0;
	int r;

	*t = (struct mb_tally){ .fleet = fleet,
				.groups = g,
				.counted_percent = options->count_sharing_percent };
	t->row_of = malloc((g->n_groups + 1) * sizeof(*t->row_of));
	for (size_t i = 0; i < g->n_groups && t->row_of; i++) {
		t->row_of[i] = cells;
		cells += row_is_list(t, g->groups[i].n_vms) ? 1 + 2 * (size_t)g->groups[i].n_vms :
							      n_hosts;
	}
	t->host = malloc((n_vms + 1) * sizeof(*t->host));
	t->room = malloc((n_hosts + 1) * sizeof(*t->room));
	t->total = malloc((n_hosts + 1) * sizeof(*t->total));
	t->full = malloc((n_vms + 1) * sizeof(*t->full));
	t->least = malloc((n_vms + 1) * sizeof(*t->least));
	t->gain = calloc(n_vms * n_hosts + 1, sizeof(*t->gain));
	t->first_of = calloc(n_vms + 1, sizeof(*t->first_of));
	t->groups_of = malloc((g->n_vms + 1) * sizeof(*t->groups_of));
	t->counts = malloc((cells + 1) * sizeof(*t->counts));
	if (!t->row_of || !t->host || !t->room || !t->total || !t->full || !t->least || !t->gain ||
	    !t->first_of || !t->groups_of || !t->counts) {
		mb_tally_deinit(t);
		return mb_fail(err, ENOMEM, "out of memory for the gains of %zu VMs on %zu hosts",
			       n_vms, n_hosts);
	}
	r = mb_room_init(&t->rules, fleet, options, err);
	if (r < 0) {
		mb_tally_deinit(t);
		return r;
	}
	t->row_of[g->n_groups] = cells;
	set_sizes(t, options);
	index_groups(t);
	mb_tally_clear(t);
	return 0;
}

static void empty(struct mb_tally *t)
{
	size_t n_vms = t->fleet->n_vms, n_hosts = t->fleet->n_hosts;

	memset(t->host, 0xff, n_vms * sizeof(*t->host));
	memcpy(t->room, t->total, n_hosts * sizeof(*t->room));
	memset(t->gain, 0, n_vms * n_hosts * sizeof(*t->gain));
	memset(t->counts, 0, t->row_of[t->groups->n_groups] * sizeof(*t->counts));
	mb_room_clear(&t->rules);
	t->saving = 0;
}

void mb_tally_clear(struct mb_tally *t)
{
	empty(t);
	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		if (t->fleet->vms[v].pinned && t->fleet->vms[v].host != MB_NOWHERE)
			mb_tally_put(t, v, t->fleet->vms[v].host);
}

void mb_tally_load(struct mb_tally *t, const uint32_t *host)
{
	empty(t);
	for (uint32_t v = 0; v < t->fleet->n_vms; v++)
		if (host[v] != MB_NOWHERE)
			mb_tally_put(t, v, host[v]);
}

/* The counter of a group on a host; in a list it is made if need be, and then 0. */
static uint32_t *count_of(const struct mb_tally *t, uint32_t group, uint32_t host)
{
	uint32_t *row = t->counts + t->row_of[group];
	uint32_t *pair = row + 1;

	if (!row_is_list(t, t->groups->groups[group].n_vms))
		return &row[host];
	for (uint32_t i = 0; i < row[0]; i++, pair += 2)
		if (pair[0] == host)
			return &pair[1];
	row[0]++;
	pair[0] = host;
	pair[1] = 0;
	return &pair[1];
}

/* Drops the pair of a counter that went back to 0: the list has room for one per VM. */
static void count_drop(struct mb_tally *t, uint32_t group, uint32_t *count)
{
	uint32_t *row = t->counts + t->row_of[group], *last;

	if (*count || !row_is_list(t, t->groups->groups[group].n_vms))
		return;
	last = row + 1 + 2 * --row[0];
	count[-1] = last[0];
	count[0] = last[1];
}

void mb_tally_put(struct mb_tally *t, uint32_t vm, uint32_t host)
{
	const struct mb_groups *g = t->groups;
	uint64_t *gain = t->gain + (size_t)host * t->fleet->n_vms;

	uint64_t saved = 0;

	t->host[vm] = host;
	mb_room_put(&t->rules, vm, host);
	for (size_t i = t->first_of[vm]; i < t->first_of[vm + 1]; i++) {
		const struct mb_group *group = &g->groups[t->groups_of[i]];
		const uint32_t *vms = g->vms + group->first_vm;

		t->work++;
		if ((*count_of(t, t->groups_of[i], host))++) {
			saved += group->weight_pages;
			continue;
		}
		t->work += group->n_vms;
		for (uint32_t k = 0; k < group->n_vms; k++)
			gain[vms[k]] += group->weight_pages;
	}
	t->saving += saved;
	t->room[host] -= t->least[vm] - (int64_t)(t->counted_percent * saved);
}

void mb_tally_take(struct mb_tally *t, uint32_t vm)
{
	const struct mb_groups *g = t->groups;
	uint32_t host = t->host[vm];
	uint64_t *gain = t->gain + (size_t)host * t->fleet->n_vms;

	uint64_t saved = 0;

	t->host[vm] = MB_NOWHERE;
	mb_room_take(&t->rules, vm, host);
	for (size_t i = t->first_of[vm]; i < t->first_of[vm + 1]; i++) {
		const struct mb_group *group = &g->groups[t->groups_of[i]];
		const uint32_t *vms = g->vms + group->first_vm;
		uint32_t *count = count_of(t, t->groups_of[i], host);

		t->work++;
		if (--*count) {
			saved += group->weight_pages;
			continue;
		}
		count_drop(t, t->groups_of[i], count);
		t->work += group->n_vms;
		for (uint32_t k = 0; k < group->n_vms; k++)
			gain[vms[k]] -= group->weight_pages;
	}
	t->saving -= saved;
	t->room[host] += t->least[vm] - (int64_t)(t->counted_percent * saved);
}

uint64_t mb_tally_own(struct mb_tally *t, uint32_t vm)
{
	uint64_t own = 0;

	t->work += t->first_of[vm + 1] - t->first_of[vm];
	for (size_t i = t->first_of[vm]; i < t->first_of[vm + 1]; i++)
		if (*count_of(t, t->groups_of[i], t->host[vm]) > 1)
			own += t->groups->groups[t->groups_of[i]].weight_pages;
	return own;
}

int64_t mb_tally_swap(struct mb_tally *t, uint32_t a, uint32_t b, uint64_t own_a, uint64_t own_b)
{
	size_t i = t->first_of[a], j = t->first_of[b];
	uint32_t on_a = t->host[a], on_b = t->host[b];
	uint64_t only = 0;

	t->work += t->first_of[a + 1] - i + t->first_of[b + 1] - j;
	while (i < t->first_of[a + 1] && j < t->first_of[b + 1]) {
		uint32_t ga = t->groups_of[i], gb = t->groups_of[j];

		i += ga <= gb;
		j += gb <= ga;
		if (ga != gb)
			continue;
		only += t->groups->groups[ga].weight_pages *
			(uint64_t)((*count_of(t, ga, on_a) == 1) + (*count_of(t, ga, on_b) == 1));
	}
	return (int64_t)(mb_tally_gain(t, on_b, a) + mb_tally_gain(t, on_a, b) - own_a - own_b -
			 only);
}
