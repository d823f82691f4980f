// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/churn/churn.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"

/* A page that is followed. By frame: key is the frame; by content: the digest, copy its number. */
struct page {
	uint64_t key, digest;
	uint32_t copy;
	uint32_t since : 24; /* epoch from which on it is as it is */
	uint32_t cls : 8;
};

_Static_assert(MB_CHURN_EPOCHS_MAX == 1 << 24, "since has 24 bits");
_Static_assert(sizeof(struct page) == 24, "as the header says");

struct pages {
	struct page *pages;
	size_t n, cap;
};

/* Ascending digests. */
struct set {
	uint64_t *digests;
	size_t n;
};

struct mb_churn {
	struct mb_churn_config config;
	uint32_t n_epochs;
	uint64_t start_ns;
	uint64_t *at_ns; /* [0, n_epochs), since the start */
	size_t cap_at;
	struct mb_fingerprint last;
	struct pages now, next;
	struct set sharable[MB_CHURN_KINDS], survivors[MB_CHURN_KINDS];
	uint64_t *scratch; /* as many digests as there are pages */
	size_t cap_scratch;
};

int mb_churn_create(const struct mb_churn_config *config, struct mb_churn **ret, struct mb_err *err)
{
	struct mb_churn *c = calloc(1, sizeof(*c));

	if (!c)
		return mb_fail_mem(err, "churn");
	c->config = *config;
	*ret = c;
	return 0;
}

void mb_churn_destroy(struct mb_churn *c)
{
	if (!c)
		return;
	for (int k = 0; k < MB_CHURN_KINDS; k++) {
		free(c->sharable[k].digests);
		free(c->survivors[k].digests);
	}
	mb_fingerprint_deinit(&c->last);
	free(c->now.pages);
	free(c->next.pages);
	free(c->at_ns);
	free(c->scratch);
	free(c);
}

/* --- rows in numbers -------------------------------------------------------------------------- */

uint64_t mb_churn_changed(const struct mb_churn_row *row)
{
	uint64_t sum = 0;

	for (int i = 0; i < MB_CLASS_END; i++)
		sum += row->classes[i].changed;
	return sum;
}

uint64_t mb_churn_came(const struct mb_churn_row *row)
{
	uint64_t sum = 0;

	for (int i = 0; i < MB_CLASS_END; i++)
		sum += row->classes[i].came;
	return sum;
}

uint64_t mb_churn_went(const struct mb_churn_row *row)
{
	uint64_t sum = 0;

	for (int i = 0; i < MB_CLASS_END; i++)
		sum += row->classes[i].went;
	return sum;
}

uint64_t mb_churn_dirtied(const struct mb_churn_row *row)
{
	return mb_churn_changed(row) + mb_churn_came(row);
}

/* --- following pages -------------------------------------------------------------------------- */

/* The next epoch's pages, one by one, in the order of (key, copy). */
struct feed {
	const struct mb_frame_stream *frames; /* NULL: by content */
	const struct mb_fingerprint *fp;
	uint32_t rank, cursor, copy, copies;
};

static bool feed_next(struct feed *f, struct page *ret)
{
	struct mb_frame_page p;

	*ret = (struct page){ 0 };
	if (f->frames) {
		if (!f->frames->next(f->frames->ctx, &p))
			return false;
		ret->key = p.frame;
		ret->digest = p.digest;
		ret->cls = p.cls < MB_CLASS_END ? p.cls : MB_CLASS_UNKNOWN;
		return true;
	}
	if (f->copy == f->copies) {
		if (f->rank == f->fp->n_distinct)
			return false;
		f->copies = mb_fingerprint_copies(f->fp, &f->cursor, f->rank++);
		f->copy = 0;
	}
	ret->key = ret->digest = f->fp->digests[f->rank - 1];
	ret->copy = f->copy++;
	return true;
}

static bool is_before(const struct page *a, const struct page *b)
{
	return a->key != b->key ? a->key < b->key : a->copy < b->copy;
}

static int push(struct pages *to, const struct page *p, struct mb_err *err)
{
	if (to->n == to->cap) {
		size_t cap = to->cap ? to->cap + to->cap / 2 : 1024;
		void *pages = realloc(to->pages, cap * sizeof(*to->pages));

		if (!pages)
			return mb_fail_mem(err, "pages that are followed");
		to->pages = pages;
		to->cap = cap;
	}
	to->pages[to->n++] = *p;
	return 0;
}

