// SPDX-License-Identifier: GPL-2.0-or-later
/* What the memory of the processes says, and what of it could be merged and is not. */
#include <inttypes.h>
#include <string.h>

#include "agent/doctor.h"
#include "proto/base/cleanup.h"

static void check_predicted(const struct mb_doctor *d, struct mb_findings *to)
{
	const struct mb_gap *g = &d->gap;
	uint64_t lost = g->predicted - g->by_ksm - g->otherwise;
	struct mb_finding *f;

	if (!d->has_gap)
		return;
	f = mb_findings_add(to, MB_SEVERITY_OK, "predicted", "");
	mb_finding_say(f,
		       "of %" PRIu64 " pages in %zu processes %" PRIu64
		       " could be saved, %.1f MB (%" PRIu64 " of the pages are zero): KSM saves "
		       "%" PRIu64 " of them, fork and the kernel's zero page %" PRIu64 "; %" PRIu64
		       " are lost (%.1f MB)",
		       g->pages, d->processes.n, g->predicted, (double)g->predicted / 256, g->zero,
		       g->by_ksm, g->otherwise, lost, (double)lost / 256);
	mb_finding_saw(f, "pages read", "%" PRIu64, g->pages);
	mb_finding_saw(f, "distinct contents", "%" PRIu64, g->distinct);
}

static void check_frames(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!d->has_gap || d->has_frames || !d->gap.pages)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "frames-hidden", "");
	mb_finding_say(f, "the kernel does not show which pages are merged, so that all are taken "
			  "as if none was: what is said to be lost is the most that can be");
	mb_finding_saw(f, "/proc/kpageflags", "cannot be read (CAP_SYS_ADMIN)");
	mb_finding_fix(f, "run it as root");
}

static void check_any(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (d->processes.n || d->unreadable)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "no-processes", "");
	mb_finding_say(f, "no VM monitor runs here, and no process was named: what could be "
			  "merged is not known");
	mb_finding_fix(f, "mbagent doctor --source process:PID");
}

static void check_unreadable(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!d->unreadable)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "unreadable", "");
	mb_finding_say(f, "%zu VM monitors run here that may not be looked at", d->unreadable);
	mb_finding_saw(f, "the last one", "%s", d->why_unreadable.text);
	mb_finding_fix(f, "run it as root");
}

/* What to do so that its memory is marked, by what program it is. */
static void fix_unmarked(struct mb_finding *f, const struct mb_doctor_process *p)
{
	if (strncmp(p->name, "qemu", 4) == 0 || strcmp(p->name, "kvm") == 0)
		mb_finding_fix(f,
			       "start QEMU with -machine mem-merge=on (the default); in libvirt: "
			       "virsh edit VM, take <nosharepages/> out of <memoryBacking>");
	else if (strncmp(p->name, "cloud-hyperviso", 15) == 0)
		mb_finding_fix(f, "start it with --memory ...,mergeable=on");
	else
		mb_finding_fix(f, "MemoryKSM=yes in its systemd unit (systemd 254, Linux 6.4); or "
				  "madvise(MADV_MERGEABLE) in the program");
}

static void fix_state(struct mb_finding *f, const struct mb_doctor_process *p,
		      enum mb_gap_state state)
{
	if (state == MB_GAP_UNMARKED)
		fix_unmarked(f, p);
	else if (state == MB_GAP_SHARED)
		mb_finding_fix(f, "back guest RAM by private memory (-object memory-backend-ram,"
				  "share=off; libvirt: no <access mode='shared'/>), unless "
				  "virtiofs or vhost-user need it");
	else
		mb_finding_fix(f, "start the VM without -mem-path of hugetlbfs (libvirt: take "
				  "<hugepages/> out of <memoryBacking>)");
}

/* Memory that KSM never looks at. */
static void check_state(const struct mb_doctor *d, struct mb_findings *to, enum mb_gap_state state,
			const char *id, const char *text, const char *flags)
{
	for (size_t i = 0; i < d->processes.n; i++) {
		const struct mb_doctor_process *p = &d->processes.list[i];
		uint64_t cost = d->has_gap ? p->lost[state] : p->resident[state];
		char who[MB_DOCTOR_WHO_MAX], file[48];
		struct mb_finding *f;

		if (!p->resident[state])
			continue;
		mb_doctor_who(p, who);
		f = mb_findings_add(to, mb_doctor_weigh(d, cost), id, who);
		mb_finding_say(f, "%.1f MB %s", (double)p->resident[state] / 256, text);
		mb_finding_cost(f, cost, !d->has_gap);
		snprintf(file, sizeof(file), "/proc/%d/smaps", p->pid);
		mb_finding_saw(f, file, "%s", flags);
		fix_state(f, p, state);
	}
}

static void check_unmarked(const struct mb_doctor *d, struct mb_findings *to)
{
	check_state(d, to, MB_GAP_UNMARKED, "not-mergeable",
		    "are not marked for KSM, which never looks at them", "VmFlags without mg");
}

