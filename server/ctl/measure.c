// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/measure.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/cut.h"
#include "proto/frame.h"
#include "server/ctl/frame_bytes.h"

enum { BITS = 64, TIMED_NS = 20000000 };

enum kind { ALL, SAMPLE, CUT, BLOOM };

/* A way to make a fingerprint smaller. */
struct way {
	enum kind kind;
	uint32_t shift;	    /* SAMPLE */
	uint32_t cut_bits;  /* CUT; 0: as many as suit the largest */
	uint64_t bloom_kib; /* BLOOM */
	uint32_t k;
};

static const struct way ways[] = {
	{ .kind = ALL },
	{ .kind = SAMPLE, .shift = 2 },
	{ .kind = SAMPLE, .shift = 4 },
	{ .kind = SAMPLE, .shift = 6 },
	{ .kind = SAMPLE, .shift = 8 },
	{ .kind = CUT, .cut_bits = 22, .k = 1 },
	{ .kind = CUT, .cut_bits = 21, .k = 1 },
	{ .kind = CUT, .cut_bits = 20, .k = 1 },
	{ .kind = CUT, .cut_bits = 19, .k = 1 },
	{ .kind = CUT, .cut_bits = 18, .k = 1 },
	{ .kind = BLOOM, .bloom_kib = 368, .k = 4 },
	{ .kind = BLOOM, .bloom_kib = 124, .k = 4 },
	{ .kind = BLOOM, .bloom_kib = 92, .k = 4 },
	{ .kind = BLOOM, .bloom_kib = 92, .k = 1 },
	{ .kind = BLOOM, .bloom_kib = 46, .k = 1 },
	{ .kind = BLOOM, .bloom_kib = 23, .k = 1 },
};

/* One trace's, made smaller. */
struct small {
	struct mb_fingerprint fp;
	struct mb_sample_of of;
	struct mb_bloom bloom;
	struct mb_sample_size size;
	uint64_t distinct;
};

static void small_deinit(struct small *s)
{
	mb_fingerprint_deinit(&s->fp);
	mb_bloom_deinit(&s->bloom);
}

static int small_make(struct small *s, const struct way *w, const struct mb_fingerprint *whole,
		      struct mb_err *err)
{
	uint32_t light =
		mb_sample_light(whole->digests, whole->n_distinct, mb_sample_last(BITS, w->shift));
	int r = 0;

	*s = (struct small){ .size = { light, whole->n_distinct }, .distinct = whole->n_distinct };
	switch (w->kind) {
	case ALL:
	case SAMPLE:
		r = mb_sample_make(whole, BITS, w->shift, &s->fp, err);
		s->of = mb_sample_of(whole, 0, w->shift);
		break;
	case CUT:
		r = mb_cut_make(whole, BITS, w->cut_bits, &s->fp, err);
		break;
	case BLOOM:
		r = mb_bloom_init(&s->bloom, w->bloom_kib * 1024 * 8, w->k, err);
		if (r == 0)
			mb_bloom_add_all(&s->bloom, whole);
		break;
	}
	return r;
}

/* What both have, as far as `w` tells. */
static int compare(const struct way *w, const struct small *a, const struct small *b,
		   struct mb_estimate *ret, struct mb_err *err)
{
	struct mb_cut_side sa = { &a->fp, w->cut_bits, 0, a->distinct };
	struct mb_cut_side sb = { &b->fp, w->cut_bits, 0, b->distinct };
	struct mb_fingerprint la = a->fp, lb = b->fp;
	struct mb_pair_sharing both;

	switch (w->kind) {
	case CUT:
		return mb_cut_pair(&sa, &sb, w->cut_bits, ret, err);
	case BLOOM:
		return mb_bloom_shared(&a->bloom, &b->bloom, ret, err);
	case ALL:
	case SAMPLE:
		break;
	}
	/* The samples proper: what has many copies besides is not of the draw. */
	la.n_distinct = (uint32_t)a->size.light;
	lb.n_distinct = (uint32_t)b->size.light;
	mb_fingerprint_pair_sharing(&la, &lb, &both);
	*ret = mb_sample_pair(a->size, b->size, both.inter, w->shift);
	return 0;
}

/* --- on the wire ------------------------------------------------------------------------------ */

