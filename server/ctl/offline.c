// SPDX-License-Identifier: GPL-2.0-or-later
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "server/apply.h"
#include "server/ask.h"
#include "server/ctl/apart.h"
#include "server/ctl/load.h"
#include "server/ctl/question.h"
#include "server/fleet_file.h"

/* The last epoch of every VM's trace: loads->items[i] is VM i's. */
static int load_traces(const char *path, const struct mb_fleet_file *f, struct mb_loads *loads,
		       struct mb_err *err)
{
	struct mb_load_progress progress = { .n_files = f->n_vms };
	int r = 0;

	/* Before hours are spent on the others. */
	for (uint32_t i = 0; i < f->n_vms; i++)
		if (!f->vms[i].trace)
			return mb_fail(err, EINVAL,
				       "%s: vms[%" PRIu32
				       "]: VM \"%s\" has no trace; without a server every VM "
				       "needs one",
				       path, i, f->vms[i].name);
	mb_progress_begin(&progress.bar, "reading traces");
	for (uint32_t i = 0; i < f->n_vms && r == 0; i++) {
		progress.file = i;
		r = mb_load_trace(loads, f->vms[i].trace, true, &progress, err);
		if (r < 0)
			mb_fail_in(err, r, "VM \"%s\"", f->vms[i].name);
	}
	mb_progress_end(&progress.bar);
	return r;
}

/* Of all digests, or of those that last: then `room` holds the copies. */
static int compute_groups(const struct mb_loads *loads, bool durable, struct mb_groups *ret,
			  struct mb_err *err)
{
	mb_autofree struct mb_digest_list *lists = calloc(loads->n + 1, sizeof(*lists));
	mb_autofree const struct mb_identity **identities = calloc(loads->n + 1, sizeof(void *));
	mb_autofree uint64_t *room = NULL;
	size_t n = 1;

	for (size_t i = 0; i < loads->n && durable; i++)
		n += loads->items[i].fingerprint.n_distinct;
	room = malloc(n * sizeof(*room));
	if (!lists || !identities || !room)
		return mb_fail_mem(err, "the digests of a fleet");
	n = 0;
	for (size_t i = 0; i < loads->n; i++) {
		const struct mb_loaded *l = &loads->items[i];

		lists[i] = (struct mb_digest_list){ l->fingerprint.digests,
						    l->fingerprint.n_distinct };
		identities[i] = &l->identity;
		if (!durable)
			continue;
		lists[i].n = mb_durable_filter(&l->durable, &lists[i], 0, lists[i].n, room + n);
		lists[i].digests = room + n;
		n += lists[i].n;
	}
	return mb_groups_apart(ret, identities, lists, (uint32_t)loads->n, err);
}

static bool all_durable(const struct mb_loads *loads)
{
	for (size_t i = 0; i < loads->n; i++)
		if (!loads->items[i].durable.whole)
			return false;
	return true;
}

static int join(const struct mb_fleet_file *f, const struct mb_loads *loads,
		const struct mb_groups *groups, struct mb_live_fleet *ret, struct mb_err *err)
{
	mb_autofree struct mb_seen_vm *seen = calloc((size_t)f->n_vms + 1, sizeof(*seen));

	if (!seen)
		return mb_fail_mem(err, "a fleet");
	for (uint32_t i = 0; i < f->n_vms; i++) {
		const struct mb_loaded *l = &loads->items[i];

		seen[i] = (struct mb_seen_vm){
			.name = f->vms[i].name,
			.host = "",
			.domain = l->identity.domain,
			.memory_mb = f->vms[i].memory_mb,
			.pages = l->fingerprint.n_pages,
			.distinct = l->fingerprint.n_distinct,
			.zero_pages = mb_fingerprint_find(&l->fingerprint, l->identity.zero_digest),
			.settled_s = UINT64_MAX,
			.moved_from = "",
		};
	}
	return mb_live_fleet_join(ret, seen, f->n_vms, groups, f, err);
}

static const char *query(void *ctx, const char *name)
{
	for (const struct mb_ctl_param *p = ctx; p->key; p++)
		if (strcmp(p->key, name) == 0)
			return p->value;
	return NULL;
}

/* Nobody keeps it: it is told, and that is all. */
static int carry_out(void *ctx, const struct mb_fleet_view *fleet,
		     const struct mb_plan_options *options, const struct mb_plan *plan,
		     json_t *report, struct mb_err *err)
{
	(void)ctx;
	return mb_apply_dry(fleet, options, plan, mb_unix_ns() / 1000000, report, NULL, NULL, err);
}

int mb_ctl_ask_offline(const char *fleet_path, const char *question,
		       const struct mb_ctl_param *params, bool apply, json_t **ret,
		       struct mb_err *err)
{
	void *ctx = (void *)(uintptr_t)params;
	const char *time = query(ctx, mb_option_infos[MB_OPTION_DURABLE].name);
	mb_cleanup(mb_fleet_file_deinit) struct mb_fleet_file f = { 0 };
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	mb_cleanup(mb_groups_deinit) struct mb_groups groups = { 0 }, durable = { 0 };
	mb_cleanup(mb_live_fleet_deinit) struct mb_live_fleet fleet = { 0 };
	struct mb_ask ask = { .fleet = &fleet,
			      .options = &f.options,
			      .query = query,
			      .ctx = ctx,
			      .on_plan = apply ? carry_out : NULL };
	int r = mb_fleet_file_read(fleet_path, &f, err);

	if (r == 0 && time)
		r = mb_fleet_options_set(&f.options, MB_OPTION_DURABLE, "--durable-s", time, err);
	if (r < 0)
		return r;
	loads.durable_ns = f.options.value[MB_OPTION_DURABLE] * 1000000000;
	if ((r = load_traces(fleet_path, &f, &loads, err)) < 0 ||
	    (r = compute_groups(&loads, false, &groups, err)) < 0)
		return r;
	if (!all_durable(&loads)) {
		r = compute_groups(&loads, true, &durable, err);
		ask.durable = &durable;
	}
	if (r == 0)
		r = join(&f, &loads, &groups, &fleet, err);
	if (r == 0)
		r = mb_ask(&ask, question, ret, err);
	return r;
}
