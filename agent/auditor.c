// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/auditor.h"

#include <stdlib.h>

#include "agent/rehash.h"

void mb_auditor_begin(struct mb_auditor *a, const struct mb_frame_set *flagged,
		      const struct mb_frame_set *wanted, uint32_t follows, bool doubted)
{
	struct mb_suspect *suspects = a->suspects;
	size_t cap = a->cap;

	*a = (struct mb_auditor){ .flagged = flagged,
				  .wanted = wanted,
				  .audit = { .audits = 1, .doubted = doubted, .follows = follows },
				  .suspects = suspects,
				  .cap = cap };
}

static int suspect(struct mb_auditor *a, const struct mb_page *page, struct mb_err *err)
{
	if (a->n_suspects == a->cap) {
		size_t cap = a->cap ? 2 * a->cap : 256;
		struct mb_suspect *p = reallocarray(a->suspects, cap, sizeof(*p));

		if (!p)
			return mb_fail_mem(err, "an audit");
		a->suspects = p;
		a->cap = cap;
	}
	a->suspects[a->n_suspects++] = (struct mb_suspect){ page->frame, page->cls };
	return 0;
}

int mb_auditor_page(struct mb_auditor *a, const struct mb_table_page *old,
		    const struct mb_page *page, struct mb_err *err)
{
	uint8_t cls = page->cls < MB_CLASS_END ? page->cls : MB_CLASS_UNKNOWN;
	bool same_use = old && mb_rehash_class(old->state) == page->cls;
	bool changed = !old || old->digest != page->digest;

	a->pages[cls]++;
	if (a->audit.follows >> cls & 1 && mb_frame_set_marks(a->flagged, page->frame)) {
		a->audit.flagged++;
		a->audit.flagged_changed += changed || !same_use;
	}
	if (!same_use || !changed)
		return 0;
	a->audit.changed[cls]++;
	if (mb_frame_set_has(a->wanted, page->frame) || page->flags & MB_PAGE_PINNED)
		return 0;
	return suspect(a, page, err);
}

void mb_auditor_end(struct mb_auditor *a, const struct mb_frame_set *meanwhile)
{
	for (size_t i = 0; i < a->n_suspects; i++) {
		const struct mb_suspect *s = &a->suspects[i];

		if (!meanwhile || !mb_frame_set_has(meanwhile, s->frame))
			a->audit.stale[s->cls < MB_CLASS_END ? s->cls : MB_CLASS_UNKNOWN]++;
	}
	a->n_suspects = 0;
}

void mb_auditor_deinit(struct mb_auditor *a)
{
	free(a->suspects);
	*a = (struct mb_auditor){ 0 };
}
