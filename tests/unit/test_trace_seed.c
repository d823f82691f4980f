// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/trace_seed.h"

struct seen {
	uint32_t hashes[8];
	size_t n;
};

static int take(void *ctx, uint32_t hash, struct mb_err *err)
{
	struct seen *s = ctx;

	if (hash == 666)
		return mb_fail(err, EOVERFLOW, "no more");
	assert_true(s->n < 8);
	s->hashes[s->n++] = hash;
	return 0;
}

/* The text in pieces of `piece` bytes. */
static int parse(const char *text, size_t piece, struct seen *seen, struct mb_err *err)
{
	struct mb_trace_seed t = { .hash = take, .ctx = seen };
	size_t n = strlen(text);

	*seen = (struct seen){ 0 };
	for (size_t i = 0; i < n; i += piece) {
		struct mb_slice s = { (const uint8_t *)text + i, n - i < piece ? n - i : piece };
		int r = mb_trace_seed_feed(&t, s, err);

		if (r < 0)
			return r;
	}
	return mb_trace_seed_end(&t, err);
}

static void test_good(void **state)
{
	static const char *const texts[] = { "0\n3051824092\n4294967295\n007\n",
					     "0\n3051824092\n4294967295\n007" };
	static const uint32_t expected[] = { 0, 3051824092u, 4294967295u, 7 };
	struct mb_err err = { 0 };
	struct seen seen;

	(void)state;
	for (int i = 0; i < 2; i++)
		for (size_t piece = 1; piece < 40; piece++) {
			assert_ok(parse(texts[i], piece, &seen, &err), &err);
			assert_int_equal(seen.n, 4);
			assert_memory_equal(seen.hashes, expected, sizeof(expected));
		}
}

static void test_bad(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = {
		{ "", "no line" },
		{ "\n", "line 1: empty" },
		{ "1\n\n2\n", "line 2: empty" },
		{ "1\n2\n\n", "line 3: empty" },
		{ "1\r\n", "line 1: byte 0x0d" },
		{ "12a4\n", "line 1: 'a' is no digit" },
		{ "1\n -5\n", "line 2: ' ' is no digit" },
		{ "1\n-5\n", "line 2: '-' is no digit" },
		{ "1\n+5\n", "line 2: '+' is no digit" },
		{ "4294967296\n", "line 1: number above 32 bits" },
		{ "18446744073709551617\n", "line 1: number above 32 bits" },
		{ "99999999999999999999999999", "line 1: number above 32 bits" },
		{ "1\n\xff\n", "line 2: byte 0xff" },
		{ "\xef\xbb\xbf"
		  "1\n",
		  "line 1: byte 0xef" },
		{ "0x10\n", "'x'" },
	};
	struct mb_err err = { 0 };
	struct seen seen;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		for (size_t piece = 1; piece < 30; piece++)
			assert_fails(parse(bad[i].text, piece, &seen, &err), EBADMSG, &err,
				     bad[i].word);
}

static void test_the_receivers_error_stops_it(void **state)
{
	struct mb_err err = { 0 };
	struct seen seen;

	(void)state;
	assert_fails(parse("1\n666\n3\n", 3, &seen, &err), EOVERFLOW, &err, "no more");
	assert_int_equal(seen.n, 1);
	assert_fails(parse("1\n666", 3, &seen, &err), EOVERFLOW, &err, "no more");
}

static void test_a_nul_is_no_digit(void **state)
{
	struct seen seen = { 0 };
	struct mb_trace_seed t = { .hash = take, .ctx = &seen };
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_trace_seed_feed(&t, (struct mb_slice){ (const uint8_t *)"1\0\n", 3 }, &err),
		     EBADMSG, &err, "byte 0x00");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_the_receivers_error_stops_it),
		cmocka_unit_test(test_a_nul_is_no_digit),
	};

	return cmocka_run_group_tests_name("trace_seed", tests, NULL, NULL);
}
