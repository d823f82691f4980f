// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every planner on the same fleets: a line of JSON for each pair, which tests/bench/plan makes a
 * table of. usage: bench_plan [TRACES]
 *
 * A placement is what a planner wants when nothing runs yet; a plan is what its moves reach from
 * where the VMs are, each at full size on arrival. Times are the shortest of REPEATS plans, of CPU:
 * planners are one thread, and wait for nothing.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "server/ctl/apart.h"
#include "server/ctl/load.h"
#include "tests/bench/synth_fleet.h"

enum { REPEATS = 3, REPORT_VMS = 5, REPORT_HOSTS = 3 };

struct player {
	const char *name;
	const struct mb_planner *planner;
	bool strict;
};

static const struct player players[] = {
	{ "seed", &mb_planner_seed, false },
	{ "seed --strict", &mb_planner_seed, true },
	{ "paper", &mb_planner_paper, false },
	{ "best", &mb_planner_best, false },
};

struct outcome {
	uint64_t saving; /* of the placement, pages */
	bool placed;	 /* it has one, whole and within all hosts */
	char why[MB_PLAN_NOTE_BYTES];
	bool planned;
	uint64_t moves, infeasible, after;
	double seconds;
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Within all hosts, and everybody somewhere. */
static bool fits(const struct mb_fleet_view *f, const uint32_t *host)
{
	mb_autofree uint64_t *used = calloc((size_t)f->n_hosts + 1, sizeof(*used));
	bool ok = used != NULL;

	for (uint32_t v = 0; v < f->n_vms && ok; v++) {
		ok = host[v] != MB_NOWHERE;
		if (ok)
			used[host[v]] += f->vms[v].memory_mb;
	}
	for (uint32_t h = 0; h < f->n_hosts && ok; h++)
		ok = used[h] <= f->hosts[h].memory_mb;
	return ok;
}

static int place(const struct mb_fleet_view *fleet, const struct player *p, struct outcome *o,
		 struct mb_err *err)
{
	const struct mb_plan_options options = { .strict = p->strict };
	mb_autofree struct mb_plan_vm *vms = calloc((size_t)fleet->n_vms + 1, sizeof(*vms));
	mb_autofree uint32_t *host = calloc((size_t)fleet->n_vms + 1, sizeof(*host));
	struct mb_fleet_view nowhere = *fleet;
	char note[MB_PLAN_NOTE_BYTES] = "";
	struct mb_err why = { 0 };
	int r;

	if (!vms || !host)
		return mb_fail_mem(err, "a placement");
	memcpy(vms, fleet->vms, fleet->n_vms * sizeof(*vms));
	for (uint32_t v = 0; v < fleet->n_vms; v++)
		vms[v].host = MB_NOWHERE;
	nowhere.vms = vms;
	r = p->planner->place(&nowhere, &options, host, note, &why);
	if (r < 0 && r != -ENOSPC && r != -ERANGE)
		return mb_fail(err, -r, "%s", why.text);
	o->placed = r == 0 && fits(fleet, host);
	snprintf(o->why, sizeof(o->why), "%.250s", r < 0 ? why.text : note);
	o->saving = r == 0 ? mb_score_inter_pages(fleet, host) : 0;
	return 0;
}

static int plan(const struct mb_fleet_view *fleet, const struct player *p, struct outcome *o,
		struct mb_err *err)
{
	const struct mb_plan_options options = { .strict = p->strict };

