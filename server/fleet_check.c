// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fleet_check.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* "rules[3]" and so on */
static struct mb_json_at place(const struct mb_json_doc *doc, const char *list, uint32_t i)
{
	struct mb_json_at at = { .doc = doc };

	snprintf(at.path, sizeof(at.path), "%s[%" PRIu32 "]", list, i);
	return at;
}

static int check_hosts(const struct mb_json_doc *doc, const struct mb_fleet_file *f,
		       struct mb_err *err)
{
	for (uint32_t i = 0; i < f->n_hosts; i++) {
		const struct mb_fleet_file_host *h = &f->hosts[i];
		struct mb_json_at at = place(doc, "hosts", i);

		if (h->reserve_mb >= h->memory_mb)
			return mb_json_fail(&at, "reserve_mb", err,
					    "host \"%s\" of %" PRIu64
					    " MB would have nothing left for VMs",
					    h->name, h->memory_mb);
		if (h->free_mb != UINT64_MAX && h->free_mb > h->memory_mb)
			return mb_json_fail(&at, "free_mb", err,
					    "more than the %" PRIu64 " MB of host \"%s\"",
					    h->memory_mb, h->name);
	}
	return 0;
}

static int check_vms(const struct mb_json_doc *doc, const struct mb_fleet_file *f,
		     struct mb_err *err)
{
	for (uint32_t i = 0; i < f->n_vms; i++) {
		const struct mb_fleet_file_vm *vm = &f->vms[i];
		struct mb_json_at at = place(doc, "vms", i);
		const struct mb_fleet_file_host *h;

		if (vm->host == MB_NOWHERE && vm->pinned)
			return mb_json_fail(&at, "pinned", err, "VM \"%s\" has no host to stay on",
					    vm->name);
		if (vm->host == MB_NOWHERE)
			continue;
		h = &f->hosts[vm->host];
		if (h->state == MB_HOST_POOL)
			return mb_json_fail(&at, "host", err,
					    "host \"%s\" is in the pool: switched off, it runs "
					    "no VM",
					    h->name);
		if (vm->pinned && vm->trust_domain && h->trust_domain &&
		    strcmp(vm->trust_domain, h->trust_domain) != 0)
			return mb_json_fail(&at, "pinned", err,
					    "host \"%s\" takes trust domain \"%s\" only, VM "
					    "\"%s\" is of \"%s\"",
					    h->name, h->trust_domain, vm->name, vm->trust_domain);
	}
	return 0;
}

/* Which VMs the rules of affinity bind together: a forest, and by root where it is pinned. */
struct bonds {
	uint32_t *up;  /* [0, n_vms): the VM above, itself at the root */
	uint32_t *pin; /* [0, n_vms): of roots: a pinned VM among them, or MB_NOWHERE */
};

static void bonds_deinit(struct bonds *b)
{
	free(b->up);
	free(b->pin);
}

static uint32_t root_of(struct bonds *b, uint32_t vm)
{
	while (b->up[vm] != vm)
		vm = b->up[vm] = b->up[b->up[vm]];
	return vm;
}

static int bind(const struct mb_json_at *at, const struct mb_fleet_file *f, struct bonds *b,
		const struct mb_fleet_file_rule *rule, struct mb_err *err)
{
	for (uint32_t k = 1; k < rule->n_vms; k++) {
		uint32_t x = root_of(b, rule->vms[0]), y = root_of(b, rule->vms[k]);
		uint32_t px = b->pin[x], py = b->pin[y];

		if (px != MB_NOWHERE && py != MB_NOWHERE && f->vms[px].host != f->vms[py].host)
			return mb_json_fail(at, NULL, err,
					    "rule \"%s\" puts \"%s\" and \"%s\" together, which "
					    "are pinned to two hosts",
					    rule->name, f->vms[px].name, f->vms[py].name);
		b->up[y] = x;
		b->pin[x] = px != MB_NOWHERE ? px : py;
	}
	return 0;
}

