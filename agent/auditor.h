/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The audit of a tracker: a full walk is held against what an incremental pass would have read.
 *
 *	tracker: flags  ->  full walk  ->  tracker: flags of meanwhile  ->  verdict
 *
 * A page that changed and was not to be read is stale, unless it was written after the flags were
 * taken and before it was read: then it is flagged meanwhile.
 */
#ifndef MB_AUDITOR_H
#define MB_AUDITOR_H

#include "agent/frame_set.h"
#include "agent/page_table.h"
#include "proto/audit.h"
#include "proto/base/err.h"

struct mb_suspect {
	uint64_t frame;
	uint8_t cls;
};

struct mb_auditor {
	const struct mb_frame_set *flagged, *wanted; /* by the tracker; by the rules, too */
	struct mb_audit audit;
	uint64_t pages[MB_CLASS_END]; /* that there are */
	struct mb_suspect *suspects;  /* owned */
	size_t n_suspects, cap;
};

/* Both sets are borrowed. Keeps the memory of the last one. */
void mb_auditor_begin(struct mb_auditor *a, const struct mb_frame_set *flagged,
		      const struct mb_frame_set *wanted, uint32_t follows, bool doubted);
/* `old` NULL: it was not there. */
int mb_auditor_page(struct mb_auditor *a, const struct mb_table_page *old,
		    const struct mb_page *page, struct mb_err *err);
/* The verdict is in a->audit. */
void mb_auditor_end(struct mb_auditor *a, const struct mb_frame_set *meanwhile);
void mb_auditor_deinit(struct mb_auditor *a);

#endif
