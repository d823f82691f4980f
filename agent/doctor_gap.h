/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What of the sharing that is there KSM has merged, and what keeps it from the rest, page by page:
 *
 *	predicted = pages - distinct contents
 *	          = by_ksm + otherwise + the sum of lost[]
 *
 * Of the frames that hold one content, the best one would stay; each other one is lost, for what is
 * in its own way.
 */
#ifndef MB_DOCTOR_GAP_H
#define MB_DOCTOR_GAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

/* What a page is to KSM; the first are those that would stay. */
enum mb_gap_state {
	MB_GAP_ZERO_PAGE, /* the kernel's own page of zeros: costs nothing */
	MB_GAP_MERGED,	  /* by KSM; lost: several times, into several frames */
	MB_GAP_WAITING,	  /* KSM may merge it, and has not */
	MB_GAP_HUGE,	  /* the same, but part of a huge page */
	MB_GAP_UNMARKED,  /* nobody said that KSM may (MADV_MERGEABLE) */
	MB_GAP_SHARED,	  /* memory that processes share: never merged */
	MB_GAP_HUGETLB,	  /* of hugetlbfs: never merged */
	MB_GAP_STATES
};

struct mb_gap_page {
	uint64_t digest;  /* raw */
	uint64_t frame;	  /* where it is in memory; 0: not known, taken as a frame of its own */
	uint32_t process; /* index */
	uint32_t state;	  /* enum mb_gap_state */
};

/* 64 Mi pages: 256 GiB of memory, in 1.5 GiB. */
#define MB_GAP_PAGES_MAX ((size_t)1 << 26)

struct mb_gap_pages {
	struct mb_gap_page *list; /* owned */
	size_t n, cap;
};

void mb_gap_pages_deinit(struct mb_gap_pages *p);
/* -EFBIG: more than MB_GAP_PAGES_MAX. */
int mb_gap_pages_add(struct mb_gap_pages *p, const struct mb_gap_page *page, struct mb_err *err);

struct mb_gap {
	uint64_t pages, distinct, zero; /* zero: copies of the zero page */
	uint64_t predicted;
	uint64_t by_ksm;    /* saved by KSM */
	uint64_t otherwise; /* saved without it: the kernel's zero page, fork */
	uint64_t lost[MB_GAP_STATES];
	uint64_t lost_zero[MB_GAP_STATES]; /* those of lost[] that are zero pages */
};

/*
 * Sorts `p`. `zero_digest`: of the zero page. `by_process`: n_processes rows, the lost pages of
 * each process; added to; may be NULL.
 */
void mb_gap_count(struct mb_gap_pages *p, uint64_t zero_digest,
		  uint64_t (*by_process)[MB_GAP_STATES], struct mb_gap *ret);

/* "waiting" */
const char *mb_gap_state_name(unsigned int state);

#endif
