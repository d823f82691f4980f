// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/api.h"

#include <math.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "server/ask.h"
#include "server/executions.h"
#include "server/plan/error.h"

/* What every answer starts from: the up-to-date view, locked, with the fleet file read. */
struct scene {
	struct mb_sharing *sharing;
	const struct mb_sharing_view *view;
	struct mb_fleet_file file;
	struct mb_live_fleet fleet;
};

static void scene_close(struct scene *s)
{
	mb_live_fleet_deinit(&s->fleet);
	mb_fleet_file_deinit(&s->file);
	if (s->view)
		mb_sharing_unlock(s->sharing);
}

static int scene_open(struct mb_api *api, struct scene *s, struct mb_err *err)
{
	int r = 0;

	*s = (struct scene){ .sharing = api->sharing };
	mb_fleet_file_init(&s->file);
	if (api->fleet_path)
		r = mb_fleet_file_read(api->fleet_path, &s->file, err);
	/* Not the questioner's fault. */
	if (r < 0)
		return mb_fail_in(err, -EIO, "fleet file");
	mb_sharing_set_durable(api->sharing, s->file.options.value[MB_OPTION_DURABLE] * 1000000000);
	r = mb_sharing_lock(api->sharing, &s->view, err);
	if (r < 0) {
		s->view = NULL;
		return r;
	}
	return mb_live_fleet_init(&s->fleet, s->view, &s->file, err);
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *host_name(const struct scene *s, uint32_t vm)
{
	uint32_t host = s->fleet.vms[vm].host;

	return host == MB_NOWHERE ? json_null() : json_string(s->fleet.hosts[host].name);
}

static json_t *vms_on(const struct scene *s, uint32_t host)
{
	json_t *names = json_array();

	for (uint32_t i = 0; i < s->fleet.view.n_vms; i++)
		if (s->fleet.vms[i].host == host)
			json_array_append_new(names, json_string(s->fleet.vms[i].name));
	return names;
}

static void set_self_sharing(json_t *to, const struct mb_self_sharing *s)
{
	json_object_set_new(to, "pages", number(s->pages));
	json_object_set_new(to, "distinct", number(s->distinct));
	json_object_set_new(to, "zero", number(s->zero));
	json_object_set_new(to, "self", number(s->self));
	json_object_set_new(to, "self_nonzero", number(s->self_nonzero));
}

/* What an agent sends: 1 in `sample` of its digests, all of them cut to so many bits. */
static void set_small(json_t *to, const struct mb_sample_of *of)
{
	json_object_set_new(to, "sample", number((uint64_t)1 << of->shift));
	if (of->cut_bits)
		json_object_set_new(to, "cut_bits", number(of->cut_bits));
}

/* --- /v1/status ------------------------------------------------------------------------------- */

static json_t *vm_status(const struct scene *s, uint32_t i)
{
	const struct mb_vm *vm = &s->view->fleet.vms[i];
	json_t *o = json_pack(
		"{s:s, s:o, s:b, s:s, s:s, s:i, s:I, s:I, s:s, s:s, s:I, s:I, s:I}", "name",
		vm->name, "host", host_name(s, i), "online", vm->session != 0, "domain",
		vm->identity.domain, "algorithm", mb_algorithm_name(vm->identity.algorithm), "bits",
		(int)vm->identity.bits, "epoch", (json_int_t)vm->epoch, "memory_mb",
		(json_int_t)s->fleet.vms[i].memory_mb, "source", vm->source, "tracker", vm->tracker,
		"taken_unix_ms", (json_int_t)(vm->pass.taken_unix_ns / 1000000), "acked_unix_ms",
		(json_int_t)(vm->acked_unix_ns / 1000000), "last_wire_bytes",
		(json_int_t)vm->wire_bytes);

	set_self_sharing(o, &vm->sharing);
	set_small(o, &vm->sample);
	return o;
}

static json_t *refusals(const struct mb_refusals *r)
{
	json_t *o = json_object();

	for (int i = 0; i < MB_FOR_END; i++)
		json_object_set_new(o, mb_refused_for_name((enum mb_refused_for)i),
				    number(mb_refusals_get(r, (enum mb_refused_for)i)));
	return o;
}

static int status(struct mb_api *api, const struct scene *s, json_t **ret)
{
	json_t *hosts = json_array(), *vms = json_array();

	for (uint32_t i = 0; i < s->fleet.view.n_hosts; i++)
		json_array_append_new(hosts, json_pack("{s:s, s:o, s:o}", "name",
						       s->fleet.hosts[i].name, "memory_mb",
						       i < s->fleet.n_file_hosts ?
							       number(s->fleet.hosts[i].memory_mb) :
							       json_null(),
						       "vms", vms_on(s, i)));
	for (uint32_t i = 0; i < s->view->fleet.n; i++)
		json_array_append_new(vms, vm_status(s, i));
	*ret = json_pack("{s:{s:s, s:I, s:s, s:I}, s:o, s:o}", "server", "version", mb_version,
			 "uptime_s", (json_int_t)((mb_now_ns() - api->start_ns) / 1000000000), "db",
			 api->db_path, "generation", (json_int_t)s->view->fleet.generation, "hosts",
			 hosts, "vms", vms);
	if (api->refusals && *ret)
		json_object_set_new(*ret, "refused", refusals(api->refusals));
	return 0;
}

/* --- /v1/share -------------------------------------------------------------------------------- */

static json_t *matrix(const uint64_t *m, uint32_t n)
{
	json_t *rows = json_array();

	for (uint32_t i = 0; i < n; i++) {
		json_t *row = json_array();

		for (uint32_t j = 0; j < n; j++)
			json_array_append_new(row, number(m[(size_t)i * n + j]));
		json_array_append_new(rows, row);
	}
	return rows;
}

static json_t *comparable(const struct scene *s, const struct mb_comparable *set)
{
	json_t *vms = json_array(), *ret;

	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_vm *vm = &s->view->fleet.vms[set->vms[i]];
		json_t *o = json_pack("{s:s, s:o, s:I}", "name", vm->name, "host",
				      host_name(s, set->vms[i]), "inter", (json_int_t)set->any[i]);

		set_self_sharing(o, &vm->sharing);
		set_small(o, &vm->sample);
		if (set->any_error)
			json_object_set_new(o, "inter_error", number(set->any_error[i]));
		json_array_append_new(vms, o);
	}
	ret = json_pack("{s:s, s:s, s:i, s:i, s:o, s:o}", "domain", set->identity.domain,
			"algorithm", mb_algorithm_name(set->identity.algorithm), "bits",
			(int)set->identity.bits, "page_bytes", (int)set->identity.page_bytes, "vms",
			vms, "inter", matrix(set->inter, set->n));
	json_object_set_new(ret, "sample", number((uint64_t)1 << set->shift));
	if (set->inter_error)
		json_object_set_new(ret, "inter_error", matrix(set->inter_error, set->n));
	return ret;
}

