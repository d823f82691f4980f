// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/util_lists.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/fingerprint.h"
#include "proto/multiset_hash.h"
#include "tests/bench/util_bench.h"

static const struct mb_synth_fleet_params *find(const char *name)
{
	const struct mb_synth_fleet_params *p = mb_synth_fleets;
	struct mb_err err = { 0 };

	while (p->name && strcmp(p->name, name) != 0)
		p++;
	if (!p->name)
		bench_must(mb_fail(&err, EINVAL, "no synthetic fleet \"%s\"", name), &err);
	return p;
}

static uint32_t scale(uint64_t n, uint64_t to, uint64_t from)
{
	return (uint32_t)((n * to + from - 1) / from);
}

static struct mb_synth_fleet_params scaled(const struct mb_synth_fleet_params *p, uint32_t vms,
					   uint32_t pages)
{
	struct mb_synth_fleet_params s = *p;

	s.n_vms = vms;
	s.n_hosts = scale(p->n_hosts, vms, p->n_vms);
	s.vm_pages = pages;
	s.host_mb = scale(p->host_mb, pages, p->vm_pages) + 1;
	s.self_pages = scale(p->self_pages, pages, p->vm_pages);
	s.os.pages = scale(p->os.pages, pages, p->vm_pages);
	s.app.pages = scale(p->app.pages, pages, p->vm_pages);
	s.data.pages = scale(p->data.pages, pages, p->vm_pages);
	return s;
}

/* Every page its own digest: mix64 is a bijection. */
static uint64_t digest_of(uint64_t owner, uint64_t i)
{
	return mb_mix64(owner << 32 | i);
}

static void fill(struct bench_lists *l)
{
	const struct mb_groups *groups = &l->fleet.groups;

	for (size_t g = 0; g < groups->n_groups; g++)
		for (uint32_t k = 0; k < groups->groups[g].n_vms; k++) {
			uint32_t v = groups->vms[groups->groups[g].first_vm + k];

			for (uint64_t i = 0; i < groups->groups[g].weight_pages; i++)
				l->digests[v][l->lists[v].n++] = digest_of(g + 1, i);
		}
	for (uint32_t v = 0; v < l->n; v++)
		for (uint64_t i = 0; l->lists[v].n < l->fleet.vms[v].distinct; i++)
			l->digests[v][l->lists[v].n++] = digest_of((uint64_t)UINT32_MAX - v, i);
}

static void sort(struct bench_lists *l)
{
	mb_autofree uint64_t *tmp = NULL;
	size_t most = 0;

	for (uint32_t v = 0; v < l->n; v++)
		most = MB_MAX(most, (size_t)l->lists[v].n);
	tmp = bench_alloc(most * sizeof(*tmp));
	for (uint32_t v = 0; v < l->n; v++) {
		mb_sort_u64(l->digests[v], tmp, l->lists[v].n);
		l->lists[v].digests = l->digests[v];
		l->n_entries += l->lists[v].n;
	}
}

void bench_lists_make(struct bench_lists *l, const char *fleet, uint32_t vms, uint32_t pages)
{
	const struct mb_synth_fleet_params params = scaled(find(fleet), vms, pages);
	struct mb_err err = { 0 };

	*l = (struct bench_lists){ .n = vms };
	bench_must(mb_synth_fleet_init(&l->fleet, &params, &err), &err);
	l->lists = bench_alloc(vms * sizeof(*l->lists));
	l->digests = bench_alloc(vms * sizeof(*l->digests));
	for (uint32_t v = 0; v < vms; v++)
		l->digests[v] = bench_alloc(l->fleet.vms[v].distinct * sizeof(uint64_t));
	fill(l);
	sort(l);
}

void bench_lists_free(struct bench_lists *l)
{
	for (uint32_t v = 0; v < l->n; v++)
		free(l->digests[v]);
	free(l->digests);
	free(l->lists);
	mb_synth_fleet_deinit(&l->fleet);
}
