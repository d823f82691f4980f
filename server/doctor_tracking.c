// SPDX-License-Identifier: GPL-2.0-or-later
/* How far what agents send can be trusted, and what it costs them. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "server/doctor.h"

/* An agent in the guest, which could track: from outside every pass is a full walk. */
static bool is_inside(const struct mb_vm *vm)
{
	return vm->pass.guest.known || strncmp(vm->source, "this machine", 12) == 0;
}

static void check_tracker(const struct mb_diagnosis *d, const struct mb_vm *vm,
			  struct mb_findings *to)
{
	bool none = strcmp(vm->tracker, "none") == 0;
	struct mb_finding *f;

	(void)d;
	if (!is_inside(vm) || (!none && strcmp(vm->tracker, "softdirty") != 0))
		return;
	f = mb_findings_add(to, none ? MB_SEVERITY_PROBLEM : MB_SEVERITY_NOTE, "tracker-fell-back",
			    vm->name);
	if (none)
		mb_finding_say(f, "its agent tracks nothing: every epoch reads all of its memory");
	else
		mb_finding_say(f,
			       "its agent tracks by soft-dirty bits, which are a hint: what a "
			       "process writes at the wrong moment is missed until an audit, and "
			       "files are read again whole");
	mb_finding_saw(f, "tracker", "%s", vm->tracker);
	mb_finding_saw(f, "source", "%s", vm->source);
	if (none)
		mb_finding_saw(f, "pages read for the last epoch", "%" PRIu64 " in %.0f ms",
			       vm->pass.pages_read, (double)vm->pass.duration_ns / 1e6);
	mb_finding_fix(f, "mbagent doctor, in %s: it says why tracker bpf does not work there",
		       vm->name);
}

static void check_recall(const struct mb_diagnosis *d, const struct mb_vm *vm,
			 struct mb_findings *to)
{
	const struct mb_audit *a = &vm->totals.audit;
	uint64_t changed = mb_audit_sum(a->changed, a->follows);
	uint64_t stale = mb_audit_sum(a->stale, a->follows);
	double recall = mb_audit_recall(a, a->follows);
	struct mb_finding *f;

	(void)d;
	if (!a->audits || recall >= 0.999)
		return;
	f = mb_findings_add(to, recall < 0.99 ? MB_SEVERITY_PROBLEM : MB_SEVERITY_NOTE,
			    "audit-recall", vm->name);
	mb_finding_say(f,
		       "its tracker misses changed pages (recall %.2f %%): between audits its "
		       "fingerprint is wrong by so many",
		       100 * recall);
	mb_finding_saw(f, "audits since the server started", "%" PRIu32 ", %" PRIu32 " in doubt",
		       a->audits, a->doubted);
	mb_finding_saw(f, "changed pages that it follows", "%" PRIu64 ", missed %" PRIu64, changed,
		       stale);
	mb_finding_saw(f, "tracker", "%s", vm->tracker);
	mb_finding_fix(f,
		       "mbctl history %s; mbagent run --audit N, with fewer epochs than now, or "
		       "--tracker none",
		       vm->name);
}

static void check_doubts(const struct mb_diagnosis *d, const struct mb_vm *vm,
			 struct mb_findings *to)
{
	const struct mb_audit *a = &vm->totals.audit;
	struct mb_finding *f;

	(void)d;
	if (!a->doubted || a->doubted * 2 < a->audits)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "tracker-doubts", vm->name);
	mb_finding_say(f, "its tracker often doubts that it has seen all, and all memory is read "
			  "for that: nothing is missed, but it costs as much as no tracker");
	mb_finding_saw(f, "audits since the server started", "%" PRIu32 ", %" PRIu32 " in doubt",
		       a->audits, a->doubted);
	mb_finding_fix(f, "journalctl -u mbagent@%s in the guest: the doubts, in words", vm->name);
}

static void check_unread(const struct mb_diagnosis *d, const struct mb_vm *vm,
			 struct mb_findings *to)
{
	enum { ONE_IN = 20 };
	uint64_t unread = vm->pass.pages_unread;
	struct mb_finding *f;

	(void)d;
	if (unread < (vm->sharing.pages + unread) / ONE_IN || !unread)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "pages-unread", vm->name);
	mb_finding_say(f,
		       "%" PRIu64 " of its pages could not be read (swapped, ballooned, ...), and "
		       "are in no figure",
		       unread);
	mb_finding_saw(f, "pages in its fingerprint", "%" PRIu64, vm->sharing.pages);
	mb_finding_fix(f, "mbagent scan there, with its --source: unread pages by reason");
}

static void check_vms(const struct mb_diagnosis *d, struct mb_findings *to)
{
	static void (*const checks[])(const struct mb_diagnosis *, const struct mb_vm *,
				      struct mb_findings *) = { check_tracker, check_recall,
								check_doubts, check_unread };
	const struct mb_fleet_snapshot *fleet = &d->scene->view->fleet;

	for (uint32_t i = 0; i < fleet->n; i++)
		for (size_t k = 0; k < MB_ARRAY_LEN(checks); k++)
			if (fleet->vms[i].epoch && mb_diagnosis_covers(d, i))
				checks[k](d, &fleet->vms[i], to);
}

const mb_diagnosis_check mb_diagnosis_tracking[] = { check_vms, NULL };
