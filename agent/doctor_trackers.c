// SPDX-License-Identifier: GPL-2.0-or-later
/* Why a tracker does not work here, and what would make it. */
#include <string.h>

#include "agent/doctor.h"
#include "agent/privileges.h"
#include "agent/source.h"
#include "agent/trackers.h"
#include "proto/base/cleanup.h"

static bool is(const struct mb_doctor_tracker *t, const char *name)
{
	return strcmp(t->name, name) == 0;
}

/* --- facts ------------------------------------------------------------------------------------ */

static void take_tracker(void *ctx, const struct mb_tracker_ops *ops, bool works, const char *text)
{
	struct mb_doctor *d = ctx;
	struct mb_doctor_tracker *t = &d->trackers[d->n_trackers];

	if (d->n_trackers == MB_DOCTOR_TRACKERS_MAX)
		return;
	d->n_trackers++;
	t->name = ops->name;
	t->works = works;
	t->strength = ops->strength;
	snprintf(t->text, sizeof(t->text), "%s", text);
	if (!works)
		mb_privileges_missing(ops->needs, t->missing, sizeof(t->missing));
}

void mb_doctor_try_trackers(struct mb_doctor *d, const struct mb_tracker_options *options)
{
	char found[MB_FOUND_MAX] = "";
	struct mb_err err = { 0 };

	d->has_sources = true;
	d->has_module = mb_source_kmod.check(found, &err) == 0;
	snprintf(d->module, sizeof(d->module), "%s", d->has_module ? found : err.text);
	d->reads_processes = mb_source_process.check(found, &err) == 0;
	if (!d->reads_processes)
		snprintf(d->why_not_read, sizeof(d->why_not_read), "%s", err.text);
	mb_trackers_try(options, take_tracker, d);
}

/* --- checks ----------------------------------------------------------------------------------- */

static void check_processes(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!d->has_sources || d->reads_processes)
		return;
	f = mb_findings_add(to, d->processes.n ? MB_SEVERITY_PROBLEM : MB_SEVERITY_NOTE,
			    "process-unreadable", "");
	mb_finding_say(f, "an agent cannot read other processes' memory here");
	mb_finding_saw(f, "mbagent check", "%s", d->why_not_read);
	mb_finding_fix(f, "run it as root");
}

static void check_module(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!d->has_sources || d->has_module)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "module-missing", "");
	mb_finding_say(f,
		       "this machine's own memory cannot be read or tracked: source kmod and all "
		       "trackers need the module. On a host whose VMs are read from outside "
		       "(process:) that is as it should be");
	mb_finding_saw(f, "source kmod", "%s", d->module);
	if (strcmp(d->host.lockdown, "integrity") == 0 ||
	    strcmp(d->host.lockdown, "confidentiality") == 0)
		mb_finding_saw(f, "/sys/kernel/security/lockdown", "%s (the module must be signed)",
			       d->host.lockdown);
	mb_finding_fix(f,
		       "apt-get install linux-headers-%s ./memory-buddies-dkms_*.deb; in the "
		       "source tree: make kmod KDIR=/lib/modules/%s/build",
		       d->host.release, d->host.release);
}

/* The reasons that there are, the first that holds; docs/tracking.md has all. */
static void fix_tracker(struct mb_finding *f, const struct mb_doctor *d,
			const struct mb_doctor_tracker *t)
{
	bool bpf = is(t, "bpf");

	if (*t->missing)
		mb_finding_fix(f, "run it as root, or with: %s", t->missing);
	else if (bpf && !d->host.has_btf)
		mb_finding_fix(f, "mbagent run --btf FILE, with this kernel's types: pahole "
				  "--btf_encode_detached FILE vmlinux");
	else if (bpf && strcmp(d->host.lockdown, "confidentiality") == 0)
		mb_finding_fix(f, "boot without lockdown=confidentiality: BPF may not read memory "
				  "under it");
	else if (is(t, "softdirty") && strstr(t->text, "SOFT_DIRTY"))
		mb_finding_fix(f, "boot a kernel with CONFIG_MEM_SOFT_DIRTY=y (Debian's have it)");
	else
		mb_finding_fix(f,
			       "docs/tracking.md, on what trackers need; mbagent run --tracker "
			       "%s says it again",
			       t->name);
}

/* The agent loads it, so that nothing has failed yet. */
static bool is_unloaded(const struct mb_doctor *d)
{
	return d->has_module && d->n_trackers && strstr(d->trackers[0].text, "is not loaded");
}

static void check_unloaded(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!is_unloaded(d))
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "module-unloaded", "");
	mb_finding_say(f, "the module is there, and is loaded by the first agent with source kmod; "
			  "what trackers can do here is known from then on");
	mb_finding_saw(f, "source kmod", "%s", d->module);
	mb_finding_fix(f, "modprobe mbwalk, and look again");
}

static void check_trackers(const struct mb_doctor *d, struct mb_findings *to)
{
	if (is_unloaded(d))
		return;
	/* What would be chosen, and whether something better should have been. */
	for (size_t i = 0; i < d->n_trackers && d->has_module; i++) {
		const struct mb_doctor_tracker *t = &d->trackers[i];
		struct mb_finding *f;

		if (t->works) {
			f = mb_findings_add(to,
					    t->strength == MB_STRENGTH_PROOF ? MB_SEVERITY_OK :
									       MB_SEVERITY_NOTE,
					    "tracker", t->name);
			mb_finding_say(f, "--tracker auto takes it: %s", t->text);
			if (t->strength == MB_STRENGTH_NONE)
				mb_finding_fix(f, "see the trackers above that do not work");
			return;
		}
		f = mb_findings_add(to,
				    t->strength == MB_STRENGTH_PROOF ? MB_SEVERITY_PROBLEM :
								       MB_SEVERITY_NOTE,
				    "tracker-fails", t->name);
		mb_finding_say(f, "the agent falls back to the next tracker: epochs cost more, or "
				  "miss pages until an audit");
		mb_finding_saw(f, "mbagent check", "%s", t->text);
		if (is(t, "bpf"))
			mb_finding_saw(f, "/sys/kernel/btf/vmlinux", "%s",
				       d->host.has_btf ? "there" : "not there");
		if (*d->host.lockdown)
			mb_finding_saw(f, "/sys/kernel/security/lockdown", "%s", d->host.lockdown);
		fix_tracker(f, d, t);
	}
}

const mb_doctor_check mb_doctor_tracker_checks[] = { check_processes, check_module, check_unloaded,
						     check_trackers, NULL };
