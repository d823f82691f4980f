// SPDX-License-Identifier: GPL-2.0-or-later
/* What else of the machine stands in the way of merging, or undoes it. */
#include <inttypes.h>
#include <string.h>

#include "agent/doctor.h"

static void check_thp(const struct mb_doctor *d, struct mb_findings *to)
{
	static const char file[] = "/sys/kernel/mm/transparent_hugepage/";
	bool always = strcmp(d->host.thp_enabled, "always") == 0;
	char path[96];
	struct mb_finding *f;

	if (!*d->host.thp_enabled)
		return;
	f = mb_findings_add(to, always ? MB_SEVERITY_NOTE : MB_SEVERITY_OK, "thp", "");
	if (always)
		mb_finding_say(f, "new memory comes in huge pages where it can, and khugepaged "
				  "makes more of them: ksmd has to split each one that it merges a "
				  "page of");
	else
		mb_finding_say(f, "huge pages are made %s",
			       strcmp(d->host.thp_enabled, "never") == 0 ?
				       "nowhere" :
				       "where programs ask for them (QEMU does)");
	snprintf(path, sizeof(path), "%senabled", file);
	mb_finding_saw(f, path, "%s", d->host.thp_enabled);
	snprintf(path, sizeof(path), "%sdefrag", file);
	if (*d->host.thp_defrag)
		mb_finding_saw(f, path, "%s", d->host.thp_defrag);
	for (int i = MB_THP_KHUGEPAGED_PAGES; i <= MB_THP_KHUGEPAGED_SLEEP_MS; i++)
		if (d->host.known[i])
			mb_finding_saw(f, mb_host_file(i), "%" PRId64, d->host.number[i]);
	if (always)
		mb_finding_fix(f, "echo madvise > %senabled", file);
}

static void check_swap(const struct mb_doctor *d, struct mb_findings *to)
{
	struct mb_finding *f;

	if (!d->host.swapin_copies)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "swap-copies", "");
	mb_finding_say(f,
		       "%" PRIu64 " merged pages were swapped out and came back as copies since "
		       "boot: ksmd has to merge them again",
		       d->host.swapin_copies);
	mb_finding_saw(f, "/proc/vmstat", "ksm_swpin_copy %" PRIu64, d->host.swapin_copies);
	mb_finding_saw(f, "/proc/meminfo", "%" PRIu64 " of %" PRIu64 " MB of swap used",
		       d->host.swap_used_bytes >> 20, d->host.swap_bytes >> 20);
	if (d->host.known[MB_SWAPPINESS])
		mb_finding_saw(f, mb_host_file(MB_SWAPPINESS), "%" PRId64,
			       d->host.number[MB_SWAPPINESS]);
	mb_finding_fix(f, "mbctl hotspot: a host that swaps has too many VMs");
}

static void check_writes(const struct mb_doctor *d, struct mb_findings *to)
{
	uint64_t sharing = mb_host_value(&d->host, MB_KSM_SHARING);
	struct mb_finding *f;

	if (!d->host.has_copies || !sharing || d->host.write_copies < sharing)
		return;
	f = mb_findings_add(to, MB_SEVERITY_NOTE, "merged-in-vain", "");
	mb_finding_say(f,
		       "merged pages were copied again %" PRIu64
		       " times since boot, since they were written to or taken apart (run: 2); "
		       "%" PRIu64 " are merged now. If nobody took them apart, what is shared here "
		       "does not last",
		       d->host.write_copies, sharing);
	mb_finding_saw(f, "/proc/vmstat", "cow_ksm %" PRIu64, d->host.write_copies);
	mb_finding_saw(f, mb_host_file(MB_KSM_SHARING), "%" PRIu64, sharing);
	mb_finding_fix(f, "mbctl churn VM: which VM's sharing does not last");
}

const mb_doctor_check mb_doctor_machine_checks[] = { check_thp, check_swap, check_writes, NULL };
