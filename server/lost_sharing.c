// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/lost_sharing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/names.h"
#include "server/plan/error.h"

struct losses {
	struct mb_live_fleet *fleet;
	struct mb_names vms;
	uint64_t *here; /* [0, n_vms): now */
};

static void losses_deinit(struct losses *l)
{
	mb_names_deinit(&l->vms);
	free(l->here);
}

/*
 * Then and now are figures from samples, one within the other, so what VMs had all the time is in
 * both and cancels out: the difference is off by no more than two samples that know nothing of each
 * other are.
 */
static uint64_t error_of_loss(uint64_t then_error, uint64_t now_error)
{
	return (uint64_t)ceil(hypot((double)then_error, (double)now_error));
}

static int see(void *ctx, const char *vm, const char *host, uint64_t here, uint64_t here_error)
{
	struct losses *l = ctx;
	uint32_t v = vm ? mb_names_find(&l->vms, vm) : MB_NO_NAME;
	struct mb_plan_vm *to;

	if (v == MB_NO_NAME || !host)
		return 0;
	to = &l->fleet->vms[v];
	if (to->host == MB_NOWHERE || strcmp(l->fleet->hosts[to->host].name, host) != 0)
		return 0;
	to->lost_pages = here > l->here[v] ? here - l->here[v] : 0;
	to->lost_error_pages =
		error_of_loss(here_error, mb_plan_count_error(l->here[v], to->sample_shift));
	return 0;
}

int mb_lost_sharing(struct mb_store *store, struct mb_live_fleet *fleet, uint64_t now_unix_ns,
		    struct mb_err *err)
{
	uint32_t n = fleet->view.n_vms;
	mb_autofree uint32_t *host = calloc((size_t)n + 1, sizeof(*host));
	mb_cleanup(losses_deinit) struct losses l = { .fleet = fleet };
	int r = mb_names_init(&l.vms, n, err);

	if (r < 0)
		return r;
	l.here = calloc((size_t)n + 1, sizeof(*l.here));
	if (!host || !l.here)
		return mb_fail_mem(err, "lost sharing");
	for (uint32_t v = 0; v < n; v++) {
		mb_names_put(&l.vms, fleet->vms[v].name, v);
		host[v] = fleet->vms[v].host;
		fleet->vms[v].lost_pages = fleet->vms[v].lost_error_pages = 0;
	}
	mb_score_here(&fleet->view, host, l.here);
	return mb_store_most_here(store, now_unix_ns - MB_MIN(now_unix_ns, MB_LOST_WITHIN_NS), see,
				  &l, err);
}