/* Of epoch 0 all pages are new, and nothing has changed. */
static int follow(struct mb_churn *c, struct feed *f, struct mb_churn_row *row, struct mb_err *err)
{
	const struct pages *old = &c->now;
	struct pages swap;
	struct page p, last = { 0 };
	size_t i = 0;

	c->next.n = 0;
	while (feed_next(f, &p)) {
		struct mb_churn_class *cls = &row->classes[p.cls];
		int r;

		if (c->next.n && !is_before(&last, &p))
			return mb_fail(err, EBADMSG, "pages that do not ascend, at frame %llu",
				       (unsigned long long)p.key);
		last = p;
		for (; i < old->n && is_before(&old->pages[i], &p); i++)
			row->classes[old->pages[i].cls].went++;
		p.since = c->n_epochs;
		cls->pages++;
		if (i < old->n && !is_before(&p, &old->pages[i])) {
			if (old->pages[i].digest == p.digest)
				p.since = old->pages[i].since;
			else
				cls->changed++;
			i++;
		} else if (c->n_epochs) {
			cls->came++;
		}
		r = push(&c->next, &p, err);
		if (r < 0)
			return r;
	}
	for (; i < old->n; i++)
		row->classes[old->pages[i].cls].went++;
	swap = c->now;
	c->now = c->next;
	c->next = swap;
	return 0;
}

/* --- sharable --------------------------------------------------------------------------------- */

static size_t intersect(const uint64_t *a, size_t n_a, const uint64_t *b, size_t n_b, uint64_t *to)
{
	size_t i = 0, j = 0, n = 0;

	while (i < n_a && j < n_b) {
		if (a[i] < b[j]) {
			i++;
		} else if (a[i] > b[j]) {
			j++;
		} else {
			/* `to` may be `a`: what is written there was read. */
			to[n++] = a[i++];
			j++;
		}
	}
	return n;
}

/* Into `to`, which has room for all digests of fp; *ret_pages as the header has it. */
static size_t sharable_of(const struct mb_churn *c, const struct mb_fingerprint *fp,
			  enum mb_churn_kind kind, uint64_t *to, uint64_t *ret_pages)
{
	const struct mb_fingerprint *ref = c->config.reference;
	size_t n = 0, kept = 0;

	*ret_pages = 0;
	if (kind == MB_CHURN_SELF) {
		for (uint32_t i = 0; i < fp->n_multi; i++) {
			uint64_t digest = fp->digests[fp->multi[i].rank];

			if (digest == c->config.zero_digest)
				continue;
			*ret_pages += fp->multi[i].copies - 1;
			to[n++] = digest;
		}
		return n;
	}
	if (!ref)
		return 0;
	n = intersect(fp->digests, fp->n_distinct, ref->digests, ref->n_distinct, to);
	for (size_t i = 0; i < n; i++)
		if (to[i] != c->config.zero_digest)
			to[kept++] = to[i];
	*ret_pages = kept;
	return kept;
}

static int take_sharable(struct mb_churn *c, const struct mb_fingerprint *fp,
			 enum mb_churn_kind kind, struct mb_churn_sharable *ret, struct mb_err *err)
{
	struct set *before = &c->sharable[kind], *survivors = &c->survivors[kind];
	struct set now;

	now.digests = malloc(((size_t)fp->n_distinct + 1) * sizeof(*now.digests));
	if (!now.digests)
		return mb_fail_mem(err, "digests that are sharable");
	now.n = sharable_of(c, fp, kind, now.digests, &ret->pages);
	ret->digests = now.n;
	ret->before = before->n;
	/* The old set is not needed any more, nor is what is not kept of it. */
	ret->kept = intersect(before->digests, before->n, now.digests, now.n, before->digests);
	if (c->n_epochs) {
		survivors->n = intersect(survivors->digests, survivors->n, now.digests, now.n,
					 survivors->digests);
	} else {
		survivors->digests = malloc((now.n + 1) * sizeof(*now.digests));
		if (!survivors->digests) {
			free(now.digests);
			return mb_fail_mem(err, "digests that are sharable");
		}
		memcpy(survivors->digests, now.digests, now.n * sizeof(*now.digests));
		survivors->n = now.n;
	}
	ret->survivors = survivors->n;
	free(before->digests);
	*before = now;
	return 0;
}

/* --- what lasts ------------------------------------------------------------------------------- */

/* The last epoch that is at least so old, or -1. */
static int64_t epoch_before(const struct mb_churn *c, uint64_t age_ns)
{
	uint64_t now = c->at_ns[c->n_epochs - 1];
	int64_t e = (int64_t)c->n_epochs - 1;

	if (now < age_ns)
		return -1;
	while (e >= 0 && c->at_ns[e] > now - age_ns)
		e--;
	return e;
}

