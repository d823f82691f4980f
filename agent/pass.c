// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pass.h"

#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"

enum { BATCH_PAGES = 4096 };

/* The bits that go out: what was asked for, but raw SuperFastHash has just its 32. */
static uint32_t bits_of(const struct mb_identity *given, uint32_t bits, const uint8_t *key)
{
	return given->algorithm == MB_SUPERFASTHASH32 && !key ? 32 : bits;
}

int mb_pass_init(struct mb_pass *p, struct mb_source *source, struct mb_tracker *tracker,
		 uint32_t bits, const char *domain, const uint8_t *key, struct mb_err *err)
{
	struct mb_source_info info;
	int r;

	*p = (struct mb_pass){ .source = source, .tracker = tracker };
	source->ops->describe(source, &info);
	p->stable_frames = info.stable_frames;
	p->blind = !info.identity.keyed;
	if (info.identity.keyed && !key) {
		/* Recorded with a key that we need not know to pass the digests on. */
		p->digester.identity = info.identity;
		return 0;
	}
	r = mb_digester_init(&p->digester, info.identity.algorithm, info.identity.page_bytes,
			     bits_of(&info.identity, bits, key), domain, key, err);
	if (r == 0 && info.identity.keyed) {
		r = mb_identity_compare(&info.identity, &p->digester.identity, err);
		if (r < 0)
			mb_fail_in(err, r, "the source's digests are keyed already");
	}
	/* Raw digests that were cut when recorded cannot be made whole again. */
	if (r == 0 && p->blind && info.identity.bits < 64 &&
	    info.identity.algorithm != MB_SUPERFASTHASH32)
		r = mb_fail(err, EXDEV, "the source's digests were cut to %u bits before keying",
			    info.identity.bits);
	return r;
}

void mb_pass_deinit(struct mb_pass *p)
{
	mb_page_table_deinit(&p->table);
	mb_page_table_deinit(&p->next);
	mb_fingerprint_deinit(&p->last);
}

/* The epoch under way, beside the one before it. */
struct walk {
	struct mb_pass *pass;
	const struct mb_frame_set *dirty;
	struct mb_page_cursor old;
	uint64_t read, changed;
};

/* Old frames below `end`: those that nobody flagged are still there, the others are gone. */
static int carry_over(struct walk *w, uint64_t end, struct mb_err *err)
{
	uint64_t frame, digest;

	while (mb_page_cursor_get(&w->old, &frame, &digest) && frame < end) {
		int r = 0;

		if (mb_frame_set_has(w->dirty, frame))
			w->changed++;
		else
			r = mb_page_table_append(&w->pass->next, frame, digest, err);
		if (r < 0)
			return r;
		mb_page_cursor_step(&w->old);
	}
	return 0;
}

static int take_page(struct walk *w, struct mb_page *page, struct mb_err *err)
{
	struct mb_pass *p = w->pass;
	uint64_t frame, digest;
	int r;

	r = carry_over(w, page->frame, err);
	if (r < 0)
		return r;
	if (mb_page_cursor_get(&w->old, &frame, &digest) && frame == page->frame) {
		w->changed += digest != page->digest;
		mb_page_cursor_step(&w->old);
	} else {
		w->changed++;
	}
	if (p->tap) {
		r = p->tap(p->ctx, page, err);
		if (r < 0)
			return r;
	}
	return mb_page_table_append(&p->next, page->frame, page->digest, err);
}

static int walk(struct walk *w, struct mb_err *err)
{
	struct mb_pass *p = w->pass;
	struct mb_page pages[BATCH_PAGES];
	size_t n;
	int r;

	for (;;) {
		r = p->source->ops->read(p->source, pages, BATCH_PAGES, &n, err);
		if (r < 0)
			return r;
		if (!n)
			return carry_over(w, UINT64_MAX, err);
		for (size_t i = 0; i < n; i++) {
			if (p->blind)
				mb_blind(&p->digester, &pages[i].digest, 1);
			r = take_page(w, &pages[i], err);
			if (r < 0)
				return r;
		}
		w->read += n;
		if (p->progress) {
			r = p->progress(p->ctx, p->source->ops->progress(p->source), err);
			if (r < 0)
				return r;
		}
	}
}

static int make_fingerprint(const struct mb_page_table *t, struct mb_fingerprint *ret,
			    struct mb_err *err)
{
	mb_autofree uint64_t *digests = malloc((t->n_pages + 1) * sizeof(*digests));

	if (!digests)
		return mb_fail_mem(err, "a fingerprint");
	if (t->n_pages)
		memcpy(digests, t->digests, t->n_pages * sizeof(*digests));
	return mb_fingerprint_from_digests(ret, digests, t->n_pages, err);
}

/* Without stable frames only the contents tell: pages that the last epoch does not account for. */
static int count_churn_by_content(struct mb_pass *p, const struct mb_fingerprint *now,
				  uint64_t *ret_changed, struct mb_err *err)
{
	struct mb_pair_sharing s;
	int r;

	mb_fingerprint_pair_sharing(&p->last, now, &s);
	*ret_changed = s.gained;
	mb_fingerprint_deinit(&p->last);
	r = mb_fingerprint_init(&p->last, now->n_distinct, now->n_multi, err);
	for (uint32_t rank = 0, at = 0; r == 0 && rank < now->n_distinct; rank++)
		mb_fingerprint_push(&p->last, now->digests[rank],
				    mb_fingerprint_copies(now, &at, rank));
	return r;
}

int mb_pass_run(struct mb_pass *p, struct mb_epoch *ret, struct mb_err *err)
{
	const struct mb_source_ops *ops = p->source->ops;
	uint64_t start_ns = mb_now_ns(), start_cpu_ns = mb_cpu_ns();
	struct walk w = { .pass = p, .old.table = &p->table };
	/* Frames that are not stable cannot be carried over. */
	bool all = !p->epochs || !p->stable_frames || p->lost;
	struct mb_page_table swap;
	int r;

	*ret = (struct mb_epoch){ 0 };
	mb_page_table_clear(&p->next);
	p->lost = true;
	r = p->tracker->ops->epoch(p->tracker, &w.dirty, err);
	if (r < 0)
		return mb_fail_in(err, r, "tracker %s", p->tracker->ops->name);
	if (all)
		w.dirty = NULL;
	r = ops->begin(p->source, w.dirty, err);
	if (r == -EAGAIN && w.dirty) {
		w.dirty = NULL;
		r = ops->begin(p->source, NULL, err);
	}
	if (r < 0)
		return r;
	ret->info.taken_unix_ns = mb_unix_ns();
	r = walk(&w, err);
	if (r == 0)
		r = make_fingerprint(&p->next, &ret->fingerprint, err);
	if (r == 0 && !p->stable_frames)
		r = count_churn_by_content(p, &ret->fingerprint, &w.changed, err);
	if (r < 0) {
		mb_fingerprint_deinit(&ret->fingerprint);
		return r;
	}
	swap = p->table;
	p->table = p->next;
	p->next = swap;
	p->epochs++;
	p->lost = false;

	ops->unread(p->source, ret->unread);
	for (int i = 0; i < MB_UNREAD_REASONS; i++)
		ret->info.pages_unread += ret->unread[i];
	ret->info.pages_read = w.read;
	ret->info.pages_changed = w.changed;
	ret->info.full = !w.dirty;
	ret->info.tracker = p->tracker->ops->name;
	ret->info.epochs = 1;
	ret->info.duration_ns = mb_now_ns() - start_ns;
	ret->info.cpu_ns = mb_cpu_ns() - start_cpu_ns;
	return 0;
}
