// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/api.h"

#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"
#include "server/api_wish.h"
#include "server/ask.h"
#include "server/audit_answer.h"
#include "server/churn_answer.h"
#include "server/doctor.h"
#include "server/executions.h"
#include "server/lost_sharing.h"
#include "server/report_error.h"
#include "server/rotations.h"
#include "server/scene.h"

static int get_number(mb_api_query query, void *ctx, const char *name, uint64_t max, uint64_t *ret,
		      struct mb_err *err)
{
	const char *text = query(ctx, name);

	return text ? mb_parse_u64(text, 0, max, name, ret, err) : 0;
}

static json_t *number(uint64_t v)
{
	return json_integer((json_int_t)v);
}

static json_t *host_name(const struct mb_scene *s, uint32_t vm)
{
	uint32_t host = s->fleet.vms[vm].host;

	return host == MB_NOWHERE ? json_null() : json_string(s->fleet.hosts[host].name);
}

static json_t *vms_on(const struct mb_scene *s, uint32_t host)
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

static json_t *key_id(const struct mb_identity *identity)
{
	char text[MB_KEY_ID_TEXT];

	mb_key_id_format(mb_identity_key_id(identity), text);
	return json_string(text);
}

/* --- /v1/status ------------------------------------------------------------------------------- */

/* null: not known. */
static json_t *guest_status(const struct mb_guest *g)
{
	json_t *o;

	if (!g->known)
		return json_null();
	o = json_pack(
		"{s:I, s:I, s:o, s:o, s:o}", "available_bytes", (json_int_t)g->available_bytes,
		"free_bytes", (json_int_t)g->free_bytes, "swapped_bytes_s",
		g->swapped_ns ? json_real((double)g->swapped_bytes * 1e9 / (double)g->swapped_ns) :
				json_null(),
		"stall_some_percent",
		g->has_stalls ? json_real(g->some_per_myriad / 100.0) : json_null(),
		"stall_full_percent",
		g->has_stalls ? json_real(g->full_per_myriad / 100.0) : json_null());
	return o;
}

static json_t *vm_status(const struct mb_scene *s, uint32_t i)
{
	const struct mb_vm *vm = &s->view->fleet.vms[i];
	json_t *o = json_pack(
		"{s:s, s:o, s:b, s:s, s:s, s:i, s:I, s:I, s:s, s:s, s:I, s:I, s:I, s:b}", "name",
		vm->name, "host", host_name(s, i), "online", vm->session != 0, "domain",
		vm->identity.domain, "algorithm", mb_algorithm_name(vm->identity.algorithm), "bits",
		(int)vm->identity.bits, "epoch", (json_int_t)vm->epoch, "memory_mb",
		(json_int_t)s->fleet.vms[i].memory_mb, "source", vm->source, "tracker", vm->tracker,
		"taken_unix_ms", (json_int_t)(vm->pass.taken_unix_ns / 1000000), "acked_unix_ms",
		(json_int_t)(vm->acked_unix_ns / 1000000), "last_wire_bytes",
		(json_int_t)vm->wire_bytes, "paged_out", (int)vm->paged_out);

	json_object_set_new(o, "key", key_id(&vm->identity));
	set_self_sharing(o, &vm->sharing);
	json_object_set_new(o, "guest", guest_status(&vm->pass.guest));
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

static json_t *memory(struct mb_api *api)
{
	struct mb_fleet_memory m;

	mb_sharing_memory(api->sharing, &m);
	return json_pack("{s:I, s:o, s:I, s:o}", "held_bytes", (json_int_t)m.held_bytes,
			 "budget_mb", m.budget_bytes ? number(m.budget_bytes >> 20) : json_null(),
			 "paged_out", (json_int_t)m.n_paged_out, "sample_one_in",
			 m.n_paged_out ? number((uint64_t)1 << m.sample_shift) : json_null());
}

static int status(struct mb_api *api, const struct mb_scene *s, json_t **ret)
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
	*ret = json_pack("{s:{s:s, s:I, s:s, s:I, s:o}, s:o, s:o}", "server", "version", mb_version,
			 "uptime_s", (json_int_t)((mb_now_ns() - api->start_ns) / 1000000000), "db",
			 api->db_path, "generation", (json_int_t)s->view->fleet.generation,
			 "memory", memory(api), "hosts", hosts, "vms", vms);
	json_object_set_new(*ret, "rotations", mb_rotations_list(api->fleet));
	if (api->refusals && *ret)
		json_object_set_new(*ret, "refused", refusals(api->refusals));
	return 0;
}

