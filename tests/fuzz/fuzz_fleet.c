// SPDX-License-Identifier: GPL-2.0-or-later
/* A fleet file: what is taken keeps every promise that the planners rely on. */
#include "proto/msg.h"
#include "server/fleet_file.h"
#include "tests/fuzz/util_fuzz.h"

static void check_name(const char *name, const char *other)
{
	must(mb_name_check(name, "", NULL) == 0);
	must(!other || strcmp(name, other) != 0);
}

static void check_hosts(const struct mb_fleet_file *f)
{
	for (uint32_t i = 0; i < f->n_hosts; i++) {
		const struct mb_fleet_file_host *h = &f->hosts[i];

		for (uint32_t k = 0; k < i; k++)
			check_name(h->name, f->hosts[k].name);
		check_name(h->name, NULL);
		must(h->memory_mb >= 1 && h->memory_mb <= MB_FLEET_MEMORY_MB_MAX);
		must(h->state <= MB_HOST_POOL);
		must(!h->trust_domain || *h->trust_domain);
	}
}

static void check_vms(const struct mb_fleet_file *f)
{
	for (uint32_t i = 0; i < f->n_vms; i++) {
		const struct mb_fleet_file_vm *v = &f->vms[i];

		for (uint32_t k = 0; k < i; k++)
			check_name(v->name, f->vms[k].name);
		check_name(v->name, NULL);
		must(v->memory_mb >= 1 && v->memory_mb <= MB_FLEET_MEMORY_MB_MAX);
		must(v->host == MB_NOWHERE ? !v->pinned : v->host < f->n_hosts);
		must(!v->trace || *v->trace == '/' || strncmp(v->trace, "folder/", 7) == 0);
		for (int r = 0; r < MB_RESOURCES; r++)
			must(v->load[r].mean <= v->load[r].peak);
	}
}

static void check_rules(const struct mb_fleet_file *f)
{
	for (uint32_t i = 0; i < f->n_rules; i++) {
		const struct mb_fleet_file_rule *rule = &f->rules[i];

		check_name(rule->name, i ? f->rules[i - 1].name : NULL);
		must(rule->n_vms >= 2);
		for (uint32_t k = 0; k < rule->n_vms; k++)
			must(rule->vms[k] < f->n_vms && (!k || rule->vms[k - 1] < rule->vms[k]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct mb_fleet_file f;
	struct mb_err err = { 0 };
	int r = mb_fleet_file_parse((const char *)data, n, "folder", &f, &err);

	for (int i = 0; i < MB_OPTIONS; i++)
		must(f.options.value[i] >= mb_option_infos[i].min &&
		     f.options.value[i] <= mb_option_infos[i].max);
	if (r < 0) {
		must_fail(r, &err);
		must(!f.n_hosts && !f.hosts && !f.vms && !f.rules);
		return 0;
	}
	check_hosts(&f);
	check_vms(&f);
	check_rules(&f);
	mb_fleet_file_deinit(&f);
	return 0;
}
