// SPDX-License-Identifier: GPL-2.0-or-later
/* What KSM's own settings and counters say. */
#include <inttypes.h>
#include <string.h>

#include "agent/doctor.h"
#include "proto/base/cleanup.h"

enum {
	/* A full scan that takes longer: pages that change meanwhile are never merged. */
	SLOW_NOTE_S = 300,
	SLOW_PROBLEM_S = 900,
	TWIN_SCANS = 2, /* a page is merged when a scan finds it as the scan before did */
};

static void saw(struct mb_finding *f, const struct mb_doctor *d, enum mb_host_number n)
{
	if (d->host.known[n])
		mb_finding_saw(f, mb_host_file(n), "%" PRId64, d->host.number[n]);
}

static bool is_running(const struct mb_doctor *d)
{
	return d->host.has_ksm && d->host.number[MB_KSM_RUN] == 1;
}

/* Pages that only wait for ksmd. */
static uint64_t waiting(const struct mb_doctor *d)
{
	return d->gap.lost[MB_GAP_WAITING] + d->gap.lost[MB_GAP_HUGE];
}

static void check_there(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (d->host.has_ksm)
		return;
	f = mb_findings_add(to, MB_SEVERITY_PROBLEM, "ksm-missing", "");
	mb_finding_say(f, "this kernel has no KSM: nothing will ever be merged");
	mb_finding_saw(f, "/sys/kernel/mm/ksm", "not there");
	mb_finding_fix(f, "boot a kernel with CONFIG_KSM=y (Debian's have it)");
	if (d->has_gap)
		mb_finding_cost(f, waiting(d), false);
}

/* Where none run, as in a guest, there is nothing to be merged. */
static bool has_vms(const struct mb_doctor *d)
{
	return d->processes.n || d->unreadable;
}

static void check_run(const struct mb_doctor *d, struct mb_findings *to)
{
	int64_t run = d->host.number[MB_KSM_RUN];
	uint64_t sharing = mb_host_value(&d->host, MB_KSM_SHARING);
	bool vms = has_vms(d);
	struct mb_finding *f;

	if (!d->host.has_ksm || !d->host.known[MB_KSM_RUN])
		return;
	if (run == 1) {
		f = mb_findings_add(to, MB_SEVERITY_OK, "ksm-on", "");
		mb_finding_say(f, "KSM merges; it saves %" PRIu64 " pages (%.1f MB) now", sharing,
			       (double)sharing / 256);
		saw(f, d, MB_KSM_RUN);
		saw(f, d, MB_KSM_SHARED);
		saw(f, d, MB_KSM_SHARING);
		saw(f, d, MB_KSM_ZERO_PAGES);
		return;
	}
	f = mb_findings_add(to, vms ? MB_SEVERITY_PROBLEM : MB_SEVERITY_NOTE,
			    run == 2 ? "ksm-unmerged" : "ksm-off", "");
	if (run == 2)
		mb_finding_say(f, "KSM is off, and was told to take all merged pages apart");
	else if (sharing)
		mb_finding_say(f,
			       "KSM is off: the %" PRIu64 " pages (%.1f MB) that were merged stay "
			       "so until they are written to, no others are",
			       sharing, (double)sharing / 256);
	else if (vms)
		mb_finding_say(f, "KSM is off: nothing is merged");
	else
		mb_finding_say(f, "KSM is off: nothing is merged. No VM runs here: in a guest that "
				  "is as it should be, its host does the merging");
	saw(f, d, MB_KSM_RUN);
	saw(f, d, MB_KSM_SHARING);
	if (d->has_gap)
		mb_finding_cost(f, waiting(d), !d->has_frames);
	if (d->host.has_ksmtuned)
		mb_finding_fix(f, "ksmtuned switches it: lower KSM_THRES_COEF in "
				  "/etc/ksmtuned.conf, systemctl restart ksmtuned");
	else
		mb_finding_fix(f, "echo 1 > %s", mb_host_file(MB_KSM_RUN));
}

static void check_ksmd(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!is_running(d) || d->host.has_ksmd || !d->host.sees_kernel)
		return;
	f = mb_findings_add(to, MB_SEVERITY_PROBLEM, "ksmd-missing", "");
	mb_finding_say(f, "KSM is on, but its kernel thread ksmd is not there: it has died");
	mb_finding_saw(f, "/proc/*/comm", "no ksmd");
	mb_finding_fix(f, "dmesg | grep -i -e ksm -e BUG -e Oops; then reboot");
}

static void check_tuned(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!d->host.has_ksmtuned)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "ksm-tuned", "");
	mb_finding_say(f, "ksmtuned runs: it sets run and pages_to_scan by how much memory is "
			  "free, so that what is written to them by hand does not last");
	mb_finding_saw(f, "/proc/*/comm", "ksmtuned");
	mb_finding_fix(f, "settings go to /etc/ksmtuned.conf; or systemctl disable --now ksmtuned");
}

