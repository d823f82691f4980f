// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/plan/question.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/plan/tally.h"

static void add_up(struct mb_whatif_host *ret, const struct mb_fleet_view *fleet,
		   const uint32_t *host, const uint64_t *zero_pages)
{
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		const struct mb_plan_vm *vm = &fleet->vms[v];
		/* Of the zero page's copies one is a page like others; the rest is "zero". */
		uint64_t zero = zero_pages && zero_pages[v] ? zero_pages[v] - 1 : 0;
		uint64_t self = vm->pages - vm->distinct;
		struct mb_whatif_host *h;

		if (host[v] == MB_NOWHERE)
			continue;
		h = &ret[host[v]];
		zero = MB_MIN(zero, self);
		h->full_mb += vm->memory_mb;
		h->pages += vm->pages;
		h->zero_pages += zero;
		h->self_pages += self - zero;
	}
}

/* One VM after the other, as rules are asked; what has no room is put all the same. */
static void check_rules(struct mb_whatif_host *ret, struct mb_tally *t,
			const struct mb_fleet_view *fleet, const uint32_t *host)
{
	char rule[MB_REASON_BYTES - 90];

	for (uint32_t h = 0; h < fleet->n_hosts; h++)
		ret[h].fits = true;
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		struct mb_whatif_host *h;

		if (host[v] == MB_NOWHERE)
			continue;
		h = &ret[host[v]];
		if (h->fits &&
		    !mb_room_allows(&t->rules, v, host[v], MB_NOWHERE, rule, sizeof(rule))) {
			h->fits = false;
			snprintf(h->reason, sizeof(h->reason), "VM \"%.60s\": %s",
				 fleet->vms[v].name, rule);
		}
		mb_tally_put(t, v, host[v]);
		if (h->fits && t->room[host[v]] < 0) {
			h->fits = false;
			snprintf(h->reason, sizeof(h->reason),
				 "no room for VM \"%.60s\": %lld MB too much", fleet->vms[v].name,
				 (long long)((-t->room[host[v]] + MB_TALLY_MB - 1) / MB_TALLY_MB));
		}
	}
}

/* Are the rule's VMs on several hosts? Out of the picture is not elsewhere. */
static bool is_split(const struct mb_plan_rule *rule, const uint32_t *host)
{
	uint32_t first = MB_NOWHERE;

	for (uint32_t k = 0; k < rule->n_vms; k++) {
		uint32_t at = host[rule->vms[k]];

		if (at == MB_NOWHERE)
			continue;
		if (first != MB_NOWHERE && at != first)
			return true;
		first = at;
	}
	return false;
}

static void check_together(struct mb_whatif_host *ret, const struct mb_fleet_view *fleet,
			   const struct mb_plan_rule *rule, const uint32_t *host)
{
	for (uint32_t k = 0; k < rule->n_vms; k++) {
		uint32_t at = host[rule->vms[k]];

		if (at == MB_NOWHERE || !ret[at].fits)
			continue;
		ret[at].fits = false;
		snprintf(ret[at].reason, sizeof(ret[at].reason),
			 "rule \"%.60s\" wants VM \"%.60s\" together with others", rule->name,
			 fleet->vms[rule->vms[k]].name);
	}
}

int mb_plan_whatif(struct mb_whatif_host *ret, const struct mb_fleet_view *fleet,
		   const struct mb_plan_options *options, const uint32_t *host,
		   const uint64_t *zero_pages, struct mb_err *err)
{
	mb_autofree uint64_t *unions = calloc((size_t)fleet->n_hosts + 1, sizeof(*unions));
	mb_autofree struct mb_plan_vm *free_to_go =
		calloc((size_t)fleet->n_vms + 1, sizeof(*free_to_go));
	mb_cleanup(mb_tally_deinit) struct mb_tally t = { 0 };
	struct mb_fleet_view exact = *fleet;
	int r = mb_plan_check(fleet, options, err);

	if (r < 0)
		return r;
	if (!unions || !free_to_go)
		return mb_fail_mem(err, "a question");
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		if (host[v] != MB_NOWHERE && host[v] >= fleet->n_hosts)
			return mb_fail(err, EINVAL, "VM \"%.80s\" on host %u of %u",
				       fleet->vms[v].name, host[v], fleet->n_hosts);
	/* The question is where they would be; pins say where they are. */
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		free_to_go[v] = fleet->vms[v];
		free_to_go[v].pinned = false;
	}
	exact.vms = free_to_go;
	exact.score_groups = NULL;
	r = mb_tally_init(&t, &exact, options, err);
	if (r < 0)
		return r;
	memset(ret, 0, fleet->n_hosts * sizeof(*ret));
	add_up(ret, fleet, host, zero_pages);
	mb_score_unions(fleet, host, unions);
	for (uint32_t h = 0; h < fleet->n_hosts; h++) {
		ret[h].distinct_pages = unions[h];
		ret[h].inter_pages =
			ret[h].pages - ret[h].zero_pages - ret[h].self_pages - unions[h];
	}
	check_rules(ret, &t, fleet, host);
	for (uint32_t i = 0; i < fleet->n_rules; i++)
		if (fleet->rules[i].kind == MB_RULE_TOGETHER && is_split(&fleet->rules[i], host))
			check_together(ret, fleet, &fleet->rules[i], host);
	return 0;
}