/* --- /v1/share -------------------------------------------------------------------------------- */

static json_t *comparable(const struct mb_scene *s, const struct mb_comparable *set)
{
	json_t *vms = json_array(), *inter = json_array();

	for (uint32_t i = 0; i < set->n; i++) {
		const struct mb_vm *vm = &s->view->fleet.vms[set->vms[i]];
		json_t *o = json_pack("{s:s, s:o, s:I}", "name", vm->name, "host",
				      host_name(s, set->vms[i]), "inter", (json_int_t)set->any[i]);
		json_t *row = json_array();

		set_self_sharing(o, &vm->sharing);
		set_small(o, &vm->sample);
		json_array_append_new(vms, o);
		for (uint32_t j = 0; j < set->n; j++)
			json_array_append_new(row, number(set->inter[(size_t)i * set->n + j]));
		json_array_append_new(inter, row);
	}
	return json_pack("{s:s, s:o, s:s, s:i, s:i, s:o, s:o, s:I}", "domain", set->identity.domain,
			 "key", key_id(&set->identity), "algorithm",
			 mb_algorithm_name(set->identity.algorithm), "bits",
			 (int)set->identity.bits, "page_bytes", (int)set->identity.page_bytes,
			 "vms", vms, "inter", inter, "sample", (json_int_t)1 << set->shift);
}

static json_t *host_sharing(const struct mb_scene *s, uint32_t host, uint8_t *on_host)
{
	uint64_t pages = 0, distinct = 0, inter;

	for (uint32_t i = 0; i < s->fleet.view.n_vms; i++) {
		on_host[i] = s->fleet.vms[i].host == host;
		pages += on_host[i] ? s->fleet.vms[i].pages : 0;
		distinct += on_host[i] ? s->fleet.vms[i].distinct : 0;
	}
	inter = mb_groups_inter_saving(&s->view->groups, on_host);
	return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I}", "name", s->fleet.hosts[host].name, "vms",
			 vms_on(s, host), "pages", (json_int_t)pages, "distinct_union",
			 (json_int_t)(distinct - inter), "saving_pages",
			 (json_int_t)(pages - distinct + inter), "inter_saving_pages",
			 (json_int_t)inter);
}

static int share(struct mb_api *api, const struct mb_scene *s, json_t **ret, struct mb_err *err)
{
	mb_autofree uint8_t *on_host = calloc(s->fleet.view.n_vms + 1, 1);
	json_t *sets = json_array(), *hosts = json_array();

	for (uint32_t i = 0; i < s->view->n_sets; i++)
		json_array_append_new(sets, comparable(s, &s->view->sets[i]));
	for (uint32_t i = 0; on_host && i < s->fleet.view.n_hosts; i++)
		json_array_append_new(hosts, host_sharing(s, i, on_host));
	*ret = json_pack("{s:o, s:o, s:o}", "identities", sets, "hosts", hosts, "rotations",
			 mb_rotations_list(api->fleet));
	if (!on_host || !*ret)
		return mb_fail_mem(err, "an answer");
	return mb_report_share_errors(*ret, s->view, &s->fleet, err);
}

/* --- questions to planners -------------------------------------------------------------------- */

static int carry_out(void *ctx, const struct mb_fleet_view *fleet,
		     const struct mb_plan_options *options, const struct mb_plan *p, json_t *report,
		     struct mb_err *err)
{
	struct mb_api *api = ctx;
	struct mb_executions_keeper keeper = { .store = api->store };
	uint64_t now_ms = mb_unix_ns() / 1000000;
	int r;

	if (!api->executor)
		return mb_apply_dry(fleet, options, p, now_ms, report, mb_executions_keep, &keeper,
				    err);
	r = mb_apply_begin(fleet, options, p, mb_executor_mover(api->executor), now_ms, report,
			   mb_executions_keep, &keeper, err);
	if (r == 0)
		mb_executor_kick(api->executor);
	return r;
}