static void fix_speed(struct mb_finding *f, const struct mb_doctor *d, uint64_t pages)
{
	uint64_t ms = mb_host_value(&d->host, MB_KSM_SLEEP_MS);
	uint64_t wanted = (pages * ms / (SLOW_NOTE_S * 1000ull) / 100 + 1) * 100;

	if (d->host.has_ksmtuned)
		mb_finding_fix(f, "raise KSM_NPAGES_MAX in /etc/ksmtuned.conf to %" PRIu64, wanted);
	else if (*d->host.advisor && strcmp(d->host.advisor, "none") == 0)
		mb_finding_fix(f, "echo scan-time > /sys/kernel/mm/ksm/advisor_mode");
	else if (*d->host.advisor)
		mb_finding_fix(f, "echo %d > %s", SLOW_NOTE_S, mb_host_file(MB_KSM_TARGET_S));
	else
		mb_finding_fix(f, "echo %" PRIu64 " > %s", wanted,
			       mb_host_file(MB_KSM_PAGES_TO_SCAN));
}

static void check_speed(const struct mb_doctor *d, struct mb_findings *to)
{
	uint64_t pages, s = mb_doctor_scan_s(d, &pages);
	struct mb_finding *f;

	if (!d->host.has_ksm || !pages || !mb_host_value(&d->host, MB_KSM_PAGES_TO_SCAN))
		return;
	f = mb_findings_add(to,
			    s > SLOW_PROBLEM_S ? MB_SEVERITY_PROBLEM :
			    s > SLOW_NOTE_S    ? MB_SEVERITY_NOTE :
						 MB_SEVERITY_OK,
			    "ksm-speed", "");
	mb_finding_say(f,
		       "one scan of %" PRIu64 " pages takes %" PRIu64 " min %02" PRIu64
		       " s at least; a page is merged when two scans have found it unchanged",
		       pages, s / 60, s % 60);
	saw(f, d, MB_KSM_PAGES_TO_SCAN);
	saw(f, d, MB_KSM_SLEEP_MS);
	if (*d->host.advisor)
		mb_finding_saw(f, "/sys/kernel/mm/ksm/advisor_mode", "%s", d->host.advisor);
	saw(f, d, MB_KSM_FULL_SCANS);
	if (s > SLOW_NOTE_S)
		fix_speed(f, d, pages);
}

/* Twins that ksmd could have merged, and has not. */
static void check_behind(const struct mb_doctor *d, struct mb_findings *to)
{
	uint64_t scans = mb_host_value(&d->host, MB_KSM_FULL_SCANS), pages;
	uint64_t lost = d->gap.lost[MB_GAP_WAITING], s = mb_doctor_scan_s(d, &pages);
	bool early = scans<TWIN_SCANS, much = lost> d->gap.predicted / 10;
	struct mb_finding *f;

	if (!is_running(d) || !d->has_gap || !d->has_frames || !lost)
		return;
	f = mb_findings_add(to, early || !much ? MB_SEVERITY_NOTE : mb_doctor_weigh(d, lost),
			    "ksm-behind", "");
	if (early)
		mb_finding_say(f, "ksmd has not gone over memory twice yet, and merges nothing "
				  "before that");
	else
		mb_finding_say(f, "pages that ksmd may merge and has not: they are new, they "
				  "change from scan to scan (pages_volatile), or it skips them "
				  "for a while since they did not merge before (smart_scan)");
	mb_finding_cost(f, lost, false);
	saw(f, d, MB_KSM_FULL_SCANS);
	saw(f, d, MB_KSM_VOLATILE);
	saw(f, d, MB_KSM_SKIPPED);
	saw(f, d, MB_KSM_SMART_SCAN);
	if (s > SLOW_NOTE_S)
		fix_speed(f, d, pages);
	else
		mb_finding_fix(f, "wait for two scans (%" PRIu64 " s at least), and look again",
			       MB_MAX(2 * s, (uint64_t)1));
}

static void check_volatile(const struct mb_doctor *d, struct mb_findings *to)
{
	uint64_t v = mb_host_value(&d->host, MB_KSM_VOLATILE);
	uint64_t all = v + mb_host_value(&d->host, MB_KSM_SHARED) +
		       mb_host_value(&d->host, MB_KSM_SHARING) +
		       mb_host_value(&d->host, MB_KSM_UNSHARED);
	struct mb_finding *f;

	if (!is_running(d) || mb_host_value(&d->host, MB_KSM_FULL_SCANS) < TWIN_SCANS ||
	    v < all / 10 || !v)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "ksm-volatile", "");
	mb_finding_say(f,
		       "%" PRIu64 " of %" PRIu64 " pages (%.0f %%) changed between two scans: KSM "
		       "leaves them alone, whatever they share at one moment",
		       v, all, 100.0 * (double)v / (double)all);
	mb_finding_cost(f, v, true);
	saw(f, d, MB_KSM_VOLATILE);
	mb_finding_fix(f, "mbagent dirty in the guest, or mbctl churn VM: who writes so much");
}

