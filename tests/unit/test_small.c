// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/small.h"

#include "proto/base/cleanup.h"
#include "proto/cut.h"
#include "proto/delta.h"
#include "tests/unit/util_test.h"

enum { N = 40000 };

static const struct mb_identity identity = {
	.algorithm = MB_XXH64, .page_bytes = 4096, .bits = 64, .zero_digest = 3
};

static void make(struct mb_fingerprint *fp, uint64_t first, uint64_t n)
{
	mb_autofree uint64_t *digests = malloc((n + 1) * sizeof(*digests));
	struct mb_err err = { 0 };

	assert_non_null(digests);
	for (uint64_t i = 0; i < n; i++)
		digests[i] = mb_mix64(first + i + 1);
	assert_ok(mb_fingerprint_from_digests(fp, digests, n, &err), &err);
}

static void test_text(void **state)
{
	char text[MB_SMALL_TEXT];

	(void)state;
	mb_small_text(&(struct mb_sample_of){ 0 }, text);
	assert_string_equal(text, "all");
	mb_small_text(&(struct mb_sample_of){ .shift = 4 }, text);
	assert_string_equal(text, "a sample of 1 in 16");
	mb_small_text(&(struct mb_sample_of){ .cut_bits = 20 }, text);
	assert_string_equal(text, "digests cut to 20 bits");
}

/* Either kind: it says what it is of, passes its check, and travels as a delta of its own bits. */
static void test_make_check_and_send(void **state)
{
	static const struct mb_sample_of how[] = { { 0 },
						   { .shift = 4 },
						   { .cut_bits = 18 },
						   { .cut_bits = MB_CUT_BITS_MIN },
						   { .cut_bits = MB_CUT_BITS_MAX } };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(how); i++) {
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint a = { 0 }, b = { 0 };
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint from = { 0 }, to = { 0 };
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint got = { 0 };
		mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 }, back = { 0 };
		mb_cleanup(mb_buf_deinit) struct mb_buf buf = { 0 };
		uint32_t bits = mb_small_bits(&how[i], 64);
		struct mb_delta_fields fields;
		struct mb_sample_of of;
		struct mb_err err = { 0 };

		make(&a, 0, N);
		make(&b, 1000, N);
		assert_ok(mb_small_make(&a, &identity, &how[i], &from, &of, &err), &err);
		assert_ok(mb_small_make(&b, &identity, &how[i], &to, &of, &err), &err);
		assert_true(mb_small_alike(&of, &how[i]));
		assert_int_equal(mb_small_is_all(&of), i == 0);
		assert_int_equal(of.pages, N);
		assert_int_equal(of.distinct, N);
		assert_ok(mb_small_check(&to, &of, &identity, &err), &err);
		assert_ok(mb_delta_make(&from, &to, &d, &err), &err);
		assert_ok(mb_delta_encode(&d, bits, &buf, &fields, &err), &err);
		assert_ok(mb_delta_decode(&fields, bits, &back, &err), &err);
		assert_ok(mb_delta_apply(&from, &back, &got, &err), &err);
		assert_fingerprint_equal(&got, &to);
	}
}

static void test_check_of_cut(void **state)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	struct mb_sample_of of = { .pages = 10, .distinct = 2, .cut_bits = 16 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_fingerprint_init(&fp, 4, 1, &err), &err);
	mb_fingerprint_push(&fp, 5, 1);
	mb_fingerprint_push(&fp, 6, 1);
	assert_ok(mb_small_check(&fp, &of, &identity, &err), &err);
	of.zero = 9;
	assert_ok(mb_small_check(&fp, &of, &identity, &err), &err);
	of.zero = 10;
	assert_fails(mb_small_check(&fp, &of, &identity, &err), EBADMSG, &err, "10 zero pages");
	of.zero = 0;
	of.distinct = 1;
	assert_fails(mb_small_check(&fp, &of, &identity, &err), EBADMSG, &err,
		     "2 cut digests, of 1");
	of.distinct = 10;
	mb_fingerprint_push(&fp, 0xabc, 2);
	assert_fails(mb_small_check(&fp, &of, &identity, &err), EBADMSG, &err, "abc has 2 copies");
}

/* 1000 contents went, as many came: about that, whatever the way. */
static void test_change(void **state)
{
	static const struct mb_sample_of how[] = { { .shift = 3 }, { .cut_bits = 18 } };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(how); i++) {
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint a, b, from, to;
		struct mb_sample_of from_of, to_of;
		uint64_t gained, lost;
		struct mb_err err = { 0 };

		make(&a, 0, N);
		make(&b, 1000, N + 500);
		assert_ok(mb_small_make(&a, &identity, &how[i], &from, &from_of, &err), &err);
		assert_ok(mb_small_make(&b, &identity, &how[i], &to, &to_of, &err), &err);
		mb_small_change(&from, &from_of, &to, &to_of, 64, &gained, &lost);
		assert_in_range(gained, 1300, 1700);
		assert_in_range(lost, 800, 1200);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_make_check_and_send),
		cmocka_unit_test(test_check_of_cut),
		cmocka_unit_test(test_change),
	};

	return cmocka_run_group_tests_name("small", tests, NULL, NULL);
}
