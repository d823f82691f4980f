// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/pass.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	mb_rehash_init(&p->rehash, tracker->ops->follows, 1);
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
	mb_auditor_deinit(&p->auditor);
	free(p->want.words);
	free(p->want.known);
	free(p->meanwhile.words);
}

int mb_pass_rekey(struct mb_pass *p, const uint8_t *key, struct mb_err *err)
{
	const struct mb_identity *id = &p->digester.identity;
	struct mb_digester d = { 0 };
	int r = !p->blind || !id->keyed ?
			mb_fail(err, EXDEV, "digests cannot be given another key here") :
			mb_digester_init(&d, id->algorithm, id->page_bytes, id->bits, id->domain,
					 key, err);

	if (r == 0) {
		p->digester = d;
		/* What is remembered has the old key. */
		mb_page_table_clear(&p->table);
		mb_fingerprint_deinit(&p->last);
		p->lost = true;
	}
	explicit_bzero(&d, sizeof(d));
	return r;
}

/* The epoch under way, beside the one before it. */
struct walk {
	struct mb_pass *pass;
	const struct mb_frame_set *only; /* NULL: a full walk */
	struct mb_auditor *auditor;	 /* or NULL */
	struct mb_page_cursor old;
	uint64_t read, changed;
	bool unarmed; /* the tracker failed: of what is written from now on it may not hear */
};

/* Old frames below `end`: those that were not to be read are as they were, the others are gone. */
static int carry_over(struct walk *w, uint64_t end, struct mb_err *err)
{
	struct mb_table_page old;

	while (mb_page_cursor_get(&w->old, &old) && old.frame < end) {
		int r = 0;

		if (mb_frame_set_has(w->only, old.frame))
			w->changed++;
		else
			r = mb_page_table_append(&w->pass->next, &old, err);
		if (r < 0)
			return r;
		mb_page_cursor_step(&w->old);
	}
	return 0;
}

static int take_page(struct walk *w, const struct mb_page *page, struct mb_err *err)
{
	struct mb_pass *p = w->pass;
	struct mb_table_page old, now = { page->frame, page->digest, 0 };
	bool had, same;
	int r = carry_over(w, page->frame, err);

	if (r < 0)
		return r;
	had = mb_page_cursor_get(&w->old, &old) && old.frame == page->frame;
	same = had && !page->gone && old.digest == page->digest;
	w->changed += !same; /* what is gone was there */
	if (had)
		mb_page_cursor_step(&w->old);
	if (page->gone)
		return 0;
	w->read++;
	if (w->auditor) {
		r = mb_auditor_page(w->auditor, had ? &old : NULL, page, err);
		if (r < 0)
			return r;
	}
	if (p->tap) {
		r = p->tap(p->ctx, page, err);
		if (r < 0)
			return r;
	}
	same = same && mb_rehash_class(old.state) == page->cls;
	now.state = mb_rehash_state(page, same ? old.state : 0);
	return mb_page_table_append(&p->next, &now, err);
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
			if (p->blind && !pages[i].gone)
				mb_blind(&p->digester, &pages[i].digest, 1);
			r = take_page(w, &pages[i], err);
			if (r < 0)
				return r;
		}
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

	mb_fingerprint_pair_sharing(&p->last, now, &s);
	*ret_changed = s.gained;
	mb_fingerprint_deinit(&p->last);
	return mb_fingerprint_copy(now, &p->last, err);
}

/* --- what to read ----------------------------------------------------------------------------- */

static int resize(struct mb_frame_set *s, const struct mb_frame_set *like, bool known,
		  struct mb_err *err)
{
	free(s->words);
	free(s->known);
	*s = (struct mb_frame_set){ .first = like->first, .n = like->n };
	s->words = calloc(like->n / 64 + 1, sizeof(*s->words));
	s->known = known ? malloc(like->n + 1) : NULL;
	if (s->words && (s->known || !known))
		return 0;
	s->n = 0;
	return mb_fail_mem(err, "a set of frames");
}

static bool is_alike(const struct mb_frame_set *a, const struct mb_frame_set *b)
{
	return a->first == b->first && a->n == b->n;
}

/* What is flagged, or was while the last audit was under way, and what rules 2 and 3 add. */
static int make_want(struct mb_pass *p, const struct mb_frame_set *dirty, struct mb_err *err)
{
	struct mb_frame_set *want = &p->want;
	struct mb_page_cursor c = { .table = &p->table };
	struct mb_table_page page;

	if (!want->words || !is_alike(want, dirty)) {
		int r = resize(want, dirty, !(p->rehash.broken & MB_BREAK_RULE_2), err);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < (dirty->n + 63) / 64; i++)
		want->words[i] = dirty->words[i] | (p->has_meanwhile ? p->meanwhile.words[i] : 0);
	if (want->known)
		memset(want->known, 0, want->n);
	for (; mb_page_cursor_get(&c, &page); mb_page_cursor_step(&c)) {
		if (page.frame - want->first >= want->n)
			continue;
		if (want->known)
			want->known[page.frame - want->first] = mb_rehash_class(page.state);
		if (mb_rehash_is_due(&p->rehash, page.frame, page.state, p->epochs))
			mb_frame_set_add(want, page.frame);
	}
	return 0;
}

/* --- audit ------------------------------------------------------------------------------------ */

static int keep_meanwhile(struct mb_pass *p, const struct mb_frame_set *dirty, struct mb_err *err)
{
	if (!p->meanwhile.words || !is_alike(&p->meanwhile, dirty)) {
		int r = resize(&p->meanwhile, dirty, false, err);

		if (r < 0)
			return r;
	}
	memcpy(p->meanwhile.words, dirty->words, (dirty->n + 63) / 64 * sizeof(*dirty->words));
	p->has_meanwhile = true;
	return 0;
}

