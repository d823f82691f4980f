// SPDX-License-Identifier: GPL-2.0-or-later
/* A trace file, compact or the seed's text: what is read is written and read again. */
#include <inttypes.h>
#include <stdio.h>

#include "proto/base/cleanup.h"
#include "proto/trace.h"
#include "tests/fuzz/util_frames.h"
#include "tests/fuzz/util_fuzz.h"

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned int seed)
{
	return mutate_frames(data, n, max, seed);
}

static void close_trace(struct mb_trace **t)
{
	mb_trace_close(*t);
}

static void check_epoch(const struct mb_trace *t, const struct mb_page *pages, size_t n,
			const struct mb_trace_epoch *epoch)
{
	uint64_t max = mb_digest_max(mb_trace_get_header(t)->identity.bits);
	struct mb_multiset_hash hash = { 0 };

	for (size_t i = 0; i < n; i++) {
		must(pages[i].frame < 1ull << 52 && pages[i].digest <= max);
		must(!i || pages[i - 1].frame < pages[i].frame);
		must(pages[i].cls < MB_CLASS_END && !pages[i].gone);
		mb_multiset_hash_add(&hash, pages[i].digest, 1);
	}
	must(epoch->fingerprint.pages == n);
	must(mb_multiset_hash_equal(epoch->fingerprint.hash, hash));
}

/* The epoch in the trace's own format; the header, which the seed's has not, comes first. */
static void write_epoch(const struct mb_trace *t, const struct mb_page *pages, size_t n,
			const struct mb_trace_epoch *epoch, struct mb_buf *out)
{
	struct mb_err err = { 0 };
	char line[16];

	if (!mb_trace_is_seed(t)) {
		must_ok(mb_trace_put_header(mb_trace_get_header(t), out, &err), &err);
		must_ok(mb_trace_put_pages(pages, n, out, &err), &err);
		must_ok(mb_trace_put_epoch(epoch, out, &err), &err);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "%" PRIu64 "\n", pages[i].digest);
		mb_buf_put(out, line, strlen(line));
	}
}

static void check_round_trip(const struct mb_trace *t, const struct mb_page *pages, size_t n,
			     const struct mb_trace_epoch *epoch)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf file = { 0 };
	mb_cleanup(close_trace) struct mb_trace *again = NULL;
	const struct mb_page *got;
	struct mb_trace_epoch end;
	struct mb_reader reader;
	struct mb_err err = { 0 };
	struct mb_slice in;
	size_t n_got;

	write_epoch(t, pages, n, epoch, &file);
	in = mb_buf_slice(&file);
	reader = slice_reader(&in);
	must_ok(mb_trace_open(&reader, &again, &err), &err);
	must(mb_trace_is_seed(again) == mb_trace_is_seed(t));
	must_ok(mb_trace_next(again, &got, &n_got, &end, &err), &err);
	must(n_got == n && end.epoch == epoch->epoch);
	for (size_t i = 0; i < n; i++)
		must(got[i].frame == pages[i].frame && got[i].digest == pages[i].digest &&
		     got[i].cls == pages[i].cls && got[i].flags == pages[i].flags);
	must(mb_trace_next(again, &got, &n_got, &end, &err) == -ENODATA);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	mb_cleanup(close_trace) struct mb_trace *t = NULL;
	struct mb_slice in = { data, n };
	struct mb_reader reader = slice_reader(&in);
	const struct mb_page *pages;
	struct mb_trace_epoch epoch;
	struct mb_err err = { 0 };
	size_t n_pages;
	int r = mb_trace_open(&reader, &t, &err);

	if (r < 0) {
		must_fail(r, &err);
		return 0;
	}
	while ((r = mb_trace_next(t, &pages, &n_pages, &epoch, &err)) == 0) {
		check_epoch(t, pages, n_pages, &epoch);
		check_round_trip(t, pages, n_pages, &epoch);
	}
	must_fail(r, &err);
	return 0;
}
