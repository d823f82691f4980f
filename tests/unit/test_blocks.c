// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/blocks.h"

#include "proto/digest.h"
#include "tests/unit/util_test.h"

enum { PAGES = 300 };

/*
 * Against a map of every page: an address keeps its frame for good, no two have the same, frames
 * have no gap, and the pieces cover just what was asked for.
 */
static void test_against_a_map_of_pages(void **state)
{
	struct rng r = { 5 };
	struct mb_err err = { 0 };

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct mb_frame_map m = { 0 };
		uint64_t frame_of[PAGES];
		uint64_t used = 0;

		memset(frame_of, 0xff, sizeof(frame_of));
		for (int step = 0; step < 30; step++) {
			uint64_t from = rng_below(&r, PAGES);
			uint64_t to = from + rng_below(&r, MB_PAGE_BYTES) % (PAGES - from + 1);
			struct mb_blocks got = { 0 };
			uint64_t at = from;

			assert_ok(mb_frame_map_place(&m, from * MB_PAGE_BYTES, to * MB_PAGE_BYTES,
						     &got, &err),
				  &err);
			for (size_t i = 0; i < got.n; i++) {
				const struct mb_block *b = &got.blocks[i];

				assert_int_equal(b->start, at * MB_PAGE_BYTES);
				assert_true(b->end > b->start);
				for (; at < b->end / MB_PAGE_BYTES; at++) {
					uint64_t frame = b->frame + at - b->start / MB_PAGE_BYTES;

					if (frame_of[at] == UINT64_MAX)
						assert_int_equal(frame, used++);
					else
						assert_int_equal(frame, frame_of[at]);
					frame_of[at] = frame;
				}
			}
			assert_int_equal(at, to);
			mb_blocks_sort(&got);
			for (size_t i = 1; i < got.n; i++)
				assert_true(got.blocks[i - 1].frame < got.blocks[i].frame);
			mb_blocks_deinit(&got);
		}
		assert_int_equal(m.next_frame, used);
		mb_blocks_deinit(&m.known);
	}
}

static void test_nothing_to_place(void **state)
{
	struct mb_frame_map m = { 0 };
	struct mb_blocks got = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_frame_map_place(&m, 0x1000, 0x1000, &got, &err), &err);
	assert_ok(mb_frame_map_place(&m, 0x2000, 0x1000, &got, &err), &err);
	mb_blocks_sort(&got);
	assert_int_equal(got.n, 0);
	assert_int_equal(m.next_frame, 0);
	/* The last page that an address can name. */
	assert_ok(mb_frame_map_place(&m, UINT64_MAX - 8191, UINT64_MAX - 4095, &got, &err), &err);
	assert_int_equal(got.n, 1);
	assert_int_equal(m.next_frame, 1);
	mb_blocks_deinit(&got);
	mb_blocks_deinit(&m.known);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_a_map_of_pages),
		cmocka_unit_test(test_nothing_to_place),
	};

	return cmocka_run_group_tests_name("blocks", tests, NULL, NULL);
}
