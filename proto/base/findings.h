/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a doctor finds, for both programs: how bad it is, what was seen, what it costs, and the
 * command that mends it. As text and as JSON (docs/json.md); docs/doctor.md says what each means.
 */
#ifndef MB_BASE_FINDINGS_H
#define MB_BASE_FINDINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "proto/base/err.h"

enum mb_severity { MB_SEVERITY_OK, MB_SEVERITY_NOTE, MB_SEVERITY_PROBLEM };

enum { MB_SEEN_MAX = 8 };

struct mb_finding {
	enum mb_severity severity;
	char id[32];	/* "ksm-off": stable, for programs */
	char of[160];	/* the VM, host or process that it is about; "": the machine, the server */
	char text[512]; /* what is wrong, and why it matters */
	struct {
		char what[128], value[256]; /* a file, a counter; what it holds */
	} seen[MB_SEEN_MAX];
	unsigned int n_seen;
	bool has_lost;	     /* what it costs can be told: */
	bool at_most;	     /* no more than ... */
	uint64_t lost_pages; /* pages of 4096 bytes that could be saved and are not */
	char fix[512];	     /* a command, or what to do; "": nothing */
};

struct mb_findings {
	struct mb_finding *list; /* [0, n); owned */
	size_t n, cap;
	bool failed; /* out of memory: something is missing. Ask mb_findings_check() */
};

void mb_findings_deinit(struct mb_findings *f);
/*
 * A new one at the end, for the functions below; valid until the next. Never NULL: what there is no
 * memory for is lost, and `failed` says so.
 */
struct mb_finding *mb_findings_add(struct mb_findings *f, enum mb_severity severity, const char *id,
				   const char *of);
/* All texts: what does not fit is cut, what is not printable ASCII becomes '?'. */
void mb_finding_say(struct mb_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void mb_finding_fix(struct mb_finding *f, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* One more; beyond MB_SEEN_MAX it is dropped. */
void mb_finding_saw(struct mb_finding *f, const char *what, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void mb_finding_cost(struct mb_finding *f, uint64_t lost_pages, bool at_most);

int mb_findings_check(const struct mb_findings *f, struct mb_err *err);
/* Problems first, then notes, then what is well; of each the most pages first, else as added. */
void mb_findings_sort(struct mb_findings *f);
size_t mb_findings_count(const struct mb_findings *f, enum mb_severity severity);

/* "findings", an array in this order; a new reference. NULL: out of memory. */
json_t *mb_findings_to_json(const struct mb_findings *f);
/*
 * The other way round, added to what `f` has; for answers and files of others. -EBADMSG names the
 * element; keys that are missing are as if empty.
 */
int mb_findings_from_json(const json_t *array, struct mb_findings *f, struct mb_err *err);
/* In this order, and last a line that counts them. */
void mb_findings_print(const struct mb_findings *f, FILE *to);
/* MB_EXIT_FAILED (1) if there is a problem, else MB_EXIT_OK. */
int mb_findings_exit_code(const struct mb_findings *f);

#endif