/* What its VMs share may be off by that much; the others run nowhere for once. */
static int host_error(const struct scene *s, uint32_t host, uint64_t *ret, struct mb_err *err)
{
	uint32_t n = s->fleet.view.n_vms;
	mb_autofree uint32_t *at = calloc((size_t)n + 1, sizeof(*at));

	if (!at)
		return mb_fail_mem(err, "an answer");
	for (uint32_t i = 0; i < n; i++)
		at[i] = s->fleet.vms[i].host == host ? host : MB_NOWHERE;
	return mb_plan_error_pages(&s->fleet.view, NULL, at, ret, err);
}

static json_t *host_sharing(const struct scene *s, uint32_t host, uint8_t *on_host, uint64_t error)
{
	uint64_t pages = 0, distinct = 0, inter;
	json_t *ret;

	for (uint32_t i = 0; i < s->fleet.view.n_vms; i++) {
		on_host[i] = s->fleet.vms[i].host == host;
		pages += on_host[i] ? s->fleet.vms[i].pages : 0;
		distinct += on_host[i] ? s->fleet.vms[i].distinct : 0;
	}
	inter = mb_groups_inter_saving(&s->view->groups, on_host);
	ret = json_pack("{s:s, s:o, s:I, s:I, s:I, s:I}", "name", s->fleet.hosts[host].name, "vms",
			vms_on(s, host), "pages", (json_int_t)pages, "distinct_union",
			(json_int_t)(distinct - inter), "saving_pages",
			(json_int_t)(pages - distinct + inter), "inter_saving_pages",
			(json_int_t)inter);
	if (error)
		json_object_set_new(ret, "inter_error_pages", number(error));
	return ret;
}

