/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run's churn in few figures: means over its rows. "An epoch" is what lies between two rows, so
 * there is one less of them. NAN: not known, since nothing was there to judge by.
 */
#ifndef MB_CHURN_SUMMARY_H
#define MB_CHURN_SUMMARY_H

#include "proto/churn/churn.h"
#include "proto/churn/churn_survival.h"

struct mb_churn_kind_summary {
	double digests, pages; /* means over all rows */
	double kept; /* of what was sharable, share that still was an epoch later: 0 to 1 */
	struct mb_half_life half_life; /* of what was sharable in the first row */
	/* Over the rows that know the window: durable pages, and all sharable ones of the same. */
	double durable_pages[MB_CHURN_WINDOWS_MAX], of_pages[MB_CHURN_WINDOWS_MAX];
};

struct mb_churn_summary {
	uint32_t epochs;
	uint64_t duration_ns;
	double pages, distinct, zero; /* means over all rows */
	/* Pages an epoch; by class, too, where pages are a mean over all rows. */
	double dirtied, changed, came, went, gained, lost;
	struct {
		double pages, changed, came, went;
	} classes[MB_CLASS_END];
	double gained_digests, lost_digests; /* an epoch */
	double dirtied_per_s;
	struct mb_churn_kind_summary kinds[MB_CHURN_KINDS];
};

/* What has been added up so far. Starts as all zero. */
struct mb_churn_sums {
	uint64_t rows, duration_ns;
	uint64_t pages, distinct, zero;
	uint64_t gained, lost, gained_digests, lost_digests;
	struct mb_churn_class classes[MB_CLASS_END];
	struct {
		uint64_t digests, pages, before, kept;
		uint64_t durable[MB_CHURN_WINDOWS_MAX], of[MB_CHURN_WINDOWS_MAX];
		struct mb_survival survival;
	} kinds[MB_CHURN_KINDS];
	uint64_t windows[MB_CHURN_WINDOWS_MAX]; /* rows that know it */
};

void mb_churn_sums_add(struct mb_churn_sums *s, const struct mb_churn_row *row);
void mb_churn_summarize(const struct mb_churn_sums *s, struct mb_churn_summary *ret);

#endif
