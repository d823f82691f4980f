// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/doctor.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"

enum {
	PACE_ROWS = 9,
	REFUSED_LATELY_S = 3600,
};

static const mb_diagnosis_check *const families[] = { mb_diagnosis_server, mb_diagnosis_agents,
						      mb_diagnosis_tracking, mb_diagnosis_fleet };

int mb_diagnosis_run(const struct mb_diagnosis *d, struct mb_findings *ret, struct mb_err *err)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(families); i++)
		for (const mb_diagnosis_check *check = families[i]; *check; check++)
			(*check)(d, ret);
	mb_findings_sort(ret);
	return mb_findings_check(ret, err);
}

const char *mb_diagnosis_host_of(const struct mb_diagnosis *d, uint32_t vm)
{
	uint32_t host = d->scene->fleet.vms[vm].host;

	return host == MB_NOWHERE ? "" : d->scene->fleet.hosts[host].name;
}

bool mb_diagnosis_covers(const struct mb_diagnosis *d, uint32_t vm)
{
	return !d->of ||
	       strcmp(d->of_host ? mb_diagnosis_host_of(d, vm) : d->scene->fleet.vms[vm].name,
		      d->of) == 0;
}

const char *mb_diagnosis_age(uint64_t ns, char ret[MB_AGE_MAX])
{
	uint64_t s = ns / 1000000000;

	if (s >= 86400)
		snprintf(ret, MB_AGE_MAX, "%" PRIu64 " d %02" PRIu64 " h", s / 86400,
			 s / 3600 % 24);
	else if (s >= 3600)
		snprintf(ret, MB_AGE_MAX, "%" PRIu64 " h %02" PRIu64 " min", s / 3600, s / 60 % 60);
	else
		snprintf(ret, MB_AGE_MAX, "%" PRIu64 " min %02" PRIu64 " s", s / 60, s % 60);
	return ret;
}

const char *mb_diagnosis_date(uint64_t unix_ns, char ret[MB_AGE_MAX])
{
	time_t t = (time_t)(unix_ns / 1000000000);
	struct tm tm;

	gmtime_r(&t, &tm);
	strftime(ret, MB_AGE_MAX, "%Y-%m-%d %H:%M:%S UTC", &tm);
	return ret;
}

/* --- facts ------------------------------------------------------------------------------------ */

struct pace {
	uint64_t last_ns, longest_ns;
};

static int look_at_row(void *ctx, const struct mb_history_row *row)
{
	struct pace *p = ctx;

	if (p->last_ns && row->at_unix_ns > p->last_ns)
		p->longest_ns = MB_MAX(p->longest_ns, row->at_unix_ns - p->last_ns);
	p->last_ns = row->at_unix_ns;
	return 0;
}

static int find_paces(struct mb_diagnosis *d, struct mb_err *err)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;
	int r = 0;

	d->pace_ns = calloc((size_t)fleet->n + 1, sizeof(*d->pace_ns));
	if (!d->pace_ns)
		return mb_fail_mem(err, "the agents' paces");
	for (uint32_t i = 0; i < fleet->n && r == 0; i++) {
		struct pace p = { 0 };

		if (!fleet->vms[i].epoch || !mb_diagnosis_covers(d, i))
			continue;
		r = mb_store_history(d->api->store, fleet->vms[i].name, PACE_ROWS, look_at_row, &p,
				     err);
		/* One that the store has lost meanwhile. */
		r = r == -ENOENT ? 0 : r;
		d->pace_ns[i] = p.longest_ns;
	}
	return r;
}

/* A VM, or else a host; or a VM of which only refusals are known. */
static int find_subject(struct mb_diagnosis *d, struct mb_err *err)
{
	const struct mb_live_fleet *f = &d->scene->fleet;
	struct mb_contact c;

	if (!d->of)
		return 0;
	for (uint32_t i = 0; i < f->view.n_vms; i++)
		if (strcmp(f->vms[i].name, d->of) == 0)
			return 0;
	for (uint32_t i = 0; i < f->view.n_hosts; i++)
		d->of_host |= strcmp(f->hosts[i].name, d->of) == 0;
	return d->of_host || mb_contacts_find(d->api->contacts, d->of, &c) ?
		       0 :
		       mb_fail(err, ENOENT, "no VM and no host \"%.128s\"", d->of);
}

static int diagnose(struct mb_diagnosis *d, json_t **ret, struct mb_err *err)
{
	mb_cleanup(mb_findings_deinit) struct mb_findings found = { 0 };
	int r = find_subject(d, err);

	if (r == 0)
		r = find_paces(d, err);
	if (r == 0)
		r = mb_contacts_refused_since(
			d->api->contacts,
			d->now_ns - MB_MIN(d->now_ns, REFUSED_LATELY_S * 1000000000ull),
			&d->refused, &d->n_refused, err);
	if (r == 0)
		r = mb_diagnosis_run(d, &found, err);
	if (r < 0)
		return r;
	*ret = json_pack("{s:s, s:s, s:s?, s:I, s:I, s:o}", "doctor", "mbserver", "version",
			 mb_version, "of", d->of, "at_unix_ms", (json_int_t)(d->now_ns / 1000000),
			 "problems", (json_int_t)mb_findings_count(&found, MB_SEVERITY_PROBLEM),
			 "findings", mb_findings_to_json(&found));
	return *ret ? 0 : mb_fail_mem(err, "an answer");
}

int mb_doctor_answer(struct mb_api *api, mb_api_query query, void *ctx, json_t **ret,
		     struct mb_err *err)
{
	mb_cleanup(mb_scene_close) struct mb_scene scene = { 0 };
	struct mb_diagnosis d = {
		.api = api, .scene = &scene, .of = query(ctx, "of"), .now_ns = mb_unix_ns()
	};
	struct mb_api without_file = *api;
	struct mb_err why = { 0 };
	const char *stale = query(ctx, "stale_s");
	uint64_t stale_s = 0;
	int r = stale ? mb_parse_u64(stale, 1, 10 * 366 * 86400ull, "stale_s", &stale_s, err) : 0;

	if (r < 0)
		return r;
	d.stale_ns = stale_s * 1000000000;
	r = mb_scene_open(api, query, ctx, &scene, &why);
	if (r == -EIO && api->fleet_path) {
		/* That it cannot be read is a finding. */
		mb_scene_close(&scene);
		without_file.fleet_path = NULL;
		d.fleet_error = why.text;
		r = mb_scene_open(&without_file, query, ctx, &scene, err);
	} else if (r < 0 && err) {
		*err = why;
	}
	if (r == 0)
		r = diagnose(&d, ret, err);
	free(d.pace_ns);
	free(d.refused);
	return r;
}