static int bloom_bytes(const struct small *from, const struct small *to, size_t *ret,
		       struct mb_err *err)
{
	size_t n = to->bloom.n_bits / 64;
	mb_autofree uint64_t *words = malloc(n * sizeof(*words));
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	int r;

	if (!words)
		return mb_fail_mem(err, "a Bloom filter");
	for (size_t i = 0; i < n; i++)
		words[i] = to->bloom.words[i] ^ (from ? from->bloom.words[i] : 0);
	r = mb_frame_encode((struct mb_slice){ (const uint8_t *)words, n * sizeof(*words) }, &frame,
			    err);
	*ret = frame.len;
	return r;
}

/* The frame from `from` to `to`; from NULL: a snapshot. */
static int wire_bytes(const struct way *w, const struct small *from, const struct small *to,
		      size_t *ret, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	const struct mb_fingerprint empty = { 0 };
	int r;

	if (w->kind == BLOOM)
		return bloom_bytes(from, to, ret, err);
	r = mb_delta_make(from ? &from->fp : &empty, &to->fp, &d, err);
	if (r < 0)
		return r;
	return mb_frame_bytes(&d, w->kind == CUT ? w->cut_bits : BITS, to->fp.n_pages, &to->of, ret,
			      err);
}

/* --- one way, all traces ---------------------------------------------------------------------- */

struct sums {
	double squares, worst, error, bytes, delta_bytes, compare_ns;
	unsigned int within, full, pairs, steps;
};

/* Long enough for the clock. */
static int time_compare(const struct way *w, const struct small *a, const struct small *b,
			double *ret_ns, struct mb_err *err)
{
	uint64_t start = mb_cpu_ns(), end = start;
	unsigned int n = 0;

	for (; end - start < TIMED_NS; end = mb_cpu_ns(), n++) {
		struct mb_estimate e;
		int r = compare(w, a, b, &e, err);

		if (r < 0)
			return r;
	}
	*ret_ns = (double)(end - start) / n;
	return 0;
}

static int add_pair(struct sums *s, const struct way *w, const struct small *a,
		    const struct small *b, uint64_t truth, struct mb_err *err)
{
	double list = ((double)a->distinct + (double)b->distinct) / 2, off;
	struct mb_estimate e;
	int r = compare(w, a, b, &e, err);

	if (r == -ERANGE) {
		s->full++;
		return 0;
	}
	if (r < 0)
		return r;
	off = fabs(e.pages - (double)truth);
	s->within += off <= e.error_pages;
	off = 100 * off / list;
	s->squares += off * off;
	s->worst = MB_MAX(s->worst, off);
	s->error += 100 * e.error_pages / list;
	s->pairs++;
	return 0;
}

static int sum_up(struct sums *s, const struct way *w, const struct small *small,
		  const struct mb_fingerprint *whole, size_t n, struct mb_err *err)
{
	size_t bytes = 0;
	int r = 0;

	for (size_t i = 0; i < n && r == 0; i++) {
		r = wire_bytes(w, NULL, &small[i], &bytes, err);
		s->bytes += (double)bytes / (double)n;
		if (i && r == 0) {
			r = wire_bytes(w, &small[i - 1], &small[i], &bytes, err);
			s->delta_bytes += (double)bytes / (double)(n - 1);
		}
		for (size_t j = 0; j < i && r == 0; j++) {
			struct mb_pair_sharing truth;

			mb_fingerprint_pair_sharing(&whole[j], &whole[i], &truth);
			r = add_pair(s, w, &small[j], &small[i], truth.inter, err);
		}
	}
	if (r == 0 && s->pairs)
		r = time_compare(w, &small[0], &small[1], &s->compare_ns, err);
	return r;
}

static json_t *name_way(const struct way *w)
{
	switch (w->kind) {
	case SAMPLE:
		return json_pack("{s:s, s:i}", "how", "sample", "sample", 1 << w->shift);
	case CUT:
		return json_pack("{s:s, s:i, s:I, s:i}", "how", "cut", "cut_bits", (int)w->cut_bits,
				 "filter_bytes", (json_int_t)1 << (w->cut_bits - 3), "hashes", 1);
	case BLOOM:
		return json_pack("{s:s, s:I, s:i}", "how", "bloom", "filter_bytes",
				 (json_int_t)w->bloom_kib * 1024, "hashes", (int)w->k);
	case ALL:
		break;
	}
	return json_pack("{s:s}", "how", "all");
}

