// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ask.h"

#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "server/plan/question.h"
#include "server/report.h"
#include "server/report_error.h"
#include "server/whatif.h"

/* A question, with what all questions have in common. */
struct asked {
	const struct mb_ask *ask;
	const char *question;
	const struct mb_planner *planner;
	struct mb_plan_options options;
	uint32_t forgotten; /* VMs on hosts of unknown size */
};

static const char *get_text(const struct asked *a, const char *name)
{
	return a->ask->query(a->ask->ctx, name);
}

static int get_number(const struct asked *a, const char *name, uint64_t max, uint64_t *ret,
		      struct mb_err *err)
{
	const char *text = get_text(a, name);

	return text ? mb_parse_u64(text, 0, max, name, ret, err) : 0;
}

/* Names of any bytes may have been asked for: only those that can be one are looked for. */
static int get_name(const struct asked *a, const char *parameter, const char *what,
		    const char **ret, struct mb_err *err)
{
	*ret = get_text(a, parameter);
	if (!*ret)
		return mb_fail(err, EINVAL, "parameter %s is missing", parameter);
	return mb_name_check(*ret, what, err);
}

static int get_vm(const struct asked *a, uint32_t *ret, struct mb_err *err)
{
	const struct mb_fleet_view *v = &a->ask->fleet->view;
	const char *name;
	int r = get_name(a, "vm", "VM", &name, err);

	if (r < 0)
		return r;
	for (*ret = 0; *ret < v->n_vms && strcmp(v->vms[*ret].name, name) != 0;)
		++*ret;
	return *ret < v->n_vms ? 0 : mb_fail(err, ENOENT, "no VM \"%s\"", name);
}

static int get_host(const struct asked *a, uint32_t *ret, struct mb_err *err)
{
	const struct mb_fleet_view *v = &a->ask->fleet->view;
	const char *name;
	int r = get_name(a, "host", "host", &name, err);

	if (r < 0)
		return r;
	for (*ret = 0; *ret < v->n_hosts && strcmp(v->hosts[*ret].name, name) != 0;)
		++*ret;
	return *ret < v->n_hosts ? 0 :
				   mb_fail(err, ENOENT, "no host \"%s\" in the fleet file", name);
}

static int get_options(struct asked *a, struct mb_fleet_options *all, struct mb_err *err)
{
	uint64_t strict = 0;
	int r = get_number(a, "strict", 1, &strict, err);

	for (int i = 0; i < MB_OPTIONS && r == 0; i++) {
		const struct mb_option_info *info = &mb_option_infos[i];
		const char *name = info->name, *text = get_text(a, name);

		if (!text && info->alias)
			text = get_text(a, name = info->alias);
		if (text)
			r = mb_fleet_options_set(all, (enum mb_option)i, name, text, err);
	}
	mb_fleet_options_plan(all, &a->options);
	a->options.strict = strict;
	return r;
}

/* Hosts that only agents name have no known size: their VMs come from nowhere. */
static uint32_t forget_unknown_hosts(struct mb_live_fleet *f)
{
	uint32_t forgotten = 0;

	for (uint32_t i = 0; i < f->view.n_vms; i++) {
		if (f->vms[i].host == MB_NOWHERE || f->vms[i].host < f->n_file_hosts)
			continue;
		f->vms[i].host = MB_NOWHERE;
		forgotten++;
	}
	f->view.n_hosts = f->n_file_hosts;
	return forgotten;
}

/* --- answers ---------------------------------------------------------------------------------- */

static int report(const struct asked *a, const struct mb_plan *p, json_t **ret, struct mb_err *err)
{
	const struct mb_ask *ask = a->ask;
	int r;

	*ret = mb_report_plan(&ask->fleet->view, p, a->planner, &a->options);
	if (!*ret || json_object_set_new(*ret, "question", json_string(a->question)) < 0)
		return mb_fail_mem(err, "an answer");
	r = mb_report_plan_errors(*ret, ask->fleet, p, err);
	return r < 0 || !ask->on_plan ?
		       r :
		       ask->on_plan(ask->on_plan_ctx, &ask->fleet->view, &a->options, p, *ret, err);
}

static int answer_plan(const struct asked *a, json_t **ret, struct mb_err *err)
{
	mb_cleanup(mb_plan_deinit) struct mb_plan p = { 0 };
	int r = mb_plan_make(&p, a->planner, &a->ask->fleet->view, &a->options, err);

	return r < 0 ? r : report(a, &p, ret, err);
}

static int answer_place(const struct asked *a, json_t **ret, struct mb_err *err)
{
	const struct mb_fleet_view *v = &a->ask->fleet->view;
	mb_autofree struct mb_rank *ranks = NULL;
	uint32_t vm;
	int r = get_vm(a, &vm, err);

	if (r == 0)
		r = mb_plan_rank(&ranks, a->planner, v, &a->options, vm, err);
	if (r < 0)
		return r;
	*ret = mb_report_ranks(v, vm, ranks, a->planner, &a->options);
	return *ret ? mb_report_rank_errors(*ret, a->ask->fleet, vm, ranks, err) :
		      mb_fail_mem(err, "an answer");
}

static int answer_drain(const struct asked *a, json_t **ret, struct mb_err *err)
{
	const struct mb_fleet_view *v = &a->ask->fleet->view;
	mb_cleanup(mb_plan_deinit) struct mb_plan p = { 0 };
	uint32_t host;
	int r = get_host(a, &host, err);

	if (r == 0)
		r = mb_plan_drain(&p, a->planner, v, &a->options, host, err);
	if (r == 0)
		r = report(a, &p, ret, err);
	if (r == 0 && json_object_set_new(*ret, "drained", json_string(v->hosts[host].name)) < 0)
		r = mb_fail_mem(err, "an answer");
	return r;
}

