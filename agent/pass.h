/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pass: one epoch, from what source and tracker say to a fingerprint.
 *
 *	tracker: which frames?  ->  source: their pages  ->  key  ->  page table  ->  fingerprint
 *
 * It knows sources and trackers by their contracts only. What makes an incremental pass as good as
 * a full walk:
 *
 * Rule 1: the tracker takes its flags, then protects, and only then pages are read.
 * Rules 2 and 3: other pages that must be read, too (rehash.h).
 * Rule 4 is the tracker's: flags are set after the write, and taken by a swap that loses none.
 * Rule 5: when the tracker doubts that it has seen all, or fails, everything is read.
 *
 * And what shows whether it is: an audit (auditor.h) with every such full walk, and every so many
 * epochs.
 */
#ifndef MB_PASS_H
#define MB_PASS_H

#include "agent/auditor.h"
#include "agent/page_table.h"
#include "agent/rehash.h"
#include "agent/source.h"
#include "agent/track.h"
#include "proto/digest.h"
#include "proto/fingerprint.h"
#include "proto/msg.h"
#include "proto/who.h"

struct mb_pass {
	struct mb_source *source;   /* borrowed */
	struct mb_tracker *tracker; /* borrowed */
	struct mb_digester digester;
	bool blind; /* the source's digests are raw: key them */
	bool stable_frames;
	struct mb_page_table table, next; /* of the last epoch, and of the one under way */
	struct mb_fingerprint last;	  /* for churn where frames are not stable */
	struct mb_rehash rehash;
	struct mb_auditor auditor;
	struct mb_frame_set want; /* owned */
	/* What the tracker flagged while an audit was under way: the next epoch's. */
	struct mb_frame_set meanwhile; /* owned */
	bool has_meanwhile;
	uint64_t epochs;
	uint64_t audit_every; /* epochs; 0: only when the tracker has doubts */
	uint64_t unaudited;   /* epochs since */
	struct mb_who who;    /* that has not gone out with an epoch yet */
	bool lost; /* the last pass failed: what the tracker flagged for it is not read yet */
	char doubt[160];
	/* Called with every page that is read, in frame order: all, with no tracker. May be NULL.
	 */
	int (*tap)(void *ctx, const struct mb_page *page, struct mb_err *err);
	/* Called now and then with the share done; may be NULL. An error ends the pass. */
	int (*progress)(void *ctx, double done, struct mb_err *err);
	void *ctx;
};

struct mb_epoch {
	struct mb_fingerprint fingerprint;
	struct mb_pass_info info; /* tracker: a constant string */
	uint64_t unread[MB_UNREAD_REASONS];
	struct mb_who who; /* who dirtied frames up to now, if the tracker says so */
	/* What the tracker doubts, in words that live until the next pass; or NULL. */
	const char *doubt;
};

/*
 * `key` NULL sends raw digests. -EXDEV: a source whose digests are already keyed, with another key
 * or domain than asked for. `bits` and `domain` as in mb_digester_init().
 */
int mb_pass_init(struct mb_pass *p, struct mb_source *source, struct mb_tracker *tracker,
		 uint32_t bits, const char *domain, const uint8_t *key, struct mb_err *err);
void mb_pass_deinit(struct mb_pass *p);
/*
 * Another key: the next epoch is as the first one, everything is read. -EXDEV: there was none, or
 * the source's digests are keyed already.
 */
int mb_pass_rekey(struct mb_pass *p, const uint8_t *key, struct mb_err *err);
/* -ENODATA: the source has no further epoch. The fingerprint is the caller's. */
int mb_pass_run(struct mb_pass *p, struct mb_epoch *ret, struct mb_err *err);

#endif
