// SPDX-License-Identifier: GPL-2.0-or-later
/* The server itself: can it keep what comes, and how exact is what it says? */
#include <inttypes.h>

#include "proto/base/clock.h"
#include "server/doctor.h"

/* The reason that the last agent was told. */
static const struct mb_contact *last_not_stored(const struct mb_diagnosis *d)
{
	const struct mb_contact *ret = NULL;

	for (size_t i = 0; i < d->n_refused; i++)
		if (d->refused[i].why == MB_FOR_STORE &&
		    (!ret || d->refused[i].refused_ns > ret->refused_ns))
			ret = &d->refused[i];
	return ret;
}

static void check_ready(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_health *h = d->api->health;
	const struct mb_contact *last = last_not_stored(d);
	struct mb_err why = { 0 };
	struct mb_finding *f;
	uint64_t failures;
	char date[MB_AGE_MAX];
	int r;

	if (!h || d->of)
		return;
	failures = atomic_load(&h->failures);
	r = mb_health_ready(h, mb_now_ns(), &why);
	f = mb_findings_add(to,
			    r < 0    ? MB_SEVERITY_PROBLEM :
			    failures ? MB_SEVERITY_NOTE :
				       MB_SEVERITY_OK,
			    r < 0 || failures ? "store-fails" : "store", "");
	if (r < 0)
		mb_finding_say(f, "epochs cannot be kept now; agents keep them, and come back with "
				  "them");
	else if (failures)
		mb_finding_say(f,
			       "epochs could not be kept for a while; agents came back with them");
	else
		mb_finding_say(f, "all epochs that came could be kept");
	mb_finding_saw(f, "GET /readyz", "%s", r < 0 ? why.text : "ok");
	mb_finding_saw(f, "epochs that could not be kept", "%" PRIu64 " since the server started",
		       failures);
	if (last) {
		mb_finding_saw(f, "the last time", "%s", mb_diagnosis_date(last->refused_ns, date));
		mb_finding_saw(f, "reason", "%s", last->reason);
	}
	if (r < 0)
		mb_finding_fix(f, "df -h %s; journalctl -u mbserver", d->api->db_path);
}

static void check_memory(const struct mb_diagnosis *d, struct mb_findings *to)
{
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;
	uint64_t digests = 0;
	struct mb_fleet_memory m;
	struct mb_finding *f;

	if (!d->api->sharing || d->of)
		return;
	mb_sharing_memory(d->api->sharing, &m);
	if (!m.n_paged_out)
		return;
	for (uint32_t i = 0; i < fleet->n; i++)
		digests += fleet->vms[i].sharing.distinct;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "memory-budget", "");
	mb_finding_say(f,
		       "the memory budget keeps %" PRIu32
		       " VMs' fingerprints out: what is shared is estimated from one digest in "
		       "%" PRIu64 ", each figure with its error",
		       m.n_paged_out, (uint64_t)1 << m.sample_shift);
	mb_finding_saw(f, "--memory-budget", "%" PRIu64 " MB, %.1f MB are held",
		       m.budget_bytes >> 20, (double)m.held_bytes / (1 << 20));
	mb_finding_saw(f, "all digests", "%" PRIu64 " MB at least", (digests * 8 >> 20) + 1);
	mb_finding_fix(f, "mbserver --memory-budget MB, with more; or --exact with a question");
}

static void check_api(const struct mb_diagnosis *d, struct mb_findings *to)
{
	uint64_t strangers, roles;
	struct mb_finding *f;

	if (!d->api->refusals || d->of)
		return;
	strangers = mb_refusals_get(d->api->refusals, MB_FOR_API_STRANGER);
	roles = mb_refusals_get(d->api->refusals, MB_FOR_API_ROLE);
	if (!strangers && !roles)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "api-refused", "");
	mb_finding_say(f, "questions to the API were refused since the server started");
	mb_finding_saw(f, "without a good token or certificate", "%" PRIu64, strangers);
	mb_finding_saw(f, "whose role is too small", "%" PRIu64, roles);
	mb_finding_fix(f, "mbserver --access-log FILE says who, from where, for what");
}

const mb_diagnosis_check mb_diagnosis_server[] = { check_ready, check_memory, check_api, NULL };
