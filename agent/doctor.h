/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * `mbagent doctor`: why what could be merged is not, and why a tracker does not work here; with the
 * command that mends it. docs/doctor.md has every finding.
 *
 *	gather	what there is	doctor_host.h doctor_process.h doctor_predict.h
 *	judge	what that means	doctor_ksm.c doctor_memory.c doctor_machine.c doctor_trackers.c
 *
 * Judges see facts only, so that tests can make them up.
 */
#ifndef MB_DOCTOR_H
#define MB_DOCTOR_H

#include "agent/doctor_gap.h"
#include "agent/doctor_host.h"
#include "agent/doctor_process.h"
#include "agent/track.h"
#include "proto/base/findings.h"

enum { MB_DOCTOR_TRACKERS_MAX = 8 };

struct mb_doctor_tracker {
	const char *name;
	bool works;
	char text[1024];   /* what it is made of, or why it does not work */
	char missing[512]; /* capabilities; "": none */
	enum mb_strength strength;
};

struct mb_doctor {
	struct mb_doctor_host host;
	struct mb_doctor_processes processes;
	bool chosen;	   /* processes were named, not looked for */
	size_t unreadable; /* VM monitors that may not be looked at, and why */
	struct mb_err why_unreadable;
	bool has_gap, has_frames;
	struct mb_gap gap;
	/* Only of this very machine, not of a copy. */
	bool has_sources;
	bool has_module;	/* source kmod can be had */
	char module[512];	/* which, or why not */
	bool reads_processes;	/* source process can be had */
	char why_not_read[512]; /* "": it can */
	struct mb_doctor_tracker trackers[MB_DOCTOR_TRACKERS_MAX];
	size_t n_trackers;
};

void mb_doctor_deinit(struct mb_doctor *d);

/* Sources and trackers of this machine, as `mbagent check` finds them. */
void mb_doctor_try_trackers(struct mb_doctor *d, const struct mb_tracker_options *options);

/* One check: adds what it finds, if it applies. */
typedef void (*mb_doctor_check)(const struct mb_doctor *d, struct mb_findings *to);
/* End with NULL. */
extern const mb_doctor_check mb_doctor_ksm_checks[], mb_doctor_memory_checks[],
	mb_doctor_machine_checks[], mb_doctor_tracker_checks[];

/* All of them, sorted. */
int mb_doctor_judge(const struct mb_doctor *d, struct mb_findings *ret, struct mb_err *err);
/* docs/json.md; a new reference. NULL: out of memory. */
json_t *mb_doctor_to_json(const struct mb_doctor *d, const struct mb_findings *f);

/* So many pages that waste them is a problem, not a note: 1 MB, and 1 % of what was predicted. */
enum mb_severity mb_doctor_weigh(const struct mb_doctor *d, uint64_t lost_pages);
/* How long ksmd takes to go once over what there is, at least; 0: not known. */
uint64_t mb_doctor_scan_s(const struct mb_doctor *d, uint64_t *ret_pages);
/* "pid 4711 (qemu-system-x86)" */
enum { MB_DOCTOR_WHO_MAX = 48 };
void mb_doctor_who(const struct mb_doctor_process *p, char ret[MB_DOCTOR_WHO_MAX]);

#endif
