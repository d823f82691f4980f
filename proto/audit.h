/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What full walks have found of what the tracker said before them: how far its word can be taken.
 *
 * Counted are the pages that were there before and after, in the same frame and with the same
 * class. What came, went or changed its use is always read, so nothing can be missed there.
 *
 *	recall    = 1 - stale / changed		of all classes, or of those that the tracker follows
 *	precision = flagged_changed / flagged
 */
#ifndef MB_AUDIT_H
#define MB_AUDIT_H

#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/page.h"

struct mb_audit {
	uint32_t audits;  /* that these are the sums of; 0: there was none */
	uint32_t doubted; /* of these, after which the tracker said itself that it may have missed
			   * some: what is stale there was never relied on */
	uint32_t follows; /* bits 1 << enum mb_page_class: that the tracker follows */
	uint64_t changed[MB_CLASS_END];
	/* Changed, and an incremental pass would not have read it: the fingerprint was wrong. */
	uint64_t stale[MB_CLASS_END];
	/* Pages of the classes that it follows that the tracker flagged; new ones are changed. */
	uint64_t flagged, flagged_changed;
};

/* A varint of ten bytes at most per class. */
enum { MB_AUDIT_BYTES_MAX = MB_CLASS_END * 10 };
/* One figure per class, from 0 on, up to the last that is not 0; returns how many bytes. */
size_t mb_audit_put_classes(uint8_t to[MB_AUDIT_BYTES_MAX], const uint64_t from[MB_CLASS_END]);
/*
 * Adds them to `to`. A newer writer's class is unknown to us, as in a trace. -EBADMSG: they are not
 * that, or their sum is 2^63 or more; `what` names the field.
 */
int mb_audit_get_classes(struct mb_slice from, const char *what, uint64_t to[MB_CLASS_END],
			 struct mb_err *err);

static inline uint64_t mb_audit_sum(const uint64_t of[MB_CLASS_END], uint32_t classes)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MB_CLASS_END; i++)
		sum += classes >> i & 1 ? of[i] : 0;
	return sum;
}

/* The last one says what is followed. */
static inline void mb_audit_add(struct mb_audit *to, const struct mb_audit *from)
{
	if (!from->audits)
		return;
	to->audits += from->audits;
	to->doubted += from->doubted;
	to->follows = from->follows;
	for (unsigned int i = 0; i < MB_CLASS_END; i++) {
		to->changed[i] += from->changed[i];
		to->stale[i] += from->stale[i];
	}
	to->flagged += from->flagged;
	to->flagged_changed += from->flagged_changed;
}

/* 1 where nothing changed. */
static inline double mb_audit_recall(const struct mb_audit *a, uint32_t classes)
{
	uint64_t changed = mb_audit_sum(a->changed, classes);

	return changed ? 1 - (double)mb_audit_sum(a->stale, classes) / (double)changed : 1;
}

static inline double mb_audit_precision(const struct mb_audit *a)
{
	return a->flagged ? (double)a->flagged_changed / (double)a->flagged : 1;
}

#endif
