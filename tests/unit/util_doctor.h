/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A machine made up for mbagent's doctor, as files or as facts, and what is found of it. */
#ifndef MB_UTIL_DOCTOR_H
#define MB_UTIL_DOCTOR_H

#include "agent/doctor.h"
#include "tests/unit/util_proc.h"

/* A file below proc_root, with the folders that it needs. */
void root_put(const char *path, const char *text);

/* A host where KSM merges, and has gone over its memory often; one node; no process. */
void make_host(struct mb_doctor *d);
void set_number(struct mb_doctor *d, enum mb_host_number n, int64_t value);
/* A process with so many pages to be merged; valid until the next one. */
struct mb_doctor_process *add_process(struct mb_doctor *d, const char *name, uint64_t pages);

/* Runs one check list; the findings are valid until the next call. */
const struct mb_findings *found_by(const struct mb_doctor *d, const mb_doctor_check *checks);
/* The only finding of that id; fails where there is none, or several. */
const struct mb_finding *find_id(const struct mb_findings *f, const char *id);
void assert_none(const struct mb_findings *f, const char *id);
/* It is that severe, and its fix has that in it. */
void assert_finding(const struct mb_findings *f, const char *id, enum mb_severity severity,
		    const char *fix);

#endif
