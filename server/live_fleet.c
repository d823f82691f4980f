// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/live_fleet.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

static uint32_t find_host(struct mb_live_fleet *f, const char *name)
{
	uint32_t i;

	for (i = 0; i < f->view.n_hosts && strcmp(f->hosts[i].name, name) != 0;)
		i++;
	if (i == f->view.n_hosts)
		f->hosts[f->view.n_hosts++] = (struct mb_plan_host){ .name = name };
	return i;
}

static uint64_t size_mb(const struct mb_vm *vm)
{
	uint64_t bytes = vm->memory_bytes;

	/* An agent that cannot tell: the memory in use is what we know. */
	if (!bytes)
		bytes = vm->sharing.pages * vm->identity.page_bytes;
	return MB_MAX((bytes + 1048575) / 1048576, 1u);
}

static void add_seen(struct mb_live_fleet *f, const struct mb_vm *vm)
{
	f->vms[f->view.n_vms++] = (struct mb_plan_vm){
		.name = vm->name,
		.memory_mb = size_mb(vm),
		.pages = vm->sharing.pages,
		.distinct = vm->sharing.distinct,
		.host = *vm->host ? find_host(f, vm->host) : MB_NOWHERE,
	};
}

static void add_from_file(struct mb_live_fleet *f, const struct mb_fleet_file_vm *vm,
			  uint32_t n_seen)
{
	uint32_t i;

	for (i = 0; i < n_seen && strcmp(f->vms[i].name, vm->name) != 0;)
		i++;
	if (i == n_seen) {
		i = f->view.n_vms++;
		f->vms[i] = (struct mb_plan_vm){ .name = vm->name, .host = MB_NOWHERE };
	}
	f->vms[i].memory_mb = vm->memory_mb;
	if (vm->host != MB_NOWHERE)
		f->vms[i].host = vm->host;
}

int mb_live_fleet_init(struct mb_live_fleet *ret, const struct mb_sharing_view *sharing,
		       const struct mb_fleet_file *file, struct mb_err *err)
{
	uint32_t n_seen = sharing->fleet.n;

	*ret = (struct mb_live_fleet){ .n_file_hosts = file->n_hosts };
	ret->hosts = calloc((size_t)file->n_hosts + n_seen + 1, sizeof(*ret->hosts));
	ret->vms = calloc((size_t)file->n_vms + n_seen + 1, sizeof(*ret->vms));
	if (!ret->hosts || !ret->vms) {
		mb_live_fleet_deinit(ret);
		return mb_fail_mem(err, "the fleet");
	}
	for (uint32_t i = 0; i < file->n_hosts; i++)
		ret->hosts[ret->view.n_hosts++] =
			(struct mb_plan_host){ .name = file->hosts[i].name,
					       .memory_mb = file->hosts[i].memory_mb };
	for (uint32_t i = 0; i < n_seen; i++)
		add_seen(ret, &sharing->fleet.vms[i]);
	for (uint32_t i = 0; i < file->n_vms; i++)
		add_from_file(ret, &file->vms[i], n_seen);
	ret->view.hosts = ret->hosts;
	ret->view.vms = ret->vms;
	ret->view.groups = &sharing->groups;
	return 0;
}

void mb_live_fleet_deinit(struct mb_live_fleet *f)
{
	free(f->hosts);
	free(f->vms);
	*f = (struct mb_live_fleet){ 0 };
}