/* `apply`: its plan is carried out. */
static int ask(struct mb_api *api, struct mb_scene *s, const char *question, mb_api_query query,
	       void *ctx, bool apply, json_t **ret, struct mb_err *err)
{
	const struct mb_ask a = {
		.fleet = &s->fleet,
		.durable = s->view->has_durable ? &s->view->durable_groups : NULL,
		.options = &s->file.options,
		.query = query,
		.ctx = ctx,
		.on_plan = apply ? carry_out : NULL,
		.on_plan_ctx = api,
	};
	const char *time = mb_option_infos[MB_OPTION_DURABLE].name;
	int r = 0;

	/* What lasts is known from what was: not for another time than that. */
	if (query(ctx, time))
		return mb_fail(err, EINVAL, "%s is for the fleet file, not for a question", time);
	if (strcmp(question, "hotspot") == 0)
		r = mb_lost_sharing(api->store, &s->fleet, mb_unix_ns(), err);
	return r < 0 ? r : mb_ask(&a, question, ret, err);
}

/* --- /v1/history ------------------------------------------------------------------------------ */

struct history {
	const struct mb_scene *scene;
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
	*ret_error = row->inter_error;
	if (row->has_inter)
		return number(row->inter);
	for (uint32_t k = 0; k < h->scene->view->n_sets; k++) {
		const struct mb_comparable *set = &h->scene->view->sets[k];

		for (uint32_t i = 0; i < set->n; i++) {
			const struct mb_vm *vm = &h->scene->view->fleet.vms[set->vms[i]];

			if (strcmp(vm->name, h->vm) != 0 || vm->acked_unix_ns != row->acked_unix_ns)
				continue;
			*ret_error = mb_comparable_any_error(set, i);
			return number(set->any[i]);
		}
	}
	return json_null();
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
	json_object_set_new(
		o, "audit",
		mb_audit_json(&row->audit, row->recall, row->recall_all, row->precision));
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

static int history(struct mb_api *api, const struct mb_scene *s, mb_api_query query, void *ctx,
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

/* --- /v1/churn -------------------------------------------------------------------------------- */

static const struct mb_vm *find_vm(const struct mb_scene *s, const char *name)
{
	for (uint32_t i = 0; i < s->view->fleet.n; i++)
		if (strcmp(s->view->fleet.vms[i].name, name) == 0)
			return &s->view->fleet.vms[i];
	return NULL;
}

static bool has_host(const struct mb_scene *s, const char *name)
{
	for (uint32_t i = 0; i < s->fleet.view.n_hosts; i++)
		if (strcmp(s->fleet.hosts[i].name, name) == 0)
			return true;
	return false;
}

/* `of`: a VM, or else a host, or else "fleet". */
static int churn(struct mb_api *api, const struct mb_scene *s, mb_api_query query, void *ctx,
		 json_t **ret, struct mb_err *err)
{
	mb_autofree const struct mb_vm **vms = calloc(s->view->fleet.n + 1, sizeof(*vms));
	mb_autofree const char **hosts = calloc(s->view->fleet.n + 1, sizeof(*hosts));
	const char *of = query(ctx, "of") ? query(ctx, "of") : "fleet";
	struct mb_churn_question q = { .vms = vms, .hosts = hosts, .since_unix_ns = mb_unix_ns() };
	const struct mb_vm *vm = find_vm(s, of);
	bool host = !vm && has_host(s, of);
	uint64_t since_s = 3600;
	char name[MB_NAME_MAX + 16];
	int r = get_number(query, ctx, "since_s", 10 * 366 * 86400ull, &since_s, err);

	if (r < 0)
		return r;
	if (!vms || !hosts)
		return mb_fail_mem(err, "an answer");
	if (!vm && !host && strcmp(of, "fleet") != 0)
		return mb_fail(err, ENOENT, "no VM and no host \"%.128s\"", of);
	for (uint32_t i = 0; i < s->view->fleet.n; i++) {
		uint32_t on = s->fleet.vms[i].host;
		const char *where = on == MB_NOWHERE ? NULL : s->fleet.hosts[on].name;

		if (vm ? vm != &s->view->fleet.vms[i] : host && (!where || strcmp(where, of) != 0))
			continue;
		vms[q.n] = &s->view->fleet.vms[i];
		hosts[q.n++] = where;
	}
	snprintf(name, sizeof(name), "%s%s", vm ? "VM " : host ? "host " : "", of);
	q.name = name;
	q.contents = vm;
	q.since_unix_ns -= MB_MIN(q.since_unix_ns, since_s * 1000000000);
	return mb_churn_answer(api->store, &q, ret, err);
}

/* --- /v1/audits ------------------------------------------------------------------------------- */

static int audits(struct mb_api *api, const struct mb_scene *s, json_t **ret, struct mb_err *err)
{
	uint32_t n = s->view->fleet.n;
	mb_autofree const char **hosts = calloc(n + 1, sizeof(*hosts));

	if (!hosts)
		return mb_fail_mem(err, "an answer");
	for (uint32_t i = 0; i < n; i++)
		if (s->fleet.vms[i].host != MB_NOWHERE)
			hosts[i] = s->fleet.hosts[s->fleet.vms[i].host].name;
	return mb_audit_answer(api->store, s->view->fleet.vms, hosts, n, ret, err);
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
	mb_cleanup(mb_scene_close) struct mb_scene s = { 0 };
	int r;

	*ret_json = NULL;
	if (strcmp(path, "/v1/rotate") == 0 && api->fleet)
		return mb_rotations_begin(api->fleet, api->store, query(ctx, "domain"),
					  query(ctx, "to"), ret_json, err);
	if (strncmp(path, "/v1/executions/", 15) == 0)
		return mb_api_wish(api, path + 15, query, ctx, ret_json, err);
	if (strncmp(path, "/v1/", 4) != 0 || !mb_ask_plans(path + 4))
		return mb_fail(err, EOPNOTSUPP, "nothing can be changed there");
	r = mb_api_check_idle(api, err);
	if (r == 0)
		r = mb_scene_open(api, query, ctx, &s, err);
	return r < 0 ? r : ask(api, &s, path + 4, query, ctx, true, ret_json, err);
}

int mb_api_get(struct mb_api *api, const char *path, mb_api_query query, void *ctx,
	       json_t **ret_json, struct mb_err *err)
{
	mb_cleanup(mb_scene_close) struct mb_scene s = { 0 };
	int r;

	*ret_json = NULL;
	if (strcmp(path, "/v1/status") == 0) {
		r = mb_scene_open(api, query, ctx, &s, err);
		r = r < 0 ? r : status(api, &s, ret_json);
	} else if (strcmp(path, "/v1/share") == 0) {
		r = mb_scene_open(api, query, ctx, &s, err);
		r = r < 0 ? r : share(api, &s, ret_json, err);
	} else if (strcmp(path, "/v1/history") == 0) {
		r = mb_scene_open(api, query, ctx, &s, err);
		r = r < 0 ? r : history(api, &s, query, ctx, ret_json, err);
	} else if (strcmp(path, "/v1/churn") == 0) {
		r = mb_scene_open(api, query, ctx, &s, err);
		r = r < 0 ? r : churn(api, &s, query, ctx, ret_json, err);
	} else if (strcmp(path, "/v1/doctor") == 0) {
		r = mb_doctor_answer(api, query, ctx, ret_json, err);
	} else if (strcmp(path, "/v1/audits") == 0) {
		r = mb_scene_open(api, query, ctx, &s, err);
		r = r < 0 ? r : audits(api, &s, ret_json, err);
	} else if (strncmp(path, "/v1/", 4) == 0 && mb_ask_knows(path + 4)) {
		r = mb_scene_open(api, query, ctx, &s, err);
		r = r < 0 ? r : ask(api, &s, path + 4, query, ctx, false, ret_json, err);
	} else if (strcmp(path, "/v1/executions") == 0) {
		r = executions(api, query, ctx, ret_json, err);
	} else {
		r = mb_fail(err, ENOENT,
			    "no %.100s (/v1/status, /v1/share, /v1/plan, /v1/history, /v1/place, "
			    "/v1/drain, /v1/consolidate, /v1/hotspot, /v1/whatif, /v1/churn, "
			    "/v1/audits, /v1/executions, /v1/doctor)",
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
