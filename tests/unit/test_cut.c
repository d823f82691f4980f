// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/cut.h"

#include <math.h>

#include "proto/base/cleanup.h"
#include "tests/unit/util_test.h"

enum { TRIES = 100, CONTENTS = 2000, CUT = 16 };

static void make(struct mb_fingerprint *fp, uint64_t seed, uint64_t first, uint64_t n)
{
	mb_autofree uint64_t *digests = malloc((n + 1) * sizeof(*digests));
	struct mb_err err = { 0 };

	assert_non_null(digests);
	for (uint64_t i = 0; i < n; i++)
		digests[i] = mb_mix64(mb_mix64(seed + 1) ^ (first + i + 1));
	assert_ok(mb_fingerprint_from_digests(fp, digests, n, &err), &err);
}

/* It is the Bloom filter: the bits that are set, each once. */
static void test_is_a_set_of_bits(void **state)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 }, cut = { 0 };
	static uint8_t set[1 << CUT];
	struct mb_err err = { 0 };
	uint32_t n = 0;

	(void)state;
	make(&fp, 1, 0, 40000);
	assert_ok(mb_cut_make(&fp, 64, CUT, &cut, &err), &err);
	for (uint32_t i = 0; i < fp.n_distinct; i++) {
		n += !set[fp.digests[i] >> 48];
		set[fp.digests[i] >> 48] = 1;
	}
	assert_int_equal(cut.n_distinct, n);
	assert_int_equal(cut.n_pages, n);
	assert_int_equal(cut.n_multi, 0);
	for (uint32_t i = 0; i < cut.n_distinct; i++) {
		assert_true(set[cut.digests[i]]);
		assert_true(i == 0 || cut.digests[i - 1] < cut.digests[i]);
	}
	/* Cut again is cut more. */
	{
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint once = { 0 }, twice = { 0 };
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint some = { 0 };

		assert_ok(mb_cut_make(&fp, 64, 20, &some, &err), &err);
		assert_ok(mb_cut_make(&some, 20, CUT, &twice, &err), &err);
		assert_ok(mb_cut_make(&fp, 64, CUT, &once, &err), &err);
		assert_fingerprint_equal(&once, &twice);
	}
}

static void test_bits_for(void **state)
{
	(void)state;
	assert_int_equal(mb_cut_bits_for(0), MB_CUT_BITS_MIN);
	assert_int_equal(mb_cut_bits_for(230000), 20);
	assert_int_equal(mb_cut_bits_for(320000), 21);
	assert_int_equal(mb_cut_bits_for(UINT64_MAX), MB_CUT_BITS_MAX);
}

struct how {
	uint32_t cut_a, cut_b; /* 0: not cut */
	uint32_t shift_a, shift_b;
};

/* What is held of a VM that sends it like that. */
static struct mb_cut_side hold(struct mb_fingerprint *fp, uint32_t cut, uint32_t shift)
{
	struct mb_cut_side side = { fp, cut ? cut : 64, shift, fp->n_distinct };
	struct mb_fingerprint held;

	if (!cut && !shift)
		return side;
	if (cut)
		assert_int_equal(mb_cut_make(fp, 64, cut, &held, NULL), 0);
	else
		assert_int_equal(mb_sample_make(fp, 64, shift, &held, NULL), 0);
	mb_fingerprint_deinit(fp);
	*fp = held;
	return side;
}

static void check(struct how how, uint64_t shared, double most)
{
	double sum = 0, error = 0;
	unsigned int within = 0;

	for (uint64_t seed = 0; seed < TRIES; seed++) {
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint a, b;
		struct mb_cut_side sa, sb;
		struct mb_estimate e;
		struct mb_err err = { 0 };

		make(&a, seed, 0, CONTENTS);
		make(&b, seed, CONTENTS - shared, CONTENTS);
		sa = hold(&a, how.cut_a, how.shift_a);
		sb = hold(&b, how.cut_b, how.shift_b);
		assert_ok(mb_cut_pair(&sa, &sb, CUT, &e, &err), &err);
		sum += e.pages / TRIES;
		error += e.error_pages / TRIES;
		within += fabs(e.pages - (double)shared) <= e.error_pages;
	}
	assert_in_range(within, TRIES * 90 / 100, TRIES);
	assert_true(fabs(sum - (double)shared) < error / (shared ? 4 : 1.5));
	assert_true(error < most);
}

static void test_pairs(void **state)
{
	static const uint64_t shared[] = { 0, 40, 1000, 2000 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(shared); i++) {
		/* Both cut alike, one cut less, one not at all. */
		check((struct how){ CUT, CUT, 0, 0 }, shared[i], 60);
		check((struct how){ CUT, 20, 0, 0 }, shared[i], 60);
		check((struct how){ 0, CUT, 0, 0 }, shared[i], 60);
		/* And with a sample: worse, by its draw. */
		check((struct how){ CUT, 0, 0, 2 }, shared[i], 400);
	}
}

static void test_full(void **state)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp;
	struct mb_cut_side side = { &fp, 20, 0, 1 << 20 };
	struct mb_estimate e;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_fingerprint_init(&fp, 1 << 20, 0, &err), &err);
	for (uint32_t i = 0; i < 1 << 20; i++)
		mb_fingerprint_push(&fp, i, 1);
	assert_fails(mb_cut_pair(&side, &side, 20, &e, &err), ERANGE, &err, "1048576 bits is full");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_is_a_set_of_bits),
		cmocka_unit_test(test_bits_for),
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests_name("cut", tests, NULL, NULL);
}
