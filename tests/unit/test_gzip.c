// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/gzip.h"

#include <string.h>
#include <zlib.h>

#include "tests/unit/util_test.h"

static void test_who_takes_it(void **state)
{
	static const char *const yes[] = { "gzip", "deflate, gzip;q=0.5", "br,GZIP", "gzip ; q=1",
					   " gzip , br" };
	static const char *const no[] = { "", "identity", "gzipped", "x-gzip", "gzip;q=0",
					  "br, gzip; q=0.000", ",,," };

	(void)state;
	assert_false(mb_gzip_accepted(NULL));
	for (size_t i = 0; i < sizeof(yes) / sizeof(*yes); i++)
		if (!mb_gzip_accepted(yes[i]))
			fail_msg("%s", yes[i]);
	for (size_t i = 0; i < sizeof(no) / sizeof(*no); i++)
		if (mb_gzip_accepted(no[i]))
			fail_msg("%s", no[i]);
}

/* What comes out, another reader of the format makes what went in. */
static void expect_back(const uint8_t *data, size_t n)
{
	z_stream z = { 0 };
	struct mb_buf small = { 0 }, back = { 0 };
	struct mb_err err = { 0 };

	assert_ok(mb_gzip((struct mb_slice){ data, n }, &small, &err), &err);
	assert_int_equal(inflateInit2(&z, 31), Z_OK);
	z.next_in = small.data;
	z.avail_in = (uInt)small.len;
	z.next_out = mb_buf_reserve(&back, n + 1);
	z.avail_out = (uInt)n + 1;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, n);
	assert_int_equal(z.avail_in, 0);
	assert_memory_equal(back.data, data, n);
	inflateEnd(&z);
	mb_buf_deinit(&small);
	mb_buf_deinit(&back);
}

static void test_there_and_back(void **state)
{
	static uint8_t data[300000];
	struct mb_buf small = { 0 };
	struct mb_err err = { 0 };
	uint64_t v = 1;

	(void)state;
	expect_back(data, 1);
	expect_back(data, sizeof(data));
	assert_ok(mb_gzip((struct mb_slice){ data, sizeof(data) }, &small, &err), &err);
	assert_true(small.len < sizeof(data) / 50);
	mb_buf_deinit(&small);
	/* What cannot be made smaller fits, too. */
	for (size_t i = 0; i < sizeof(data); i++, v = v * 6364136223846793005u + 1442695040888963407u)
		data[i] = (uint8_t)(v >> 56);
	expect_back(data, sizeof(data));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_who_takes_it),
		cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
