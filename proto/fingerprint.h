/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fingerprint: the multiset {digest -> copies} of one VM at one epoch.
 *
 *	rank      0     1     2     3   ...  n_distinct - 1
 *	digests   d0  < d1  < d2  < d3  ...                    8 bytes each
 *	copies    1     1     5     1                          only those above 1 are kept:
 *	multi     { rank 2, copies 5 } ...                     8 bytes each, by rank
 *
 * Most pages are alone, so a fingerprint takes little more than 8 bytes per distinct page. It is
 * built in one go and then only read.
 */
#ifndef MB_FINGERPRINT_H
#define MB_FINGERPRINT_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/multiset_hash.h"

/* Ranks and copies are 32 bits: 16 TiB of 4 KiB pages per VM. */
#define MB_FINGERPRINT_PAGES_MAX UINT32_MAX

struct mb_copies {
	uint32_t rank;
	uint32_t copies;
};

struct mb_fingerprint {
	uint64_t *digests;	 /* [0, n_distinct), strictly ascending; owned */
	struct mb_copies *multi; /* [0, n_multi), rank ascending, copies >= 2; owned */
	uint32_t n_distinct;
	uint32_t n_multi;
	uint64_t n_pages; /* copies included */
	struct mb_multiset_hash hash;
};

void mb_fingerprint_deinit(struct mb_fingerprint *fp);
/* Sorts `digests` (the array is clobbered) and counts. `fp` is given storage, not an old one. */
int mb_fingerprint_from_digests(struct mb_fingerprint *fp, uint64_t *digests, size_t n,
				struct mb_err *err);

/* Building by hand: room for so many, then digests in ascending order, copies >= 1. */
int mb_fingerprint_init(struct mb_fingerprint *fp, size_t n_distinct, size_t n_multi,
			struct mb_err *err);
void mb_fingerprint_push(struct mb_fingerprint *fp, uint64_t digest, uint32_t copies);
/* Or faster: digests, multi and their numbers put there by hand, then pages and hash by this. */
void mb_fingerprint_seal(struct mb_fingerprint *fp);
/* Gives back the room that was not used. */
void mb_fingerprint_trim(struct mb_fingerprint *fp);
int mb_fingerprint_copy(const struct mb_fingerprint *fp, struct mb_fingerprint *ret,
			struct mb_err *err);

/* Copies of one digest, 0 if it has none. O(log n). */
uint32_t mb_fingerprint_find(const struct mb_fingerprint *fp, uint64_t digest);

/* Reading copies in rank order: start with cursor 0, ask with ascending ranks. */
static inline uint32_t mb_fingerprint_copies(const struct mb_fingerprint *fp, uint32_t *cursor,
					     uint32_t rank)
{
	while (*cursor < fp->n_multi && fp->multi[*cursor].rank < rank)
		(*cursor)++;
	if (*cursor < fp->n_multi && fp->multi[*cursor].rank == rank)
		return fp->multi[*cursor].copies;
	return 1;
}

/* Memory held, in bytes. */
size_t mb_fingerprint_bytes(const struct mb_fingerprint *fp);

/* What one VM shares with itself; all in pages. design.md 1 has the words. */
struct mb_self_sharing {
	uint64_t pages, distinct;
	uint64_t zero;	       /* copies of the zero page */
	uint64_t self;	       /* pages - distinct */
	uint64_t self_nonzero; /* the same without the zero page's copies */
};
void mb_fingerprint_self_sharing(const struct mb_fingerprint *fp, uint64_t zero_digest,
				 struct mb_self_sharing *ret);

/* What two VMs share, in pages. */
struct mb_pair_sharing {
	uint64_t inter;	  /* |A n B| of distinct digests: the saving that placement decides */
	uint64_t overlap; /* sum of min(copies): the seed's "sharing predicted" */
	uint64_t distinct_union; /* |A u B| of distinct digests */
	uint64_t saving;	 /* pages of both - distinct_union: KSM's pages_sharing */
	uint64_t gained;	 /* sum of max(0, copies in B - copies in A) */
	uint64_t lost;		 /* the same, A and B swapped */
};
void mb_fingerprint_pair_sharing(const struct mb_fingerprint *a, const struct mb_fingerprint *b,
				 struct mb_pair_sharing *ret);

/* Ascending sort of 64-bit keys, least significant byte first; `tmp` has room for n. */
void mb_sort_u64(uint64_t *keys, uint64_t *tmp, size_t n);

#endif
