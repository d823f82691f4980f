// SPDX-License-Identifier: GPL-2.0-or-later
/* A line with breaks in it, in pieces: each is found, whatever the pieces. */
#include "proto/base/cleanup.h"
#include "proto/break.h"
#include "tests/fuzz/util_fuzz.h"

/* Where the first whole break ends, or 0. */
static size_t find(const uint8_t *data, size_t n)
{
	for (size_t i = 0; i + MB_BREAK_BYTES <= n; i++)
		if (memcmp(data + i, mb_break_magic, MB_BREAK_MAGIC_BYTES) == 0)
			return i + MB_BREAK_BYTES;
	return 0;
}

/* The first byte is a piece's length; 'B' in the rest stands for a break. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf line = { 0 };
	struct mb_slice in, all;
	size_t piece = n ? data[0] : 0;
	uint64_t token;

	for (size_t i = 1; i < n; i++)
		if (data[i] == 'B')
			mb_break_put(&line, i);
		else
			mb_buf_put_u8(&line, data[i]);
	/* So that it is somewhere, even if it is empty. */
	must(mb_buf_reserve(&line, 1));
	all = mb_buf_slice(&line);
	for (in = (struct mb_slice){ all.data, 0 }; in.data + in.len < all.data + all.len;) {
		size_t left = (size_t)(all.data + all.len - (in.data + in.len));
		struct mb_slice before;
		size_t end;

		in.len += MB_MIN(piece + 1, left);
		before = in;
		end = find(in.data, in.len);
		must(mb_break_take_if_any(&in, &token) == (end > 0));
		must(in.data == before.data + end && in.len == before.len - end);
		if (end)
			continue;
		must(!mb_break_take(&in, &token));
		must(in.data + in.len == before.data + before.len);
		must(in.len == MB_MIN(before.len, (size_t)MB_BREAK_BYTES - 1));
	}
	return 0;
}
