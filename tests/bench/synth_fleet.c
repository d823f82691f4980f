// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/bench/synth_fleet.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "server/plan/synth.h"

const struct mb_synth_fleet_params mb_synth_fleets[] = {
	{
		.name = "easy",
		.summary = "applications, whole, are half of the memory",
		.seed = 1,
		.n_hosts = 20,
		.n_vms = 200,
		.host_mb = 2816,
		.vm_pages = 64000,
		.n_sizes = 1,
		.self_pages = 1536,
		.os = { .n = 2, .pages = 6000, .parts = 1, .keep_percent = 100 },
		.app = { .n = 20, .pages = 32000, .parts = 1, .keep_percent = 100 },
		.data = { .n = 100, .pages = 4000, .parts = 1, .keep_percent = 100 },
	},
	{
		.name = "hard",
		.summary = "1000 VMs on 100 hosts, little in common, nothing clean",
		.seed = 1,
		.n_hosts = 100,
		.n_vms = 1000,
		.host_mb = 2560,
		.vm_pages = 65000,
		.n_sizes = 1,
		.self_pages = 536,
		.os = { .n = 4, .pages = 8100, .parts = 25, .keep_percent = 75 },
		.app = { .n = 50, .pages = 6400, .parts = 20, .keep_percent = 75 },
		.data = { .n = 250, .pages = 5500, .parts = 16, .keep_percent = 75 },
		.app_on_os_percent = 50,
	},
	{
		.name = "tight",
		.summary = "VMs of three sizes, hosts 98 % full",
		.seed = 1,
		.n_hosts = 60,
		.n_vms = 311,
		.host_mb = 3072,
		.vm_pages = 64000,
		.n_sizes = 3,
		.self_pages = 1536,
		.os = { .n = 3, .pages = 9000, .parts = 12, .keep_percent = 85 },
		.app = { .n = 30, .pages = 16000, .parts = 10, .keep_percent = 85 },
		.data = { .n = 60, .pages = 12000, .parts = 8, .keep_percent = 85 },
		.app_on_os_percent = 30,
	},
	{
		.name = "small",
		.summary = "2000 small VMs, 50 on a host",
		.seed = 1,
		.n_hosts = 40,
		.n_vms = 2000,
		.host_mb = 1680,
		.vm_pages = 8000,
		.n_sizes = 1,
		.self_pages = 192,
		.os = { .n = 5, .pages = 2400, .parts = 10, .keep_percent = 80 },
		.app = { .n = 100, .pages = 1600, .parts = 6, .keep_percent = 80 },
		.data = { .n = 400, .pages = 1000, .parts = 4, .keep_percent = 80 },
		.app_on_os_percent = 40,
	},
	{ .name = NULL },
};

/* Images: the zero page, then all of each kind. */
struct images {
	struct mb_synth_image *all;
	uint32_t n, os, app, app_on_os, data;
};

static void images_deinit(struct images *i)
{
	free(i->all);
}

static int check(const struct mb_synth_fleet_params *p, struct mb_err *err)
{
	uint64_t images =
		1 + (uint64_t)p->os.n + p->app.n + (uint64_t)p->os.n * p->app.n + p->data.n;

	if (!p->os.n || !p->app.n || !p->data.n || images > 1 << 24)
		return mb_fail(err, EINVAL, "%u OSes, %u applications, %u data sets", p->os.n,
			       p->app.n, p->data.n);
	if (!p->n_sizes || p->n_sizes > 8 || !p->vm_pages || p->app_on_os_percent > 100)
		return mb_fail(err, EINVAL, "VMs of %u sizes, %u pages the smallest, %u %%",
			       p->n_sizes, p->vm_pages, p->app_on_os_percent);
	if (p->n_hosts > 1 << 20 || p->n_vms > 1 << 24)
		return mb_fail(err, EINVAL, "%u hosts, %u VMs", p->n_hosts, p->n_vms);
	return 0;
}

static uint32_t add_kind(struct images *i, const struct mb_synth_kind *kind, uint32_t n,
			 uint32_t percent)
{
	uint32_t first = i->n;

	while (n--)
		i->all[i->n++] = (struct mb_synth_image){
			.pages = (uint32_t)((uint64_t)kind->pages * percent / 100),
			.parts = kind->parts,
			.keep_percent = kind->keep_percent,
		};
	return first;
}

static int make_images(struct images *i, const struct mb_synth_fleet_params *p, struct mb_err *err)
{
	size_t n = 1 + (size_t)p->os.n + p->app.n + (size_t)p->os.n * p->app.n + p->data.n;

	i->all = calloc(n, sizeof(*i->all));
	if (!i->all)
		return mb_fail_mem(err, "a synthetic fleet");
	i->all[i->n++] = (struct mb_synth_image){ .pages = 1, .parts = 1, .keep_percent = 100 };
	i->os = add_kind(i, &p->os, p->os.n, 100);
	i->app = add_kind(i, &p->app, p->app.n, 100 - p->app_on_os_percent);
	i->app_on_os = add_kind(i, &p->app, p->app.n * p->os.n, p->app_on_os_percent);
	i->data = add_kind(i, &p->data, p->data.n, 100);
	return 0;
}

