/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options that say how pages are tracked from epoch to epoch, and what it may cost. */
#ifndef MB_TRACKING_H
#define MB_TRACKING_H

#include <argp.h>
#include <stdbool.h>
#include <stdint.h>

struct mb_tracking {
	const char *tracker;   /* as struct mb_tracker_wish has it */
	uint64_t audit_every;  /* epochs; 0: only when the tracker has doubts */
	uint32_t rehash_every; /* epochs: rehash.h's period */
	double budget;	       /* share of a core; 0: none. Ask mb_tracking_budget() */
	bool budget_given;
	uint32_t who;	 /* rows that go out of who dirtied frames; 0: not counted */
	const char *btf; /* as struct mb_tracker_options has it */
};

extern const struct mb_tracking mb_tracking_default;

/* A child parser for argp; its input is a struct mb_tracking. */
extern const struct argp mb_tracking_argp;

/*
 * What holds: the default only for a live source (mb_source_info) that is read at intervals. To
 * replay a trace slowly spares nobody.
 */
double mb_tracking_budget(const struct mb_tracking *t, bool live, uint64_t interval_ns);

#endif