/* One that fails knows nothing, and says why. False: it failed. */
static bool ask_tracker(struct mb_pass *p, const struct mb_frame_set **ret_dirty,
			const char **ret_doubt)
{
	struct mb_err err = { 0 };
	const char *doubt;
	bool armed = p->tracker->ops->epoch(p->tracker, ret_dirty, &doubt, &err) == 0;

	if (!armed) {
		*ret_dirty = NULL;
		doubt = err.text;
	}
	p->tracker->ops->who(p->tracker, &p->who);
	*ret_doubt = NULL;
	if (!doubt)
		return armed;
	/* Its words are gone when it is asked again. */
	snprintf(p->doubt, sizeof(p->doubt), "%.*s", (int)sizeof(p->doubt) - 1, doubt);
	*ret_doubt = p->doubt;
	return armed;
}

static int end_audit(struct mb_pass *p, struct mb_audit *ret, const char **ret_doubt,
		     struct mb_err *err)
{
	const struct mb_frame_set *dirty;
	const char *doubt;
	int r = 0;

	ask_tracker(p, &dirty, &doubt);
	if (dirty)
		r = keep_meanwhile(p, dirty, err);
	if (r < 0)
		return r;
	mb_auditor_end(&p->auditor, dirty);
	if (doubt) {
		/* What was written meanwhile is not known: the next pass reads all. */
		p->lost = true;
		p->auditor.audit.doubted = 1;
		*ret_doubt = doubt;
	}
	*ret = p->auditor.audit;
	/* One with doubts says nothing of the passes that are relied on. */
	if (!ret->doubted) {
		mb_rehash_judge(&p->rehash, ret, p->auditor.pages);
		p->unaudited = 0;
	}
	return 0;
}

/* --- the pass --------------------------------------------------------------------------------- */

/* Asks the tracker, and decides what is to be read and whether that is held against the flags. */
static int plan(struct walk *w, const char **ret_doubt, struct mb_err *err)
{
	struct mb_pass *p = w->pass;
	const struct mb_frame_set *dirty;
	bool due;
	int r;

	w->unarmed = !ask_tracker(p, &dirty, ret_doubt);
	/* Frames that are not stable cannot be carried over. */
	if (!dirty || !p->epochs || !p->stable_frames || p->lost ||
	    (p->has_meanwhile && !is_alike(&p->meanwhile, dirty)))
		return 0;
	r = make_want(p, dirty, err);
	if (r < 0)
		return r;
	due = p->audit_every && p->unaudited + 1 >= p->audit_every;
	w->only = &p->want;
	if (due || *ret_doubt) {
		mb_auditor_begin(&p->auditor, dirty, &p->want, p->rehash.follows, *ret_doubt);
		w->auditor = &p->auditor;
	}
	return 0;
}

static int begin(struct walk *w, struct mb_err *err)
{
	const struct mb_source_ops *ops = w->pass->source->ops;
	int r = ops->begin(w->pass->source, w->only, err);

	if (r == -EAGAIN && w->only) {
		/* Other memory is there: what was said of the old is not to be judged by it. */
		w->only = NULL;
		w->auditor = NULL;
		return ops->begin(w->pass->source, NULL, err);
	}
	if (r < 0 || !w->auditor)
		return r;
	/* The frames are what they were: now all of them. */
	w->only = NULL;
	return ops->begin(w->pass->source, NULL, err);
}

int mb_pass_run(struct mb_pass *p, struct mb_epoch *ret, struct mb_err *err)
{
	uint64_t start_ns = mb_now_ns(), start_cpu_ns = mb_cpu_ns();
	struct walk w = { .pass = p, .old.table = &p->table };
	struct mb_page_table swap;
	const char *doubt = NULL;
	int r;

	*ret = (struct mb_epoch){ 0 };
	mb_page_table_clear(&p->next);
	r = plan(&w, &doubt, err);
	p->lost = true;
	p->has_meanwhile = false;
	if (r == 0)
		r = begin(&w, err);
	if (r < 0)
		return r;
	ret->info.taken_unix_ns = mb_unix_ns();
	r = walk(&w, err);
	if (r == 0)
		r = make_fingerprint(&p->next, &ret->fingerprint, err);
	if (r == 0 && !p->stable_frames)
		r = count_churn_by_content(p, &ret->fingerprint, &w.changed, err);
	p->lost = w.unarmed;
	if (r == 0 && w.auditor)
		r = end_audit(p, &ret->info.audit, &doubt, err);
	if (r < 0) {
		p->lost = true;
		mb_fingerprint_deinit(&ret->fingerprint);
		return r;
	}
	swap = p->table;
	p->table = p->next;
	p->next = swap;
	p->epochs++;
	p->unaudited += !ret->info.audit.audits || ret->info.audit.doubted;

	p->source->ops->unread(p->source, ret->unread);
	for (int i = 0; i < MB_UNREAD_REASONS; i++)
		ret->info.pages_unread += ret->unread[i];
	ret->info.pages_read = w.read;
	ret->info.pages_changed = w.changed;
	ret->info.full = !w.only;
	ret->info.tracker = p->tracker->ops->name;
	ret->info.epochs = 1;
	ret->doubt = doubt;
	ret->who = p->who;
	p->who = (struct mb_who){ 0 };
	ret->info.duration_ns = mb_now_ns() - start_ns;
	ret->info.cpu_ns = mb_cpu_ns() - start_cpu_ns;
	return 0;
}
