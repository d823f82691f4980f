// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/fuzz/util_frames.h"

#include "proto/base/cleanup.h"
#include "proto/frame.h"
#include "tests/fuzz/util_fuzz.h"

enum { RAW_MAX = 64 << 10, GROW_MAX = 64, PLAIN_IN = 4 };

/* How many whole frames `in` starts with. */
static unsigned int count(struct mb_slice in)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	unsigned int n = 0;

	while (mb_frame_take(&in, RAW_MAX, &raw, NULL) == 0)
		n++;
	return n;
}

/* `in` with its frame `which` changed. */
static void mutate_one(struct mb_slice in, unsigned int which, struct mb_buf *ret)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	const uint8_t *start = in.data, *at = start;

	for (unsigned int i = 0; i <= which; i++) {
		at = in.data;
		must(mb_frame_take(&in, RAW_MAX, &raw, NULL) == 0);
	}
	mb_buf_put(ret, start, (size_t)(at - start));
	must(mb_buf_reserve(&raw, GROW_MAX));
	raw.len = LLVMFuzzerMutate(raw.data, raw.len, raw.len + GROW_MAX);
	must(mb_frame_encode(mb_buf_slice(&raw), ret, NULL) == 0);
	mb_buf_put(ret, in.data, in.len);
}

size_t mutate_frames(uint8_t *data, size_t n, size_t max, unsigned int seed)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf changed = { 0 };
	struct mb_slice in = { data, n };
	unsigned int frames = seed % PLAIN_IN ? count(in) : 0;

	if (frames)
		mutate_one(in, seed / PLAIN_IN % frames, &changed);
	if (!frames || changed.failed || changed.len > max)
		return LLVMFuzzerMutate(data, n, max);
	memcpy(data, changed.data, changed.len);
	return changed.len;
}
