// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a delta takes on the wire, all of its frame, per digest added, next to the least that the
 * added digests alone must take: n of 2^bits, in no order, are log2(2^bits choose n) bits.
 * usage: [MB_TRACES=FOLDER] bench_wire [--json]
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/cleanup.h"
#include "proto/msg.h"
#include "tests/bench/util_bench.h"
#include "tests/bench/util_pairs.h"

static struct mb_err err;

/* log2(2^bits choose n), n far below 2^bits. */
static double least_bytes(double n, double bits)
{
	return n > 0 ? (n * bits - lgamma(n + 1) / log(2)) / 8 : 0;
}

static size_t frame_bytes(const struct mb_fingerprint *from, const struct mb_fingerprint *to,
			  uint32_t bits, uint32_t *ret_added)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta delta = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf buf = { 0 }, frame = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA };

	msg.delta.base_epoch = from->n_pages ? 1 : 0;
	msg.delta.epoch = 2;
	msg.delta.pass.tracker = "none";
	bench_must(mb_delta_make(from, to, &delta, &err), &err);
	bench_must(mb_delta_encode(&delta, bits, &buf, &msg.delta.fields, &err), &err);
	bench_must(mb_msg_to_frame(&msg, &frame, &err), &err);
	*ret_added = delta.n_added;
	return frame.len;
}

static void measure(const struct bench_options *o, const struct bench_pair *pair, uint32_t bits)
{
	const struct mb_fingerprint empty = { 0 };
	struct mb_pair_sharing change;
	struct bench_report report;
	uint32_t added, distinct;
	size_t delta = frame_bytes(&pair->from, &pair->to, bits, &added);
	size_t snapshot = frame_bytes(&empty, &pair->to, bits, &distinct);
	char note[2048];

	snprintf(note, sizeof(note), "%s, digests of %u bits: %u added of %u", pair->name, bits,
		 added, distinct);
	bench_begin(&report, o, "wire", note, "the least that its added digests take");
	mb_fingerprint_pair_sharing(&pair->from, &pair->to, &change);
	report.base_value = least_bytes(added, bits) / added;
	bench_row(&report, report.base, report.base_value, "bytes an added digest");
	bench_row(&report, "the delta, removals and copies included", (double)delta / added,
		  "bytes an added digest");
	report.base_value = 0;
	bench_row(&report, "the same by pages gained, copies counted",
		  (double)delta / (double)change.gained, "bytes a page");
	bench_row(&report, "the delta", (double)delta / 1000, "kB");
	bench_row(&report, "a snapshot instead", (double)snapshot / 1000, "kB");
	bench_row(&report, "its least, without copies", least_bytes(distinct, bits) / 1000, "kB");
	if (pair->seed_text_bytes)
		bench_row(&report, "the seed project's text", (double)pair->seed_text_bytes / 1000,
			  "kB");
}

int main(int argc, char **argv)
{
	static const uint32_t bits[] = { 64, 48 };
	struct bench_options o = { 0 };

	argp_parse(&bench_argp, argc, argv, 0, NULL, &o);
	for (size_t b = 0; b < MB_ARRAY_LEN(bits); b++) {
		struct bench_pair pairs[BENCH_PAIRS_MAX];
		size_t n = bench_pairs(pairs, bits[b]);

		for (size_t i = 0; i < n; i++)
			measure(&o, &pairs[i], bits[b]);
		bench_pairs_free(pairs, n);
	}
	return 0;
}
