// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_fleet.h"

static const char *const host_names[FLEET_HOSTS_MAX] = {
	"h0", "h1", "h2",  "h3",  "h4",	 "h5",	"h6",  "h7",
	"h8", "h9", "h10", "h11", "h12", "h13", "h14", "h15",
};
static char vm_names[FLEET_VMS_MAX][16];

void fleet_init(struct fleet *f, uint32_t n_vms, const uint64_t *vm_mb, uint32_t n_hosts,
		const uint64_t *host_mb)
{
	memset(f, 0, sizeof(*f));
	assert_true(n_vms <= FLEET_VMS_MAX && n_hosts <= FLEET_HOSTS_MAX);
	for (uint32_t h = 0; h < n_hosts; h++)
		f->hosts[h] =
			(struct mb_plan_host){ .name = host_names[h], .memory_mb = host_mb[h] };
	for (uint32_t v = 0; v < n_vms; v++) {
		snprintf(vm_names[v], sizeof(vm_names[v]), "v%u", v);
		f->vms[v] = (struct mb_plan_vm){
			.name = vm_names[v],
			.memory_mb = vm_mb[v],
			.pages = 1000,
			.distinct = 900,
			.host = MB_NOWHERE,
		};
	}
	f->view = (struct mb_fleet_view){ .hosts = f->hosts,
					  .vms = f->vms,
					  .n_hosts = n_hosts,
					  .n_vms = n_vms,
					  .groups = &f->groups };
}

void fleet_deinit(struct fleet *f)
{
	mb_groups_deinit(&f->groups);
}

void fleet_share(struct fleet *f, uint64_t set, uint64_t weight)
{
	struct mb_groups *g = &f->groups;
	struct mb_group group = { .weight_pages = weight, .first_vm = (uint32_t)g->n_vms };

	g->groups = realloc(g->groups, (g->n_groups + 1) * sizeof(*g->groups));
	g->vms = realloc(g->vms, (g->n_vms + FLEET_VMS_MAX) * sizeof(*g->vms));
	assert_true(g->groups && g->vms);
	for (uint32_t v = 0; v < f->view.n_vms; v++) {
		if (!(set >> v & 1))
			continue;
		g->vms[g->n_vms++] = v;
		group.n_vms++;
		f->vms[v].pages += weight;
		f->vms[v].distinct += weight;
	}
	assert_true(group.n_vms >= 2);
	g->groups[g->n_groups++] = group;
}

void fleet_random(struct rng *r, struct fleet *f, uint32_t n_vms, uint32_t n_hosts, bool coarse)
{
	uint64_t vm_mb[FLEET_VMS_MAX], host_mb[FLEET_HOSTS_MAX];
	uint32_t n_groups = (uint32_t)rng_below(r, 3 * n_vms + 1);

	for (uint32_t v = 0; v < n_vms; v++)
		vm_mb[v] = coarse ? 512u << rng_below(r, 3) : 1 + rng_below(r, 2048);
	for (uint32_t h = 0; h < n_hosts; h++)
		host_mb[h] = coarse ? 1024 * (1 + rng_below(r, 4)) : 512 + rng_below(r, 5000);
	fleet_init(f, n_vms, vm_mb, n_hosts, host_mb);
	for (uint32_t i = 0; i < n_groups; i++) {
		uint64_t set = rng_next(r) & (((uint64_t)1 << n_vms) - 1);

		/* Small sets are the common ones. */
		if (rng_below(r, 2))
			set &= rng_next(r);
		if (set & (set - 1))
			fleet_share(f, set, 1 + rng_below(r, coarse ? 3 : 10000));
	}
}

void fleet_scatter(struct rng *r, struct fleet *f)
{
	for (uint32_t v = 0; v < f->view.n_vms; v++)
		f->vms[v].host = (uint32_t)rng_below(r, f->view.n_hosts);
}

bool fleet_fits(const struct fleet *f, const struct mb_plan_options *o, const uint32_t *host)
{
	for (uint32_t h = 0; h < f->view.n_hosts; h++) {
		uint64_t used = 0;

		for (uint32_t v = 0; v < f->view.n_vms; v++)
			used += host[v] == h ? f->vms[v].memory_mb : 0;
		if (used > f->hosts[h].memory_mb * (100 + o->overcommit_percent) / 100)
			return false;
	}
	for (uint32_t v = 0; v < f->view.n_vms; v++)
		if (host[v] >= f->view.n_hosts)
			return false;
	return true;
}

uint64_t fleet_optimum(const struct fleet *f, const struct mb_plan_options *o)
{
	uint32_t host[FLEET_VMS_MAX] = { 0 };
	uint64_t best = 0;
	bool any = false;
	uint32_t v;

	do {
		if (fleet_fits(f, o, host)) {
			uint64_t saving = mb_score_inter_pages(&f->view, host);

			best = saving > best ? saving : best;
			any = true;
		}
		for (v = 0; v < f->view.n_vms && ++host[v] == f->view.n_hosts; v++)
			host[v] = 0;
	} while (v < f->view.n_vms);
	return any ? best : UINT64_MAX;
}

void fleet_replay(const struct fleet *f, const struct mb_plan_options *o,
		  const struct mb_move *moves, size_t n, uint32_t *at)
{
	int64_t room[FLEET_HOSTS_MAX];
	bool infeasible = false;

	for (uint32_t h = 0; h < f->view.n_hosts; h++)
		room[h] = (int64_t)(f->hosts[h].memory_mb * (100 + o->overcommit_percent) / 100);
	for (uint32_t v = 0; v < f->view.n_vms; v++) {
		at[v] = f->vms[v].host;
		if (at[v] != MB_NOWHERE)
			room[at[v]] -= (int64_t)f->vms[v].memory_mb;
	}
	for (size_t i = 0; i < n; i++) {
		int64_t size = (int64_t)f->vms[moves[i].vm].memory_mb;

		assert_true(moves[i].vm < f->view.n_vms && moves[i].to < f->view.n_hosts);
		assert_int_equal(moves[i].from, at[moves[i].vm]);
		assert_int_not_equal(moves[i].from, moves[i].to);
		assert_int_equal(moves[i].feasible, size <= room[moves[i].to]);
		infeasible |= !moves[i].feasible;
		assert_int_equal(moves[i].feasible, !infeasible);
		if (infeasible)
			continue;
		if (at[moves[i].vm] != MB_NOWHERE)
			room[at[moves[i].vm]] += size;
		room[moves[i].to] -= size;
		at[moves[i].vm] = moves[i].to;
	}
}
