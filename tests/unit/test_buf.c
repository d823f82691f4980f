// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/base/buf.h"

static void test_grows_and_keeps_its_content(void **state)
{
	struct mb_buf b = { 0 };

	(void)state;
	for (uint32_t i = 0; i < 100000; i++)
		mb_buf_put(&b, &i, sizeof(i));
	mb_buf_put(&b, NULL, 0);
	assert_int_equal(b.len, 400000);
	for (uint32_t i = 0; i < 100000; i++)
		assert_memory_equal(b.data + 4 * (size_t)i, &i, sizeof(i));
	mb_buf_clear(&b);
	assert_int_equal(b.len, 0);
	assert_non_null(b.data);
	mb_buf_deinit(&b);
	assert_null(b.data);
}

static void test_stays_failed(void **state)
{
	struct mb_err err = { 0 };
	struct mb_buf b = { 0 };

	(void)state;
	mb_buf_put_u8(&b, 1);
	assert_null(mb_buf_reserve(&b, SIZE_MAX));
	assert_null(mb_buf_reserve(&b, SIZE_MAX - 1));
	/* What is put after the failure is not half a message. */
	mb_buf_put_u8(&b, 2);
	mb_buf_put_varint(&b, 3);
	assert_int_equal(b.len, 1);
	assert_fails(mb_buf_check(&b, "a thing", &err), ENOMEM, &err, "a thing");
	mb_buf_clear(&b);
	assert_ok(mb_buf_check(&b, "a thing", &err), &err);
	mb_buf_deinit(&b);
}

static void test_varints(void **state)
{
	struct rng r = { 1 };
	struct mb_buf b = { 0 };
	struct mb_slice s;
	uint64_t v;

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t in = rng_next(&r) >> rng_below(&r, 64);

		mb_buf_clear(&b);
		mb_buf_put_varint(&b, in);
		for (size_t n = 0; n < b.len; n++) {
			s = (struct mb_slice){ b.data, n };
			assert_false(mb_slice_get_varint(&s, &v));
		}
		s = mb_buf_slice(&b);
		assert_true(mb_slice_get_varint(&s, &v));
		assert_true(v == in);
		assert_int_equal(s.len, 0);
	}
	mb_buf_deinit(&b);
}

static bool get_varint(const char *bytes, size_t n, uint64_t *ret)
{
	struct mb_slice s = { (const uint8_t *)bytes, n };

	return mb_slice_get_varint(&s, ret);
}

static void test_varints_at_the_edge(void **state)
{
	uint64_t v;

	(void)state;
	assert_true(get_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10, &v));
	assert_true(v == UINT64_MAX);
	assert_false(get_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02", 10, &v));
	assert_false(get_varint("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x81\x00", 11, &v));
	assert_false(get_varint("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, &v));
	assert_false(get_varint("", 0, &v));
	/* Longer than need be, as protobuf allows. */
	assert_true(get_varint("\x81\x80\x00", 3, &v));
	assert_true(v == 1);
}

static void test_slice_never_runs_past_its_end(void **state)
{
	const uint8_t bytes[3] = { 1, 2, 3 };
	struct mb_slice s = { bytes, sizeof(bytes) };
	const uint8_t *p;
	uint8_t u;

	(void)state;
	assert_true(mb_slice_get(&s, &p, 2));
	assert_ptr_equal(p, bytes);
	assert_false(mb_slice_get(&s, &p, 2));
	assert_false(mb_slice_get(&s, &p, SIZE_MAX));
	assert_true(mb_slice_get_u8(&s, &u));
	assert_int_equal(u, 3);
	assert_false(mb_slice_get_u8(&s, &u));
	assert_true(mb_slice_get(&s, &p, 0));
}

static void test_little_endian(void **state)
{
	uint8_t p[8];

	(void)state;
	mb_put_le64(p, 0x8182838485868788u);
	assert_memory_equal(p, "\x88\x87\x86\x85\x84\x83\x82\x81", 8);
	assert_true(mb_get_le64(p) == 0x8182838485868788u);
	assert_int_equal(mb_get_le32(p), 0x85868788u);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grows_and_keeps_its_content),
		cmocka_unit_test(test_stays_failed),
		cmocka_unit_test(test_varints),
		cmocka_unit_test(test_varints_at_the_edge),
		cmocka_unit_test(test_slice_never_runs_past_its_end),
		cmocka_unit_test(test_little_endian),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
