// SPDX-License-Identifier: GPL-2.0-or-later
/* A row of frames from a stranger; and any bytes in a frame come out again. */
#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "tests/fuzz/util_frames.h"
#include "tests/fuzz/util_fuzz.h"

enum { RAW_MAX = 1 << 20 };

static void check_round_trip(struct mb_slice raw)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 }, back = { 0 };
	struct mb_slice in;
	struct mb_err err = { 0 };

	must_ok(mb_frame_encode(raw, &frame, &err), &err);
	in = mb_buf_slice(&frame);
	must_ok(mb_frame_take(&in, RAW_MAX, &back, &err), &err);
	must(in.len == 0);
	must(back.len == raw.len && (!raw.len || memcmp(back.data, raw.data, raw.len) == 0));
}

/* Of a frame that is not all there yet nothing is said but that. */
static void check_cut(struct mb_slice frame, size_t cut)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_slice in = { frame.data, cut % frame.len };
	struct mb_err err = { 0 };

	must(mb_frame_take(&in, RAW_MAX, &raw, &err) == -ENODATA);
	must(in.data == frame.data && in.len == cut % frame.len);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned int seed)
{
	return mutate_frames(data, n, max, seed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_slice in = { data, n };
	struct mb_err err = { 0 };
	int r;

	for (;;) {
		struct mb_slice whole = in;

		r = mb_frame_take(&in, RAW_MAX, &raw, &err);
		if (r < 0)
			break;
		whole.len -= in.len;
		must(whole.len >= MB_FRAME_HEADER_BYTES && in.data == whole.data + whole.len);
		must(raw.len <= RAW_MAX);
		check_round_trip(mb_buf_slice(&raw));
		check_cut(whole, data[n - 1] + 256u * data[n / 2]);
	}
	must_fail(r, &err);
	check_round_trip((struct mb_slice){ data, n });
	return 0;
}