static int add_way(json_t *rows, const struct way *w, const struct mb_fingerprint *whole, size_t n,
		   double *all_ns, struct mb_err *err)
{
	struct small *small = calloc(n, sizeof(*small));
	struct sums s = { 0 };
	json_t *row;
	int r = small ? 0 : mb_fail_mem(err, "smaller fingerprints");

	for (size_t i = 0; i < n && r == 0; i++)
		r = small_make(&small[i], w, &whole[i], err);
	if (r == 0)
		r = sum_up(&s, w, small, whole, n, err);
	for (size_t i = 0; small && i < n; i++)
		small_deinit(&small[i]);
	free(small);
	if (r < 0)
		return r;
	if (w->kind == ALL)
		*all_ns = s.compare_ns;
	row = name_way(w);
	json_object_set_new(row, "snapshot_bytes", json_real(s.bytes));
	json_object_set_new(row, "delta_bytes", json_real(s.delta_bytes));
	json_object_set_new(row, "full_pairs", json_integer(s.full));
	if (s.pairs) {
		json_object_set_new(row, "rmse_percent", json_real(sqrt(s.squares / s.pairs)));
		json_object_set_new(row, "worst_percent", json_real(s.worst));
		json_object_set_new(row, "error_percent", json_real(s.error / s.pairs));
		json_object_set_new(row, "within_percent", json_real(100.0 * s.within / s.pairs));
		json_object_set_new(row, "compare_ratio", json_real(s.compare_ns / *all_ns));
	}
	return json_array_append_new(rows, row) < 0 ? mb_fail_mem(err, "an answer") : 0;
}

/* --- all -------------------------------------------------------------------------------------- */

/* As agents would send them: all of one identity then. */
static int load_whole(const struct mb_loads *loads, struct mb_fingerprint *whole,
		      struct mb_err *err)
{
	for (size_t i = 0; i < loads->n; i++) {
		const struct mb_loaded *l = &loads->items[i];
		uint32_t bits;
		int r = mb_identity_compare(&l->identity, &loads->items[0].identity, err);

		if (r == 0)
			r = mb_load_as_sent(l, BITS, &whole[i], &bits, err);
		if (r == 0 && bits != BITS)
			r = mb_fail(err, EINVAL, "digests of %u bits", bits);
		if (r < 0)
			return mb_fail_in(err, r, "%s", l->label);
	}
	return 0;
}

static int measure(const struct mb_loads *loads, struct mb_fingerprint *whole, json_t *root,
		   struct mb_err *err)
{
	json_t *traces = json_array(), *rows = json_array();
	struct mb_progress bar;
	double all_ns = 0;
	int r = load_whole(loads, whole, err);

	json_object_set_new(root, "traces", traces);
	json_object_set_new(root, "rows", rows);
	for (size_t i = 0; i < loads->n && r == 0; i++)
		if (json_array_append_new(
			    traces, json_pack("{s:s, s:I, s:I}", "file", loads->items[i].label,
					      "pages", (json_int_t)whole[i].n_pages, "distinct",
					      (json_int_t)whole[i].n_distinct)) < 0)
			r = mb_fail_mem(err, "an answer");
	mb_progress_begin(&bar, "comparing");
	for (size_t i = 0; i < MB_ARRAY_LEN(ways) && r == 0; i++) {
		mb_progress_update(&bar, (double)i / MB_ARRAY_LEN(ways));
		r = add_way(rows, &ways[i], whole, loads->n, &all_ns, err);
	}
	mb_progress_end(&bar);
	return r;
}

int mb_succinct_measure(const struct mb_loads *loads, json_t **ret, struct mb_err *err)
{
	struct mb_fingerprint *whole = calloc(loads->n + 1, sizeof(*whole));
	json_t *root = json_object();
	int r = 0;

	if (!whole || !root)
		r = mb_fail_mem(err, "fingerprints");
	else if (loads->n < 2)
		r = mb_fail(err, EINVAL, "%zu trace: two at least can be compared", loads->n);
	if (r == 0)
		r = measure(loads, whole, root, err);
	for (size_t i = 0; whole && i < loads->n; i++)
		mb_fingerprint_deinit(&whole[i]);
	free(whole);
	if (r < 0)
		json_decref(root);
	else
		*ret = root;
	return r;
}
