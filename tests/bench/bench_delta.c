// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What fingerprints and deltas cost, per distinct digest of the result, next to copying its list.
 * usage: [MB_TRACES=FOLDER] bench_delta [--json]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/delta.h"
#include "proto/frame.h"
#include "tests/bench/util_bench.h"
#include "tests/bench/util_pairs.h"

struct work {
	const struct bench_pair *pair;
	uint64_t *copy, *unsorted, *tmp;
	struct mb_delta delta;
	struct mb_delta_fields fields;
	struct mb_buf buf, frame, raw;
};

static struct mb_err err;

static void copy_list(void *ctx)
{
	struct work *w = ctx;

	memcpy(w->copy, w->pair->to.digests, w->pair->to.n_distinct * sizeof(*w->copy));
}

static void sort(void *ctx)
{
	struct work *w = ctx;

	memcpy(w->copy, w->unsorted, w->pair->to.n_distinct * sizeof(*w->copy));
	mb_sort_u64(w->copy, w->tmp, w->pair->to.n_distinct);
}

static void make(void *ctx)
{
	struct work *w = ctx;

	mb_delta_deinit(&w->delta);
	bench_must(mb_delta_make(&w->pair->from, &w->pair->to, &w->delta, &err), &err);
}

static void apply(void *ctx)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	struct work *w = ctx;

	bench_must(mb_delta_apply(&w->pair->from, &w->delta, &fp, &err), &err);
}

static void encode(void *ctx)
{
	struct work *w = ctx;

	bench_must(mb_delta_encode(&w->delta, 64, &w->buf, &w->fields, &err), &err);
}

static void decode(void *ctx)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	struct work *w = ctx;

	bench_must(mb_delta_decode(&w->fields, 64, &d, &err), &err);
}

static void compress(void *ctx)
{
	struct work *w = ctx;

	mb_buf_clear(&w->frame);
	bench_must(mb_frame_encode(mb_buf_slice(&w->buf), &w->frame, &err), &err);
}

static void decompress(void *ctx)
{
	struct work *w = ctx;
	struct mb_slice in = mb_buf_slice(&w->frame);

	bench_must(mb_frame_take(&in, MB_FRAME_RAW_MAX, &w->raw, &err), &err);
}

/* Per digest of the result, then per entry of the delta: added, removed, recounted. */
static void measure(const struct bench_options *o, const struct bench_pair *pair)
{
	struct work w = { .pair = pair };
	uint32_t n = pair->to.n_distinct;
	struct bench_case whole[] = {
		{ "copying the list of digests", copy_list, &w, n, 0 },
		{ "sorting it, from order of pages", sort, &w, n, 0 },
		{ "making the delta", make, &w, n, 0 },
		{ "applying it, with proof of the result", apply, &w, n, 0 },
	};
	struct bench_case part[] = {
		{ "encoding", encode, &w, 0, 0 },
		{ "decoding", decode, &w, 0, 0 },
		{ "zstd, packing", compress, &w, 0, 0 },
		{ "zstd, unpacking", decompress, &w, 0, 0 },
	};
	struct bench_report report;
	uint32_t entries;

	w.copy = bench_alloc(n * sizeof(*w.copy));
	w.tmp = bench_alloc(n * sizeof(*w.tmp));
	w.unsorted = bench_alloc(n * sizeof(*w.unsorted));
	for (uint32_t i = 0; i < n; i++)
		w.unsorted[i] = pair->to.digests[(i * (uint64_t)2654435761u) % n];
	bench_run(whole, MB_ARRAY_LEN(whole), o->rounds, CLOCK_PROCESS_CPUTIME_ID);
	encode(&w);
	entries = w.delta.n_added + w.delta.n_removed + w.delta.n_changed;
	for (size_t i = 0; i < MB_ARRAY_LEN(part); i++)
		part[i].units = entries;
	bench_begin(&report, o, "delta", pair->name, whole[0].what);
	compress(&w);
	bench_run(part, MB_ARRAY_LEN(part), o->rounds, CLOCK_PROCESS_CPUTIME_ID);
	bench_rows(&report, whole, MB_ARRAY_LEN(whole), "ns a digest");
	for (size_t i = 0; i < MB_ARRAY_LEN(part); i++)
		bench_row(&report, part[i].what, part[i].ns, "ns an entry of it");
	mb_delta_deinit(&w.delta);
	mb_buf_deinit(&w.buf);
	mb_buf_deinit(&w.frame);
	mb_buf_deinit(&w.raw);
	free(w.copy);
	free(w.tmp);
	free(w.unsorted);
}

int main(int argc, char **argv)
{
	struct bench_options o = { .rounds = 15 };
	struct bench_pair pairs[BENCH_PAIRS_MAX];
	size_t n;

	argp_parse(&bench_argp, argc, argv, 0, NULL, &o);
	n = bench_pairs(pairs, 64);
	for (size_t i = 0; i < n; i++)
		measure(&o, &pairs[i]);
	bench_pairs_free(pairs, n);
	return 0;
}
