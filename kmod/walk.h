/* SPDX-License-Identifier: GPL-2.0 */
/* From frames to records, a chunk at a time, in kernel memory only. */
#ifndef MBWALK_WALK_H
#define MBWALK_WALK_H

#include <linux/types.h>

#include "mbwalk.h"

struct mbwalk_ram;

struct mbwalk_chunk {
	/* in */
	u64 first;
	unsigned int n;	      /* frames, at most MBWALK_CHUNK_FRAMES, all of them RAM */
	u32 algorithm, flags; /* as in struct mbwalk_scan */
	u64 dirty[MBWALK_CHUNK_FRAMES / 64]; /* bit i: hash frame first + i */
	bool has_known;
	u8 known[MBWALK_CHUNK_FRAMES]; /* the same, as in struct mbwalk_scan */
	unsigned int parts;	       /* digests per page, 1: in the record */
	void *bounce;		       /* a page; owned by the caller */
	u64 zero_digest;	       /* of `algorithm`, and a part's size */

	/* out */
	struct mbwalk_record records[MBWALK_CHUNK_FRAMES];
	unsigned int n_records;
	u64 *digests; /* [MBWALK_CHUNK_FRAMES * parts], beside the records; NULL with 1 part */
	u64 *counts;  /* [MBWALK_COUNTS], added to; the caller's, as digests are */
};

/* `bytes`: of a page or a part of one. */
u64 mbwalk_hash(u32 algorithm, const void *data, size_t bytes);
/* With the map of RAM locked (ram.h). Does not sleep. */
void mbwalk_chunk(struct mbwalk_chunk *c);
/* Counts [first, end), where no RAM is; more than one call may be needed: gives the new first. */
u64 mbwalk_count_no_ram(u64 first, u64 end, u64 *counts);

#endif
