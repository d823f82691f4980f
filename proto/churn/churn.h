/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Churn: what changes from epoch to epoch of one VM, and what of its sharing lasts.
 *
 *	epoch 0, 1, 2 ...  ->  a row each  ->  a summary (churn_summary.h)
 *
 * Pure: it is told the time. Epoch 0 is what all is compared with; its row has no changes.
 *
 * Pages are followed in one of two ways, for all epochs the same:
 *	by frame	frame numbers are stable: a page is a frame, and changes when its digest
 *does by content	only fingerprints are known: a page is "the k-th copy of digest d". Contents
 *			that move to another frame do not count as changed.
 *
 * Sharable is what could be merged, the zero page left out (it is counted apart):
 *	self		digests of two or more copies; its pages are the copies beyond the first
 *	reference	digests that the reference has, too; its pages are these digests, once each
 */
#ifndef MB_CHURN_H
#define MB_CHURN_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/churn/churn_frames.h"
#include "proto/fingerprint.h"
#include "proto/page.h"

enum mb_churn_kind { MB_CHURN_SELF, MB_CHURN_REFERENCE, MB_CHURN_KINDS };

enum {
	MB_CHURN_WINDOWS_MAX = 8,
	MB_CHURN_EPOCHS_MAX = 1 << 24, /* above: -EOVERFLOW */
};

struct mb_churn_config {
	uint64_t zero_digest;
	const struct mb_fingerprint *reference; /* borrowed; NULL: there is none */
	bool by_frame;
	uint64_t windows_ns[MB_CHURN_WINDOWS_MAX]; /* ascending */
	uint32_t n_windows;
};

struct mb_churn_sharable {
	uint64_t digests, pages; /* as above */
	uint64_t before;	 /* digests that were sharable at the epoch before ... */
	uint64_t kept;		 /* ... and of these, those that still are */
	/* Of epoch 0's digests, those that have been sharable at every epoch since. */
	uint64_t survivors;
	/*
	 * `pages` of those pages alone that have not changed for a window's time. A scanner that
	 * needs so long to come round can have merged these, and no others. Known once the epochs
	 * reach back that far (windows_known).
	 */
	uint64_t durable_pages[MB_CHURN_WINDOWS_MAX];
};

/* Pages of each class. By content, and where the source cannot tell, all are MB_CLASS_UNKNOWN. */
struct mb_churn_class {
	uint64_t pages;	  /* that there are */
	uint64_t changed; /* the same frame, another digest; 0 by content */
	uint64_t came;	  /* no such page before; by content: copies gained */
	uint64_t went;	  /* by the class that they had */
};

struct mb_churn_row {
	uint32_t epoch; /* from 0 */
	uint64_t at_ns; /* since epoch 0 */
	uint64_t pages, distinct;
	uint64_t zero; /* copies of the zero page */
	struct mb_churn_class classes[MB_CLASS_END];
	/* Against the epoch before; pages count copies. */
	uint64_t gained_pages, lost_pages;     /* sums of max(0, +-difference of copies) */
	uint64_t gained_digests, lost_digests; /* that were not there; that are not any more */
	struct mb_churn_sharable sharable[MB_CHURN_KINDS];
	uint32_t windows_known;
};

/* Pages that were written to as far as contents show: changed and came, of all classes. */
uint64_t mb_churn_dirtied(const struct mb_churn_row *row);
uint64_t mb_churn_changed(const struct mb_churn_row *row);
uint64_t mb_churn_came(const struct mb_churn_row *row);
uint64_t mb_churn_went(const struct mb_churn_row *row);

struct mb_churn;
int mb_churn_create(const struct mb_churn_config *config, struct mb_churn **ret,
		    struct mb_err *err);
void mb_churn_destroy(struct mb_churn *c); /* NULL is fine */

/*
 * The next epoch, taken at `at_ns` on any clock; one that goes back stands still. The fingerprint
 * is taken over, also on error. `pages`: the same pages by ascending frame; NULL by content. Holds
 * 24 bytes a page until the next one, besides the fingerprint.
 */
int mb_churn_feed(struct mb_churn *c, uint64_t at_ns, struct mb_fingerprint *fp,
		  const struct mb_frame_stream *pages, struct mb_churn_row *ret,
		  struct mb_err *err);

#endif
