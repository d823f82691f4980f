/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the kernel says of KSM and of what stands in its way, read under a folder: "" for this very
 * machine, else a copy of another one's /proc and /sys, as a bug report has it.
 */
#ifndef MB_DOCTOR_HOST_H
#define MB_DOCTOR_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

/* Files of one number each: Documentation/admin-guide/mm/ksm.rst and transhuge.rst */
enum mb_host_number {
	MB_KSM_RUN,
	MB_KSM_PAGES_TO_SCAN,
	MB_KSM_SLEEP_MS,
	MB_KSM_SHARED,
	MB_KSM_SHARING,
	MB_KSM_UNSHARED,
	MB_KSM_VOLATILE,
	MB_KSM_SKIPPED, /* 6.7 */
	MB_KSM_SCANNED, /* 6.8 */
	MB_KSM_FULL_SCANS,
	MB_KSM_ACROSS_NODES,
	MB_KSM_MAX_SHARING,
	MB_KSM_USE_ZERO,
	MB_KSM_ZERO_PAGES, /* 6.6 */
	MB_KSM_SMART_SCAN, /* 6.7 */
	MB_KSM_PROFIT,	   /* 6.4; bytes, may be negative */
	MB_KSM_CHAINS,
	MB_KSM_DUPS,
	MB_KSM_TARGET_S, /* 6.8 */
	MB_KSM_END,
	MB_THP_KHUGEPAGED_PAGES = MB_KSM_END,
	MB_THP_KHUGEPAGED_SLEEP_MS,
	MB_NUMA_BALANCING,
	MB_SWAPPINESS,
	MB_HOST_NUMBERS
};

struct mb_doctor_host {
	char root[256];	  /* "" or a folder */
	char release[80]; /* of the kernel; "" not known */
	bool has_ksm;
	bool known[MB_HOST_NUMBERS];
	int64_t number[MB_HOST_NUMBERS];
	/* What is chosen: "madvise" of "always [madvise] never"; "" where there is no such file. */
	char advisor[24], thp_enabled[24], thp_defrag[24], lockdown[24];
	uint32_t n_nodes; /* with memory; at least 1 */
	/* /proc/meminfo, /proc/vmstat; has_copies: the kernel counts them (5.19) */
	uint64_t memory_bytes, swap_bytes, swap_used_bytes;
	bool has_copies;
	uint64_t swapin_copies, write_copies; /* pages, since boot */
	bool has_ksmd, has_ksmtuned;	      /* processes of that name */
	bool sees_kernel;		      /* kernel threads can be seen: not in a container */
	bool has_btf;
};

/* What is not there is not known; no error. -ENOENT: no /proc at all. */
int mb_doctor_host_read(struct mb_doctor_host *h, const char *root, struct mb_err *err);

/* Its path, without the root. */
const char *mb_host_file(enum mb_host_number n);
/* Key of the JSON: the file's own name. */
const char *mb_host_key(enum mb_host_number n);

/* 0 where it is not known. */
static inline uint64_t mb_host_value(const struct mb_doctor_host *h, enum mb_host_number n)
{
	return h->known[n] && h->number[n] > 0 ? (uint64_t)h->number[n] : 0;
}

#endif