static bool has_vm(const struct mb_fleet_file_rule *rule, uint32_t vm)
{
	for (uint32_t k = 0; k < rule->n_vms; k++)
		if (rule->vms[k] == vm)
			return true;
	return false;
}

/* The rule that binds both, if it is one alone. */
static const char *rule_of(const struct mb_fleet_file *f, uint32_t a, uint32_t b)
{
	for (uint32_t i = 0; i < f->n_rules; i++)
		if (f->rules[i].kind == MB_RULE_TOGETHER && has_vm(&f->rules[i], a) &&
		    has_vm(&f->rules[i], b))
			return f->rules[i].name;
	return NULL;
}

/* `first` has room for n_vms + n_hosts: per bond, then per host, the first VM of it + 1. */
static int check_apart(const struct mb_json_at *at, const struct mb_fleet_file *f, struct bonds *b,
		       const struct mb_fleet_file_rule *rule, uint32_t *first, struct mb_err *err)
{
	memset(first, 0, ((size_t)f->n_vms + f->n_hosts) * sizeof(*first));
	for (uint32_t k = 0; k < rule->n_vms; k++) {
		uint32_t vm = rule->vms[k], root = root_of(b, vm), pin = b->pin[root];
		uint32_t *host = pin == MB_NOWHERE ? NULL : &first[f->n_vms + f->vms[pin].host];

		if (first[root]) {
			uint32_t other = first[root] - 1;
			const char *by = rule_of(f, other, vm);

			return mb_json_fail(at, NULL, err,
					    "rule \"%s\" puts \"%s\" and \"%s\" apart, %s%s%s "
					    "together",
					    rule->name, f->vms[other].name, f->vms[vm].name,
					    by ? "rule \"" : "other rules put them", by ? by : "",
					    by ? "\" puts them" : "");
		}
		if (host && *host)
			return mb_json_fail(at, NULL, err,
					    "rule \"%s\" puts \"%s\" and \"%s\" apart, which are "
					    "bound to host \"%s\" both",
					    rule->name, f->vms[*host - 1].name, f->vms[vm].name,
					    f->hosts[f->vms[pin].host].name);
		first[root] = vm + 1;
		if (host)
			*host = vm + 1;
	}
	return 0;
}

static int check_rules(const struct mb_json_doc *doc, const struct mb_fleet_file *f,
		       struct mb_err *err)
{
	mb_cleanup(bonds_deinit) struct bonds b = {
		.up = calloc((size_t)f->n_vms + 1, sizeof(*b.up)),
		.pin = calloc((size_t)f->n_vms + 1, sizeof(*b.pin)),
	};
	mb_autofree uint32_t *first = calloc((size_t)f->n_vms + f->n_hosts + 1, sizeof(*first));
	int r = 0;

	if (!b.up || !b.pin || !first)
		return mb_fail_mem(err, "the rules of a fleet");
	for (uint32_t v = 0; v < f->n_vms; v++) {
		b.up[v] = v;
		b.pin[v] = f->vms[v].pinned ? v : MB_NOWHERE;
	}
	for (uint32_t i = 0; i < f->n_rules && r == 0; i++) {
		struct mb_json_at at = place(doc, "rules", i);

		if (f->rules[i].kind == MB_RULE_TOGETHER)
			r = bind(&at, f, &b, &f->rules[i], err);
	}
	for (uint32_t i = 0; i < f->n_rules && r == 0; i++) {
		struct mb_json_at at = place(doc, "rules", i);

		if (f->rules[i].kind == MB_RULE_APART)
			r = check_apart(&at, f, &b, &f->rules[i], first, err);
	}
	return r;
}

int mb_fleet_check(const struct mb_json_doc *doc, const struct mb_fleet_file *f, struct mb_err *err)
{
	int r = check_hosts(doc, f, err);

	if (r == 0)
		r = check_vms(doc, f, err);
	if (r == 0)
		r = check_rules(doc, f, err);
	return r;
}