static int share(const struct scene *s, json_t **ret, struct mb_err *err)
{
	mb_autofree uint8_t *on_host = calloc(s->fleet.view.n_vms + 1, 1);
	json_t *sets = json_array(), *hosts = json_array();
	int r = on_host ? 0 : mb_fail_mem(err, "an answer");

	for (uint32_t i = 0; i < s->view->n_sets; i++)
		json_array_append_new(sets, comparable(s, &s->view->sets[i]));
	for (uint32_t i = 0; r == 0 && i < s->fleet.view.n_hosts; i++) {
		uint64_t error = 0;

		r = host_error(s, i, &error, err);
		if (r == 0)
			json_array_append_new(hosts, host_sharing(s, i, on_host, error));
	}
	*ret = json_pack("{s:o, s:o}", "identities", sets, "hosts", hosts);
	return r;
}

/* --- questions to planners -------------------------------------------------------------------- */

static int carry_out(void *ctx, const struct mb_fleet_view *fleet,
		     const struct mb_plan_options *options, const struct mb_plan *p, json_t *report,
		     struct mb_err *err)
{
	struct mb_executions_keeper keeper = { .store = ctx };

	return mb_apply_dry(fleet, options, p, mb_unix_ns() / 1000000, report, mb_executions_keep,
			    &keeper, err);
}

/* `keep`: where to carry it out to; NULL: only a question. */
static int ask(struct scene *s, const char *question, mb_api_query query, void *ctx,
	       struct mb_store *keep, json_t **ret, struct mb_err *err)
{
	const struct mb_ask a = {
		.fleet = &s->fleet,
		.durable = s->view->has_durable ? &s->view->durable_groups : NULL,
		.options = &s->file.options,
		.query = query,
		.ctx = ctx,
		.on_plan = keep ? carry_out : NULL,
		.on_plan_ctx = keep,
	};
	const char *time = mb_option_infos[MB_OPTION_DURABLE].name;

	/* What lasts is known from what was: not for another time than that. */
	if (query(ctx, time))
		return mb_fail(err, EINVAL, "%s is for the fleet file, not for a question", time);
	return mb_ask(&a, question, ret, err);
}

/* --- /v1/history ------------------------------------------------------------------------------ */

struct history {
	const struct scene *scene;
	const char *vm;
	json_t *rows;
};

/*
 * Inter-VM sharing of a row: what was written down, or, for the epoch that is the VM's last one,
 * what the matrix says now.
 */
static json_t *inter_of(const struct history *h, const struct mb_history_row *row,
			uint64_t *ret_error)
{
	*ret_error = row->has_inter ? row->inter_error : 0;
	if (row->has_inter)
		return number(row->inter);
	for (uint32_t k = 0; k < h->scene->view->n_sets; k++) {
		const struct mb_comparable *set = &h->scene->view->sets[k];

		for (uint32_t i = 0; i < set->n; i++) {
			const struct mb_vm *vm = &h->scene->view->fleet.vms[set->vms[i]];

			if (strcmp(vm->name, h->vm) != 0 || vm->acked_unix_ns != row->acked_unix_ns)
				continue;
			*ret_error = set->any_error ? set->any_error[i] : 0;
			return number(set->any[i]);
		}
	}
	return json_null();
}

static int get_number(mb_api_query query, void *ctx, const char *name, uint64_t max, uint64_t *ret,
		      struct mb_err *err)
{
	const char *text = query(ctx, name);

	return text ? mb_parse_u64(text, 0, max, name, ret, err) : 0;
}

static json_t *ratio(double v)
{
	return isnan(v) ? json_null() : json_real(v);
}

