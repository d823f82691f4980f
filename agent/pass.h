/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pass: one epoch, from what source and tracker say to a fingerprint.
 *
 *	tracker: which frames?  ->  source: their pages  ->  key  ->  page table  ->  fingerprint
 *
 * It knows sources and trackers by their contracts only.
 */
#ifndef MB_PASS_H
#define MB_PASS_H

#include "agent/page_table.h"
#include "agent/source.h"
#include "agent/track.h"
#include "proto/digest.h"
#include "proto/fingerprint.h"
#include "proto/msg.h"

struct mb_pass {
	struct mb_source *source;   /* borrowed */
	struct mb_tracker *tracker; /* borrowed */
	struct mb_digester digester;
	bool blind; /* the source's digests are raw: key them */
	bool stable_frames;
	struct mb_page_table table, next; /* of the last epoch, and of the one under way */
	struct mb_fingerprint last;	  /* for churn where frames are not stable */
	uint64_t epochs;
	bool lost; /* the last pass failed: what the tracker flagged for it is not read yet */
	/* Called with every page as it goes into the fingerprint, in frame order; may be NULL. */
	int (*tap)(void *ctx, const struct mb_page *page, struct mb_err *err);
	/* Called now and then with the share done; may be NULL. An error ends the pass. */
	int (*progress)(void *ctx, double done, struct mb_err *err);
	void *ctx;
};

struct mb_epoch {
	struct mb_fingerprint fingerprint;
	struct mb_pass_info info; /* tracker: a constant string */
	uint64_t unread[MB_UNREAD_REASONS];
};

/*
 * `key` NULL sends raw digests. -EXDEV: a source whose digests are already keyed, with another key
 * or domain than asked for. `bits` and `domain` as in mb_digester_init().
 */
int mb_pass_init(struct mb_pass *p, struct mb_source *source, struct mb_tracker *tracker,
		 uint32_t bits, const char *domain, const uint8_t *key, struct mb_err *err);
void mb_pass_deinit(struct mb_pass *p);
/* -ENODATA: the source has no further epoch. The fingerprint is the caller's. */
int mb_pass_run(struct mb_pass *p, struct mb_epoch *ret, struct mb_err *err);

#endif