	for (unsigned int i = 0; i < REPEATS; i++) {
		mb_cleanup(mb_plan_deinit) struct mb_plan made = { 0 };
		mb_autofree uint32_t *host = calloc((size_t)fleet->n_vms + 1, sizeof(*host));
		struct mb_err why = { 0 };
		double start = now(), seconds;
		int r = mb_plan_make(&made, p->planner, fleet, &options, &why);

		seconds = now() - start;
		if (!host)
			return mb_fail_mem(err, "a plan");
		if (r == -ENOSPC || r == -ERANGE)
			return 0;
		if (r < 0)
			return mb_fail(err, -r, "%s", why.text);
		o->planned = true;
		o->seconds = i ? MB_MIN(o->seconds, seconds) : seconds;
		o->moves = o->infeasible = 0;
		for (uint32_t v = 0; v < fleet->n_vms; v++)
			host[v] = fleet->vms[v].host;
		for (size_t k = 0; k < made.n_moves; k++) {
			o->moves += made.moves[k].feasible;
			o->infeasible += !made.moves[k].feasible;
			if (made.moves[k].feasible)
				host[made.moves[k].vm] = made.moves[k].to;
		}
		o->after = mb_score_inter_pages(fleet, host);
	}
	return 0;
}

static void print_text(const char *text)
{
	putchar('"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			putchar('\\');
		putchar(*text);
	}
	putchar('"');
}

static int run(const char *name, const struct mb_fleet_view *fleet, struct mb_err *err)
{
	mb_autofree uint32_t *host = calloc((size_t)fleet->n_vms + 1, sizeof(*host));
	uint64_t distinct = 0;

	if (!host)
		return mb_fail_mem(err, "a fleet");
	for (uint32_t v = 0; v < fleet->n_vms; v++) {
		host[v] = fleet->vms[v].host;
		distinct += fleet->vms[v].distinct;
	}
	for (size_t i = 0; i < MB_ARRAY_LEN(players); i++) {
		struct outcome o = { 0 };
		int r = place(fleet, &players[i], &o, err);

		if (r == 0)
			r = plan(fleet, &players[i], &o, err);
		if (r < 0)
			return mb_fail_in(err, r, "%s on %s", players[i].name, name);
		printf("{\"fleet\":\"%s\",\"vms\":%" PRIu32 ",\"hosts\":%" PRIu32
		       ",\"groups\":%zu,\"distinct\":%" PRIu64 ",\"now_pages\":%" PRIu64
		       ",\"planner\":\"%s\",\"placed\":%s,\"placed_pages\":%" PRIu64 ",\"why\":",
		       name, fleet->n_vms, fleet->n_hosts, fleet->groups->n_groups, distinct,
		       mb_score_inter_pages(fleet, host), players[i].name,
		       o.placed ? "true" : "false", o.saving);
		print_text(o.why);
		printf(",\"planned\":%s,\"planned_pages\":%" PRIu64 ",\"moves\":%" PRIu64
		       ",\"infeasible\":%" PRIu64 ",\"seconds\":%.6f}\n",
		       o.planned ? "true" : "false", o.after, o.moves, o.infeasible, o.seconds);
		fflush(stdout);
	}
	return 0;
}

static int run_synthetic(struct mb_err *err)
{
	int r = 0;

	for (const struct mb_synth_fleet_params *p = mb_synth_fleets; p->name && r == 0; p++) {
		mb_cleanup(mb_synth_fleet_deinit) struct mb_synth_fleet f = { 0 };

		r = mb_synth_fleet_init(&f, p, err);
		if (r == 0)
			r = run(p->name, &f.view, err);
	}
	return r;
}

/* The seed's report: VM3 is missing where its trace is (it is lost). */
static int run_report(const char *traces, struct mb_err *err)
{
	static const struct {
		const char *name, *trace;
		uint64_t memory_mb;
		uint32_t host;
	} vms[REPORT_VMS] = {
		{ "VM0", "Trace3/VM1.txt0.zst", 1024, 0 },
		{ "VM1", "kernelBuild/VM1.txt1.zst", 2048, 0 },
		{ "VM2", "Trace3/VM1.txt2.zst", 1024, 1 },
		{ "VM3", "Trace1/VM1.txt0.zst", 2048, 1 },
		{ "VM4", "Trace4/VM1.txt0.zst", 1024, 2 },
	};
	static const char *const names[REPORT_HOSTS] = { "H0", "H1", "H2" };
	mb_cleanup(mb_loads_deinit) struct mb_loads loads = { 0 };
	mb_cleanup(mb_groups_deinit) struct mb_groups groups = { 0 };
	const struct mb_identity *identities[REPORT_VMS];
	struct mb_digest_list lists[REPORT_VMS];
	struct mb_plan_host hosts[REPORT_HOSTS];
	struct mb_plan_vm fleet[REPORT_VMS];
	struct mb_fleet_view view;
	uint32_t n = 0;
	int r = 0;

	for (uint32_t h = 0; h < REPORT_HOSTS; h++)
		hosts[h] = (struct mb_plan_host){ .name = names[h],
						  .memory_mb = 3072,
						  .free_mb = UINT64_MAX,
						  .cooled_s = UINT64_MAX };
	for (size_t i = 0; i < REPORT_VMS; i++) {
		mb_autofree char *path = NULL;

		if (asprintf(&path, "%s/%s", traces, vms[i].trace) < 0) {
			path = NULL;
			return mb_fail_mem(err, "a path");
		}
		if (access(path, R_OK) != 0) {
			fprintf(stderr, "report: without %s, whose trace %s is not there\n",
				vms[i].name, path);
			continue;
		}
		r = mb_load_trace(&loads, path, true, NULL, err);
		if (r < 0)
			return r;
		fleet[n++] = (struct mb_plan_vm){ .name = vms[i].name,
						  .memory_mb = vms[i].memory_mb,
						  .host = vms[i].host,
						  .settled_s = UINT64_MAX };
	}
	if (n < 2) {
		fprintf(stderr, "report: skipped, two of its VMs at least are needed\n");
		return 0;
	}
	for (uint32_t v = 0; v < n; v++) {
		const struct mb_fingerprint *f = &loads.items[v].fingerprint;

		lists[v] = (struct mb_digest_list){ f->digests, f->n_distinct };
		identities[v] = &loads.items[v].identity;
		fleet[v].pages = f->n_pages;
		fleet[v].distinct = f->n_distinct;
	}
	r = mb_groups_apart(&groups, identities, lists, n, err);
	view = (struct mb_fleet_view){
		.hosts = hosts, .vms = fleet, .n_hosts = REPORT_HOSTS, .n_vms = n, .groups = &groups
	};
	return r < 0 ? r : run("report", &view, err);
}

int main(int argc, char **argv)
{
	struct mb_err err = { 0 };
	int r = run_report(argc > 1 ? argv[1] : "", &err);

	if (r == 0)
		r = run_synthetic(&err);
	if (r < 0)
		fprintf(stderr, "bench_plan: %s\n", err.text);
	return r < 0;
}