static void check_shared(const struct mb_doctor *d, struct mb_findings *to)
{
	check_state(d, to, MB_GAP_SHARED, "shared-memory",
		    "are shared memory (a file, memfd): KSM merges private memory only",
		    "mapped shared (s)");
}

static void check_hugetlb(const struct mb_doctor *d, struct mb_findings *to)
{
	check_state(d, to, MB_GAP_HUGETLB, "hugetlb",
		    "are huge pages of hugetlbfs, which KSM never merges", "VmFlags ht");
}

static void check_huge(const struct mb_doctor *d, struct mb_findings *to)
{
	bool scanned =
		d->host.number[MB_KSM_RUN] == 1 && mb_host_value(&d->host, MB_KSM_FULL_SCANS) >= 2;

	for (size_t i = 0; i < d->processes.n; i++) {
		const struct mb_doctor_process *p = &d->processes.list[i];
		/* While KSM is off they are lost for that. */
		uint64_t lost = d->host.number[MB_KSM_RUN] == 1 ? p->lost[MB_GAP_HUGE] : 0;
		char who[MB_DOCTOR_WHO_MAX], file[48];
		struct mb_finding *f;

		if (!p->resident[MB_GAP_HUGE] && !lost)
			continue;
		mb_doctor_who(p, who);
		f = mb_findings_add(
			to, scanned && d->has_gap ? mb_doctor_weigh(d, lost) : MB_SEVERITY_NOTE,
			"huge-pages", who);
		mb_finding_say(f,
			       "%.1f MB sit in huge pages (THP): ksmd splits one only when it "
			       "comes upon a twin of one of its pages, and pages that the guest "
			       "never used are in them as zeros. Without them guests miss the TLB "
			       "more often",
			       (double)p->resident[MB_GAP_HUGE] / 256);
		if (d->has_gap)
			mb_finding_cost(f, lost, false);
		snprintf(file, sizeof(file), "/proc/%d/smaps", p->pid);
		mb_finding_saw(f, file, "AnonHugePages: %" PRIu64 " kB",
			       4 * p->resident[MB_GAP_HUGE]);
		if (*d->host.thp_enabled)
			mb_finding_saw(f, "/sys/kernel/mm/transparent_hugepage/enabled", "%s",
				       d->host.thp_enabled);
		if (strcmp(d->host.thp_enabled, "never") != 0)
			mb_finding_fix(f,
				       "echo never > /sys/kernel/mm/transparent_hugepage/enabled "
				       "(QEMU asks for them, so madvise does not do); what there "
				       "is stays until it is split");
	}
}

static void check_swapped(const struct mb_doctor *d, struct mb_findings *to)
{
	for (size_t i = 0; i < d->processes.n; i++) {
		const struct mb_doctor_process *p = &d->processes.list[i];
		char who[MB_DOCTOR_WHO_MAX], file[48];
		struct mb_finding *f;

		if (!p->swapped)
			continue;
		mb_doctor_who(p, who);
		f = mb_findings_add(to, MB_SEVERITY_NOTE, "swapped", who);
		mb_finding_say(f,
			       "%" PRIu64 " pages (%.1f MB) are out on swap: they are neither "
			       "predicted nor merged",
			       p->swapped, (double)p->swapped / 256);
		snprintf(file, sizeof(file), "/proc/%d/smaps", p->pid);
		mb_finding_saw(f, file, "Swap: %" PRIu64 " kB", 4 * p->swapped);
		mb_finding_fix(f, "mbctl hotspot");
	}
}

static void check_merging(const struct mb_doctor *d, struct mb_findings *to)
{
	for (size_t i = 0; i < d->processes.n; i++) {
		const struct mb_doctor_process *p = &d->processes.list[i];
		char who[MB_DOCTOR_WHO_MAX], file[48];
		struct mb_finding *f;

		if (!p->has_merging)
			continue;
		mb_doctor_who(p, who);
		f = mb_findings_add(to, MB_SEVERITY_OK, "merging", who);
		mb_finding_say(f, "%" PRIu64 " of its %" PRIu64 " pages are merged", p->merging,
			       mb_doctor_resident(p));
		snprintf(file, sizeof(file), "/proc/%d/ksm_merging_pages", p->pid);
		mb_finding_saw(f, file, "%" PRIu64, p->merging);
		if (!p->has_profit)
			continue;
		snprintf(file, sizeof(file), "/proc/%d/ksm_stat", p->pid);
		mb_finding_saw(f, file, "ksm_process_profit %" PRId64, p->profit_bytes);
	}
}

const mb_doctor_check mb_doctor_memory_checks[] = {
	check_predicted, check_frames,	check_any,     check_unreadable,
	check_unmarked,	 check_shared,	check_hugetlb, check_huge,
	check_swapped,	 check_merging, NULL,
};