static json_t *audit_of(const struct mb_history_row *row)
{
	const struct mb_audit *a = &row->audit;
	json_t *classes;

	if (!a->audits)
		return json_null();
	classes = json_object();
	for (unsigned int i = 0; i < MB_CLASS_END; i++)
		if (a->follows >> i & 1 || a->changed[i])
			json_object_set_new(classes, mb_class_name(i),
					    json_pack("{s:b, s:I, s:I}", "followed",
						      (int)(a->follows >> i & 1), "changed",
						      (json_int_t)a->changed[i], "stale",
						      (json_int_t)a->stale[i]));
	return json_pack("{s:I, s:I, s:o, s:o, s:o, s:I, s:I, s:o}", "audits",
			 (json_int_t)a->audits, "doubted", (json_int_t)a->doubted, "recall",
			 ratio(row->recall), "recall_all", ratio(row->recall_all), "precision",
			 ratio(row->precision), "flagged", (json_int_t)a->flagged,
			 "flagged_changed", (json_int_t)a->flagged_changed, "classes", classes);
}

static int history_row(void *ctx, const struct mb_history_row *row)
{
	const struct history *h = ctx;
	uint64_t error;
	json_t *inter = inter_of(h, row, &error);
	json_t *o = json_pack(
		"{s:I, s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:f, s:f, s:b, s:s}", "at_unix_ms",
		(json_int_t)(row->at_unix_ns / 1000000), "epoch", (json_int_t)row->epoch, "epochs",
		(json_int_t)row->epochs, "inter", inter, "changed", (json_int_t)row->changed,
		"added", (json_int_t)row->added, "removed", (json_int_t)row->removed, "unread",
		(json_int_t)row->unread, "wire_bytes", (json_int_t)row->wire_bytes, "duration_ms",
		(double)row->duration_ns / 1e6, "cpu_ms", (double)row->cpu_ns / 1e6, "full",
		(int)row->full, "tracker", row->tracker);

	set_self_sharing(o, &row->sharing);
	if (error)
		json_object_set_new(o, "inter_error", number(error));
	json_object_set_new(o, "read", row->has_read ? number(row->read) : json_null());
	json_object_set_new(o, "audit", audit_of(row));
	return json_array_append_new(h->rows, o) < 0 ? -ENOMEM : 0;
}

/* Names are what those who run processes make them: so many of them, the rest in one. */
enum { WHO_NAMES_MAX = 200 };

struct who {
	json_t *by;
	struct mb_who_row others;
};

static json_t *who_json(const struct mb_who_row *row)
{
	json_t *kinds = json_object();

	for (unsigned int k = 0; k < MB_WHO_KINDS; k++)
		if (row->frames[k])
			json_object_set_new(kinds, mb_who_kind_name(k), number(row->frames[k]));
	return json_pack("{s:o, s:o, s:I, s:o}", "process",
			 *row->process ? json_string(row->process) : json_null(), "cgroup",
			 *row->process ? json_string(row->cgroup) : json_null(), "frames",
			 (json_int_t)mb_who_frames(row->frames), "kinds", kinds);
}

static int who_row(void *ctx, const struct mb_who_row *row)
{
	struct who *w = ctx;

	if (*row->process && json_array_size(w->by) < WHO_NAMES_MAX)
		return json_array_append_new(w->by, who_json(row)) < 0 ? -ENOMEM : 0;
	for (int k = 0; k < MB_WHO_KINDS; k++)
		w->others.frames[k] += row->frames[k];
	return 0;
}

static int history_who(struct mb_api *api, const char *vm, uint32_t limit, json_t *to,
		       struct mb_err *err)
{
	struct who w = { .by = json_array() };
	uint64_t rows;
	int r;

	json_object_set_new(to, "who", json_pack("{s:o}", "by", w.by));
	r = mb_store_who(api->store, vm, limit, who_row, &w, &rows, err);
	if (r < 0)
		return r;
	if (mb_who_frames(w.others.frames))
		json_array_append_new(w.by, who_json(&w.others));
	return json_object_set_new(json_object_get(to, "who"), "rows", number(rows)) < 0 ?
		       mb_fail_mem(err, "an answer") :
		       0;
}

