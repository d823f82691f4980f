// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/break.h"

#include <string.h>

#include "tests/unit/util_test.h"

static struct mb_slice tail(const struct mb_buf *b, size_t from)
{
	return (struct mb_slice){ b->data + from, b->len - from };
}

static void test_take(void **state)
{
	struct mb_buf b = { 0 };
	struct mb_slice in;
	uint64_t token = 0;

	(void)state;
	mb_buf_put(&b, "noise", 5);
	mb_break_put(&b, 0x1122334455667788);
	mb_break_put(&b, 0);
	mb_buf_put(&b, "frame", 5);
	assert_int_equal(b.len, 10 + 2 * MB_BREAK_BYTES);
	assert_int_equal(b.data[5 + MB_BREAK_MAGIC_BYTES], 0x88);
	assert_int_equal(mb_break_token(b.data + 5), 0x1122334455667788);
	in = mb_buf_slice(&b);
	assert_true(mb_break_take(&in, &token));
	assert_int_equal(token, 0x1122334455667788);
	assert_ptr_equal(in.data, b.data + 5 + MB_BREAK_BYTES);
	assert_true(mb_break_take_if_any(&in, &token));
	assert_int_equal(token, 0);
	assert_false(mb_break_take_if_any(&in, &token));
	assert_int_equal(in.len, 5);
	assert_memory_equal(in.data, "frame", 5);
	in = (struct mb_slice){ 0 };
	assert_false(mb_break_take(&in, &token));
	assert_int_equal(in.len, 0);
	mb_buf_deinit(&b);
}

/* Whatever is cut off before it, and wherever reading stops in it. */
static void test_any_cut(void **state)
{
	enum { NOISE = 100 };
	struct mb_buf b = { 0 }, left = { 0 };
	uint64_t token;

	(void)state;
	/* Half a break is the worst noise there is. */
	for (size_t n = 0; n < NOISE; n++)
		mb_buf_put_u8(&b, mb_break_magic[n % (MB_BREAK_MAGIC_BYTES - 1)]);
	mb_break_put(&b, 7);
	for (size_t from = 0; from <= NOISE; from++)
		for (size_t n = 0; n < b.len - from; n++) {
			struct mb_slice in = { b.data + from, n }, rest = tail(&b, from + n);

			assert_false(mb_break_take_if_any(&in, &token));
			assert_int_equal(in.len, n);
			assert_false(mb_break_take(&in, &token));
			assert_true(in.len < MB_BREAK_BYTES && in.len <= n);
			/* What is left is enough to find it with what comes. */
			mb_buf_clear(&left);
			mb_buf_put(&left, in.data, in.len);
			mb_buf_put(&left, rest.data, rest.len);
			in = mb_buf_slice(&left);
			token = 0;
			assert_true(mb_break_take(&in, &token));
			assert_int_equal(token, 7);
			assert_int_equal(in.len, 0);
		}
	mb_buf_deinit(&b);
	mb_buf_deinit(&left);
}

/* No text can hold one, and no break can hide the start of the next. */
static void test_magic(void **state)
{
	(void)state;
	assert_false(mb_break_magic[0] == 'M');
	for (size_t i = 1; i < MB_BREAK_MAGIC_BYTES; i++)
		assert_memory_not_equal(mb_break_magic + i, mb_break_magic,
					MB_BREAK_MAGIC_BYTES - i);
	for (size_t i = 0; i < MB_BREAK_MAGIC_BYTES; i++)
		assert_true(mb_break_magic[i] < 0x20 || mb_break_magic[i] > 0x7e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_take),
		cmocka_unit_test(test_any_cut),
		cmocka_unit_test(test_magic),
	};

	return cmocka_run_group_tests_name("break", tests, NULL, NULL);
}