static int take_durable(struct mb_churn *c, uint32_t window, struct mb_churn_row *row,
			struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	mb_autofree uint64_t *shared = NULL;
	int64_t since = epoch_before(c, c->config.windows_ns[window]);
	uint64_t *digests = c->scratch;
	size_t n = 0;
	int r;

	if (since < 0)
		return 0;
	for (size_t i = 0; i < c->now.n; i++)
		if (c->now.pages[i].since <= (uint64_t)since)
			digests[n++] = c->now.pages[i].digest;
	r = mb_fingerprint_from_digests(&fp, digests, n, err);
	if (r < 0)
		return r;
	shared = malloc(((size_t)fp.n_distinct + 1) * sizeof(*shared));
	if (!shared)
		return mb_fail_mem(err, "digests that last");
	for (int k = 0; k < MB_CHURN_KINDS; k++)
		sharable_of(c, &fp, (enum mb_churn_kind)k, shared,
			    &row->sharable[k].durable_pages[window]);
	/* Windows ascend: those that are known are the first ones. */
	row->windows_known = window + 1;
	return 0;
}

static int all_durable(struct mb_churn *c, struct mb_churn_row *row, struct mb_err *err)
{
	int r = 0;

	if (c->cap_scratch <= c->now.n) {
		free(c->scratch);
		c->cap_scratch = c->now.n + c->now.n / 2 + 1;
		c->scratch = malloc(c->cap_scratch * sizeof(*c->scratch));
		if (!c->scratch) {
			c->cap_scratch = 0;
			return mb_fail_mem(err, "digests that last");
		}
	}
	for (uint32_t w = 0; r == 0 && w < c->config.n_windows; w++)
		r = take_durable(c, w, row, err);
	return r;
}

/* --- an epoch --------------------------------------------------------------------------------- */

static int take_time(struct mb_churn *c, uint64_t at_ns, struct mb_err *err)
{
	uint64_t since, last = c->n_epochs ? c->at_ns[c->n_epochs - 1] : 0;

	if (c->n_epochs == MB_CHURN_EPOCHS_MAX)
		return mb_fail(err, EOVERFLOW, "more than %d epochs", MB_CHURN_EPOCHS_MAX);
	if (c->n_epochs == c->cap_at) {
		size_t cap = c->cap_at ? 2 * c->cap_at : 64;
		void *at = realloc(c->at_ns, cap * sizeof(*c->at_ns));

		if (!at)
			return mb_fail_mem(err, "epochs");
		c->at_ns = at;
		c->cap_at = cap;
	}
	if (!c->n_epochs)
		c->start_ns = at_ns;
	since = at_ns > c->start_ns ? at_ns - c->start_ns : 0;
	c->at_ns[c->n_epochs] = MB_MAX(since, last);
	return 0;
}

static void count(const struct mb_churn *c, const struct mb_fingerprint *fp,
		  struct mb_churn_row *row)
{
	struct mb_self_sharing s;
	struct mb_pair_sharing p;

	row->epoch = c->n_epochs;
	row->at_ns = c->at_ns[c->n_epochs];
	mb_fingerprint_self_sharing(fp, c->config.zero_digest, &s);
	row->pages = s.pages;
	row->distinct = s.distinct;
	row->zero = s.zero;
	if (!c->n_epochs)
		return;
	mb_fingerprint_pair_sharing(&c->last, fp, &p);
	row->gained_pages = p.gained;
	row->lost_pages = p.lost;
	row->gained_digests = fp->n_distinct - p.inter;
	row->lost_digests = c->last.n_distinct - p.inter;
}

static int take(struct mb_churn *c, uint64_t at_ns, struct mb_fingerprint *fp,
		const struct mb_frame_stream *pages, struct mb_churn_row *ret, struct mb_err *err)
{
	struct feed f = { .frames = pages, .fp = fp };
	int r;

	*ret = (struct mb_churn_row){ 0 };
	if (c->config.by_frame != (pages != NULL))
		return mb_fail(err, EINVAL, "pages are followed by %s",
			       c->config.by_frame ? "frame" : "content");
	r = take_time(c, at_ns, err);
	if (r < 0)
		return r;
	count(c, fp, ret);
	if ((r = follow(c, &f, ret, err)) < 0)
		return r;
	if (c->now.n != fp->n_pages)
		return mb_fail(err, EBADMSG, "%zu pages, but their fingerprint has %llu", c->now.n,
			       (unsigned long long)fp->n_pages);
	for (int k = 0; r == 0 && k < MB_CHURN_KINDS; k++)
		r = take_sharable(c, fp, (enum mb_churn_kind)k, &ret->sharable[k], err);
	if (r < 0)
		return r;
	c->n_epochs++;
	return all_durable(c, ret, err);
}

int mb_churn_feed(struct mb_churn *c, uint64_t at_ns, struct mb_fingerprint *fp,
		  const struct mb_frame_stream *pages, struct mb_churn_row *ret, struct mb_err *err)
{
	int r = take(c, at_ns, fp, pages, ret, err);

	mb_fingerprint_deinit(&c->last);
	c->last = *fp;
	*fp = (struct mb_fingerprint){ 0 };
	return r;
}
