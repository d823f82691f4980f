/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * When to try again: exponential back-off with full jitter. Each wait is anything up to a limit that
 * doubles with each failure, so that a fleet which lost its server at once comes back spread over
 * all of that time, and the more thinly the longer the server cannot serve it.
 *
 * Pure: it is given its chance, 64 random bits.
 */
#ifndef MB_BASE_BACKOFF_H
#define MB_BASE_BACKOFF_H

#include <stdint.h>

/*
 * Of agents and their server. To knock in vain costs little, and a server that can be reached says
 * itself when it wants to be left alone for longer: what a longer limit would save nobody lacks,
 * but a VM whose agent met each of several short lives of a server at the wrong time would wait.
 */
#define MB_RETRY_MIN_NS ((uint64_t)500000000)
#define MB_RETRY_MAX_NS ((uint64_t)15000000000)

struct mb_backoff {
	uint64_t min_ns, max_ns; /* the limit at first, and at most; min_ns > 0 */
	uint64_t limit_ns;	 /* now */
};

static inline void mb_backoff_reset(struct mb_backoff *b)
{
	b->limit_ns = b->min_ns;
}

/*
 * How long to wait after one more failure, never 0. `at_least_ns`: the other side asked for that
 * much; it is kept, and what is random comes on top.
 */
uint64_t mb_backoff_next(struct mb_backoff *b, uint64_t at_least_ns, uint64_t chance);

#endif