static int history(struct mb_api *api, const struct scene *s, mb_api_query query, void *ctx,
		   json_t **ret, struct mb_err *err)
{
	const char *vm = query(ctx, "vm");
	struct history h = { .scene = s, .vm = vm };
	uint64_t limit = 100, who = 0;
	int r;

	if (!vm)
		return mb_fail(err, EINVAL, "parameter vm is missing");
	r = mb_name_check(vm, "VM", err);
	if (r < 0)
		return r;
	if ((r = get_number(query, ctx, "limit", 100000, &limit, err)) < 0 ||
	    (r = get_number(query, ctx, "who", 1, &who, err)) < 0)
		return r;
	h.rows = json_array();
	*ret = json_pack("{s:s, s:o}", "vm", vm, "rows", h.rows);
	if (!*ret)
		return mb_fail_mem(err, "an answer");
	r = mb_store_history(api->store, vm, (uint32_t)limit, history_row, &h, err);
	return r < 0 || !who ? r : history_who(api, vm, (uint32_t)limit, *ret, err);
}

/* --- /v1/executions --------------------------------------------------------------------------- */

static int executions(struct mb_api *api, mb_api_query query, void *ctx, json_t **ret,
		      struct mb_err *err)
{
	uint64_t limit = MB_EXECUTIONS_KEPT, id = 0;
	int r;

	if ((r = get_number(query, ctx, "limit", 100000, &limit, err)) < 0 ||
	    (r = get_number(query, ctx, "id", INT64_MAX, &id, err)) < 0)
		return r;
	if (query(ctx, "id"))
		return mb_executions_get(api->store, (int64_t)id, ret, err);
	return mb_executions_list(api->store, (uint32_t)limit, ret, err);
}

int mb_api_post(struct mb_api *api, const char *path, mb_api_query query, void *ctx,
		json_t **ret_json, struct mb_err *err)
{
	mb_cleanup(scene_close) struct scene s = { 0 };
	int r;

	*ret_json = NULL;
	if (strncmp(path, "/v1/", 4) != 0 || !mb_ask_plans(path + 4))
		return mb_fail(err, EOPNOTSUPP, "nothing can be changed there");
	r = scene_open(api, &s, err);
	return r < 0 ? r : ask(&s, path + 4, query, ctx, api->store, ret_json, err);
}

int mb_api_get(struct mb_api *api, const char *path, mb_api_query query, void *ctx,
	       json_t **ret_json, struct mb_err *err)
{
	mb_cleanup(scene_close) struct scene s = { 0 };
	int r;

	*ret_json = NULL;
	if (strcmp(path, "/v1/status") == 0) {
		r = scene_open(api, &s, err);
		r = r < 0 ? r : status(api, &s, ret_json);
	} else if (strcmp(path, "/v1/share") == 0) {
		r = scene_open(api, &s, err);
		r = r < 0 ? r : share(&s, ret_json, err);
	} else if (strcmp(path, "/v1/history") == 0) {
		r = scene_open(api, &s, err);
		r = r < 0 ? r : history(api, &s, query, ctx, ret_json, err);
	} else if (strncmp(path, "/v1/", 4) == 0 && mb_ask_knows(path + 4)) {
		r = scene_open(api, &s, err);
		r = r < 0 ? r : ask(&s, path + 4, query, ctx, NULL, ret_json, err);
	} else if (strcmp(path, "/v1/executions") == 0) {
		r = executions(api, query, ctx, ret_json, err);
	} else {
		r = mb_fail(err, ENOENT,
			    "no %.100s (/v1/status, /v1/share, /v1/plan, /v1/history, /v1/place, "
			    "/v1/drain, /v1/consolidate, /v1/hotspot, /v1/whatif, /v1/executions)",
			    path);
	}
	if (r == 0 && !*ret_json)
		r = mb_fail_mem(err, "an answer");
	if (r < 0 && *ret_json) {
		json_decref(*ret_json);
		*ret_json = NULL;
	}
	return r;
}
