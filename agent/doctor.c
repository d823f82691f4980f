// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/doctor.h"

#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/base/version.h"

static const mb_doctor_check *const families[] = { mb_doctor_ksm_checks, mb_doctor_memory_checks,
						   mb_doctor_machine_checks,
						   mb_doctor_tracker_checks };

void mb_doctor_deinit(struct mb_doctor *d)
{
	mb_doctor_processes_deinit(&d->processes);
}

int mb_doctor_judge(const struct mb_doctor *d, struct mb_findings *ret, struct mb_err *err)
{
	for (size_t i = 0; i < MB_ARRAY_LEN(families); i++)
		for (const mb_doctor_check *check = families[i]; *check; check++)
			(*check)(d, ret);
	mb_findings_sort(ret);
	return mb_findings_check(ret, err);
}

enum mb_severity mb_doctor_weigh(const struct mb_doctor *d, uint64_t lost_pages)
{
	enum { PAGES_MIN = 256, ONE_IN = 100 };

	if (lost_pages < PAGES_MIN || (d->has_gap && lost_pages < d->gap.predicted / ONE_IN))
		return MB_SEVERITY_NOTE;
	return MB_SEVERITY_PROBLEM;
}

uint64_t mb_doctor_scan_s(const struct mb_doctor *d, uint64_t *ret_pages)
{
	const struct mb_doctor_host *h = &d->host;
	uint64_t per_round = mb_host_value(h, MB_KSM_PAGES_TO_SCAN);
	uint64_t known = mb_host_value(h, MB_KSM_SHARED) + mb_host_value(h, MB_KSM_SHARING) +
			 mb_host_value(h, MB_KSM_UNSHARED) + mb_host_value(h, MB_KSM_VOLATILE);
	uint64_t marked = 0;

	/* What it has not come to yet it does not count. */
	for (size_t i = 0; i < d->processes.n; i++)
		marked += d->processes.list[i].resident[MB_GAP_WAITING] +
			  d->processes.list[i].resident[MB_GAP_HUGE];
	*ret_pages = MB_MAX(known, marked);
	if (!per_round)
		return 0;
	return *ret_pages * mb_host_value(h, MB_KSM_SLEEP_MS) / per_round / 1000;
}

void mb_doctor_who(const struct mb_doctor_process *p, char ret[MB_DOCTOR_WHO_MAX])
{
	snprintf(ret, MB_DOCTOR_WHO_MAX, "pid %d (%s)", p->pid, p->name);
}

/* --- JSON ------------------------------------------------------------------------------------- */

static json_t *states_json(const uint64_t pages[MB_GAP_STATES])
{
	json_t *o = json_object();

	for (unsigned int i = MB_GAP_MERGED; i < MB_GAP_STATES; i++)
		json_object_set_new(o, mb_gap_state_name(i), json_integer((json_int_t)pages[i]));
	return o;
}

static json_t *ksm_json(const struct mb_doctor_host *h)
{
	json_t *o;

	if (!h->has_ksm)
		return json_null();
	o = json_object();
	for (int i = 0; i < MB_KSM_END; i++)
		json_object_set_new(o, mb_host_key(i),
				    h->known[i] ? json_integer((json_int_t)h->number[i]) :
						  json_null());
	return o;
}

static json_t *processes_json(const struct mb_doctor *d)
{
	json_t *list = json_array();

	for (size_t i = 0; i < d->processes.n; i++) {
		const struct mb_doctor_process *p = &d->processes.list[i];
		json_t *o = json_pack(
			"{s:i, s:s, s:b, s:I, s:I, s:o, s:o, s:o, s:o}", "pid", p->pid, "name",
			p->name, "vm_monitor", (int)p->monitor, "resident_pages",
			(json_int_t)mb_doctor_resident(p), "swapped_pages", (json_int_t)p->swapped,
			"resident", states_json(p->resident), "merging_pages",
			p->has_merging ? json_integer((json_int_t)p->merging) : json_null(),
			"profit_bytes",
			p->has_profit ? json_integer((json_int_t)p->profit_bytes) : json_null(),
			"lost", d->has_gap ? states_json(p->lost) : json_null());

		json_array_append_new(list, o);
	}
	return list;
}

static json_t *predicted_json(const struct mb_doctor *d)
{
	const struct mb_gap *g = &d->gap;

	if (!d->has_gap)
		return json_null();
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:b}", "pages",
			 (json_int_t)g->pages, "distinct", (json_int_t)g->distinct, "zero",
			 (json_int_t)g->zero, "saving_pages", (json_int_t)g->predicted,
			 "by_ksm_pages", (json_int_t)g->by_ksm, "otherwise_pages",
			 (json_int_t)g->otherwise, "lost", states_json(g->lost), "lost_zero",
			 states_json(g->lost_zero), "frames_known", (int)d->has_frames);
}

json_t *mb_doctor_to_json(const struct mb_doctor *d, const struct mb_findings *f)
{
	return json_pack("{s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:o}", "doctor", "mbagent",
			 "version", mb_version, "kernel", d->host.release, "at_unix_ms",
			 (json_int_t)(mb_unix_ns() / 1000000), "problems",
			 (json_int_t)mb_findings_count(f, MB_SEVERITY_PROBLEM), "findings",
			 mb_findings_to_json(f), "ksm", ksm_json(&d->host), "processes",
			 processes_json(d), "predicted", predicted_json(d));
}