/* Its own names: merged, but into several frames. */
static void check_twice(const struct mb_doctor *d, struct mb_findings *to)
{
	uint64_t lost = d->gap.lost[MB_GAP_MERGED];
	struct mb_finding *f;

	if (!d->has_gap || !lost ||
	    (d->host.n_nodes > 1 && d->host.known[MB_KSM_ACROSS_NODES] &&
	     !d->host.number[MB_KSM_ACROSS_NODES]))
		return;
	f = mb_findings_add(to, mb_doctor_weigh(d, lost), "ksm-max-sharing", "");
	mb_finding_say(f, "contents that are merged into several pages, each shared by "
			  "max_page_sharing at most");
	mb_finding_cost(f, lost, false);
	saw(f, d, MB_KSM_MAX_SHARING);
	saw(f, d, MB_KSM_CHAINS);
	saw(f, d, MB_KSM_DUPS);
	mb_finding_fix(f,
		       "cd /sys/kernel/mm/ksm && echo 2 > run && echo %" PRIu64
		       " > max_page_sharing && echo 1 > run",
		       MB_MAX(4 * mb_host_value(&d->host, MB_KSM_MAX_SHARING), (uint64_t)256));
}

static void check_nodes(const struct mb_doctor *d, struct mb_findings *to)
{
	bool apart = d->host.known[MB_KSM_ACROSS_NODES] && !d->host.number[MB_KSM_ACROSS_NODES];
	uint64_t lost = d->gap.lost[MB_GAP_MERGED];
	enum mb_severity severity;
	struct mb_finding *f;

	if (!d->host.has_ksm || d->host.n_nodes < 2 || !d->host.known[MB_KSM_ACROSS_NODES])
		return;
	if (!apart)
		severity = MB_SEVERITY_OK;
	else if (d->has_gap && d->has_frames)
		severity = mb_doctor_weigh(d, lost);
	else
		severity = has_vms(d) ? MB_SEVERITY_PROBLEM : MB_SEVERITY_NOTE;
	f = mb_findings_add(to, severity, "ksm-numa", "");
	if (apart)
		mb_finding_say(f,
			       "pages of different NUMA nodes are not merged with each other: up "
			       "to %" PRIu32 " copies of each content stay",
			       d->host.n_nodes);
	else
		mb_finding_say(f, "pages of all NUMA nodes are merged with each other: some VMs "
				  "read pages of another node");
	mb_finding_saw(f, "/sys/devices/system/node/has_memory", "%" PRIu32 " nodes",
		       d->host.n_nodes);
	saw(f, d, MB_KSM_ACROSS_NODES);
	saw(f, d, MB_NUMA_BALANCING);
	if (!apart)
		return;
	if (d->has_gap)
		mb_finding_cost(f, lost, false);
	mb_finding_fix(f, "cd /sys/kernel/mm/ksm && echo 2 > run && echo 1 > merge_across_nodes "
			  "&& echo 1 > run");
}

static void check_zero(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (mb_host_value(&d->host, MB_KSM_USE_ZERO) != 1)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "ksm-zero-pages", "");
	if (d->host.known[MB_KSM_ZERO_PAGES])
		mb_finding_say(f, "zero pages are merged with the kernel's own: pages_sharing does "
				  "not count them, ksm_zero_pages does. What is saved is both");
	else
		mb_finding_say(f, "zero pages are merged with the kernel's own: this kernel counts "
				  "them nowhere (6.6 does), so pages_sharing shows less than is "
				  "saved");
	saw(f, d, MB_KSM_USE_ZERO);
	saw(f, d, MB_KSM_SHARING);
	saw(f, d, MB_KSM_ZERO_PAGES);
}

static void check_profit(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!is_running(d) || !d->host.known[MB_KSM_PROFIT] || d->host.number[MB_KSM_PROFIT] >= 0 ||
	    mb_host_value(&d->host, MB_KSM_FULL_SCANS) < TWIN_SCANS)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "ksm-unprofitable", "");
	mb_finding_say(f, "what KSM needs to keep track of pages takes %.1f MB more than it saves",
		       (double)-d->host.number[MB_KSM_PROFIT] / (1 << 20));
	saw(f, d, MB_KSM_PROFIT);
	mb_finding_fix(f, "echo 2 > %s, if it stays so", mb_host_file(MB_KSM_RUN));
}

const mb_doctor_check mb_doctor_ksm_checks[] = {
	check_there,	check_run,   check_ksmd,  check_tuned, check_speed,  check_behind,
	check_volatile, check_twice, check_nodes, check_zero,  check_profit, NULL,
};