static int answer_consolidate(const struct asked *a, json_t **ret, struct mb_err *err)
{
	const struct mb_fleet_view *v = &a->ask->fleet->view;
	mb_cleanup(mb_plan_deinit) struct mb_plan p = { 0 };
	mb_autofree bool *emptied = calloc((size_t)v->n_hosts + 1, sizeof(*emptied));
	uint64_t low = 30;
	int r = emptied ? get_number(a, "low_percent", 100, &low, err) :
			  mb_fail_mem(err, "an answer");

	if (r == 0)
		r = mb_plan_consolidate(&p, emptied, a->planner, v, &a->options, (uint32_t)low,
					err);
	if (r == 0)
		r = report(a, &p, ret, err);
	if (r == 0 &&
	    (json_object_set_new(*ret, "low_percent", json_integer((json_int_t)low)) < 0 ||
	     json_object_set_new(*ret, "emptied", mb_report_emptied(v, emptied)) < 0))
		r = mb_fail_mem(err, "an answer");
	return r;
}

static int answer_hotspot(const struct asked *a, json_t **ret, struct mb_err *err)
{
	const struct mb_fleet_view *v = &a->ask->fleet->view;
	/* 1 MB/s of swapping is felt, and waiting a fifth of the time; that much free memory is
	   soon used up. */
	struct mb_hotspot_limits limits = {
		.swap_pages_s = 256, .stall_percent = 20, .free_mb = 1024
	};
	mb_cleanup(mb_plan_deinit) struct mb_plan p = { 0 };
	mb_autofree struct mb_hotspot *spots = NULL;
	size_t n = 0;
	int r;

	if ((r = get_number(a, "swap_pages_s", UINT32_MAX, &limits.swap_pages_s, err)) < 0 ||
	    (r = get_number(a, "stall_percent", UINT32_MAX, &limits.stall_percent, err)) < 0 ||
	    (r = get_number(a, "free_mb", UINT32_MAX, &limits.free_mb, err)) < 0 ||
	    (r = get_number(a, "lost_pages", UINT32_MAX, &limits.lost_pages, err)) < 0 ||
	    (r = mb_plan_hotspot(&p, &spots, &n, a->planner, v, &a->options, &limits, err)) < 0 ||
	    (r = report(a, &p, ret, err)) < 0)
		return r;
	if (json_object_set_new(*ret, "hotspots", mb_report_hotspots(v, spots, n)) < 0)
		return mb_fail_mem(err, "an answer");
	return 0;
}

static int answer_whatif(const struct asked *a, json_t **ret, struct mb_err *err)
{
	uint64_t only = 0;
	int r = get_number(a, "only", 1, &only, err);

	if (r < 0)
		return r;
	return mb_whatif_answer(a->ask->fleet, &a->options, get_text(a, "moves"),
				get_text(a, "together"), only, ret, err);
}

static const struct question {
	const char *name;
	int (*answer)(const struct asked *a, json_t **ret, struct mb_err *err);
	bool plans;
} questions[] = {
	{ "plan", answer_plan, true },	     { "place", answer_place, false },
	{ "drain", answer_drain, true },     { "consolidate", answer_consolidate, true },
	{ "hotspot", answer_hotspot, true }, { "whatif", answer_whatif, false },
};

static const struct question *find(const char *name)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(questions); i++)
		if (strcmp(questions[i].name, name) == 0)
			return &questions[i];
	return NULL;
}

bool mb_ask_knows(const char *question)
{
	return find(question);
}

bool mb_ask_plans(const char *question)
{
	const struct question *q = find(question);

	return q && q->plans;
}

static int answer(struct asked *a, json_t **ret, struct mb_err *err)
{
	const char *planner = get_text(a, "planner");
	struct mb_fleet_options all = *a->ask->options;
	int r;

	a->planner = mb_planner_find(planner ? planner : "best");
	if (!a->planner)
		return mb_fail(err, EINVAL, "no planner \"%s\"", planner);
	r = get_options(a, &all, err);
	if (r < 0)
		return r;
	a->forgotten = forget_unknown_hosts(a->ask->fleet);
	if (!a->ask->fleet->view.n_hosts)
		return mb_fail(
			err, ENOSPC,
			"no hosts are known: no fleet file names one (mbserver --fleet FILE)");
	r = mb_live_fleet_weigh(a->ask->fleet, a->ask->durable,
				(uint32_t)all.value[MB_OPTION_VOLATILE], err);
	if (r == 0)
		r = find(a->question)->answer(a, ret, err);
	if (r < 0)
		return r;
	r = mb_report_estimate(*ret, a->ask->fleet->sample_shift, a->ask->fleet->n_paged_out, err);
	if (r < 0)
		return r;
	if (json_object_set_new(*ret, "question", json_string(a->question)) < 0 ||
	    (a->ask->fleet->n_no_groups &&
	     json_object_set_new(*ret, "vms_of_unknown_sharing",
				 json_integer(a->ask->fleet->n_no_groups)) < 0) ||
	    (a->forgotten &&
	     json_object_set_new(*ret, "vms_on_unknown_hosts", json_integer(a->forgotten)) < 0))
		return mb_fail_mem(err, "an answer");
	return 0;
}

int mb_ask(const struct mb_ask *ask, const char *question, json_t **ret, struct mb_err *err)
{
	struct asked a = { .ask = ask, .question = question };
	int r;

	*ret = NULL;
	r = answer(&a, ret, err);
	if (r < 0) {
		json_decref(*ret);
		*ret = NULL;
	}
	return r;
}