static struct mb_synth_vm draw_vm(const struct mb_synth_fleet_params *p, const struct images *i,
				  uint32_t v)
{
	uint32_t os = (uint32_t)(mb_synth_random(p->seed, v, 0) % p->os.n);
	uint32_t app = (uint32_t)(mb_synth_random(p->seed, v, 1) % p->app.n);
	uint32_t data = (uint32_t)(mb_synth_random(p->seed, v, 2) % p->data.n);
	uint32_t size = (uint32_t)(mb_synth_random(p->seed, v, 3) % p->n_sizes);

	return (struct mb_synth_vm){
		.distinct = (uint64_t)p->vm_pages << size,
		.salt = v,
		.images = { 0, i->os + os, i->app + app, i->app_on_os + app * p->os.n + os,
			    i->data + data, MB_SYNTH_NONE },
	};
}

static void place_in_turn(struct mb_synth_fleet *f, uint64_t *free_mb)
{
	uint32_t n_hosts = f->view.n_hosts, next = 0;

	for (uint32_t v = 0; v < f->view.n_vms; v++)
		for (uint32_t tried = 0; tried < n_hosts && f->vms[v].host == MB_NOWHERE; tried++) {
			uint32_t h = next;

			next = (next + 1) % n_hosts;
			if (free_mb[h] < f->vms[v].memory_mb)
				continue;
			free_mb[h] -= f->vms[v].memory_mb;
			f->vms[v].host = h;
		}
}

static int make(struct mb_synth_fleet *f, const struct mb_synth_fleet_params *p, struct mb_err *err)
{
	mb_cleanup(images_deinit) struct images images = { 0 };
	mb_autofree struct mb_synth_vm *drawn = calloc((size_t)p->n_vms + 1, sizeof(*drawn));
	mb_autofree uint64_t *free_mb = calloc((size_t)p->n_hosts + 1, sizeof(*free_mb));
	int r = make_images(&images, p, err);

	f->hosts = calloc((size_t)p->n_hosts + 1, sizeof(*f->hosts));
	f->vms = calloc((size_t)p->n_vms + 1, sizeof(*f->vms));
	f->names = calloc((size_t)p->n_hosts + p->n_vms + 1, sizeof(*f->names));
	if (r == 0 && (!drawn || !free_mb || !f->hosts || !f->vms || !f->names))
		r = mb_fail_mem(err, "a synthetic fleet");
	if (r < 0)
		return r;
	for (uint32_t h = 0; h < p->n_hosts; h++) {
		snprintf(f->names[h], sizeof(*f->names), "host%u", h);
		f->hosts[h] = (struct mb_plan_host){ .name = f->names[h],
						     .memory_mb = p->host_mb,
						     .free_mb = UINT64_MAX,
						     .cooled_s = UINT64_MAX };
		free_mb[h] = p->host_mb;
	}
	for (uint32_t v = 0; v < p->n_vms; v++) {
		char *name = f->names[p->n_hosts + v];
		uint64_t pages;

		drawn[v] = draw_vm(p, &images, v);
		pages = drawn[v].distinct + p->self_pages;
		snprintf(name, sizeof(*f->names), "vm%u", v);
		f->vms[v] = (struct mb_plan_vm){
			.name = name,
			.memory_mb = (pages + MB_PLAN_PAGES_PER_MB - 1) / MB_PLAN_PAGES_PER_MB,
			.pages = pages,
			.distinct = drawn[v].distinct,
			.host = MB_NOWHERE,
			.settled_s = UINT64_MAX,
		};
	}
	f->view = (struct mb_fleet_view){ .hosts = f->hosts,
					  .vms = f->vms,
					  .n_hosts = p->n_hosts,
					  .n_vms = p->n_vms,
					  .groups = &f->groups };
	place_in_turn(f, free_mb);
	return mb_synth_groups(&f->groups, p->seed, images.all, images.n, drawn, p->n_vms, err);
}

int mb_synth_fleet_init(struct mb_synth_fleet *f, const struct mb_synth_fleet_params *params,
			struct mb_err *err)
{
	int r;

	*f = (struct mb_synth_fleet){ 0 };
	r = check(params, err);
	if (r == 0)
		r = make(f, params, err);
	if (r < 0)
		mb_synth_fleet_deinit(f);
	return r < 0 ? mb_fail_in(err, r, "fleet %s", params->name) : 0;
}

void mb_synth_fleet_deinit(struct mb_synth_fleet *f)
{
	free(f->hosts);
	free(f->vms);
	free(f->names);
	mb_groups_deinit(&f->groups);
	*f = (struct mb_synth_fleet){ 0 };
}
