// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/sample.h"

#include <math.h>
#include <stdlib.h>

#include "proto/base/cleanup.h"
#include "proto/multiset_hash.h"
#include "tests/unit/util_test.h"

enum { TRIES = 400 };

/* Digests number [first, first + n) of a stream of random ones; one in 50 has `many` copies. */
static void make(struct mb_fingerprint *fp, uint64_t seed, uint64_t first, uint64_t n,
		 uint32_t many)
{
	mb_autofree uint64_t *digests = malloc((n * (1 + many) + 1) * sizeof(*digests));
	size_t k = 0;

	for (uint64_t i = first; i < first + n; i++)
		for (uint32_t c = 0; c < (i % 50 == 7 ? many : 1); c++)
			digests[k++] = mb_mix64(mb_mix64(seed) ^ (i + 1));
	assert_int_equal(mb_fingerprint_from_digests(fp, digests, k, NULL), 0);
}

static uint32_t light(const struct mb_fingerprint *fp, uint32_t shift)
{
	return mb_sample_light(fp->digests, fp->n_distinct, mb_sample_last(64, shift));
}

/* It is what the definition says, digest by digest. */
static void sample_has_light_and_heavy(void **state)
{
	static const uint32_t shifts[] = { 0, 1, 4, MB_SAMPLE_SHIFT_MAX };
	struct mb_fingerprint fp;

	(void)state;
	for (uint32_t many = 63; many <= 64; many++) {
		make(&fp, 1, 0, 5000, many);
		for (size_t s = 0; s < MB_ARRAY_LEN(shifts); s++) {
			uint64_t last = mb_sample_last(64, shifts[s]);
			mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint sample = { 0 };
			uint32_t at = 0, n = 0;

			assert_int_equal(mb_sample_make(&fp, 64, shifts[s], &sample, NULL), 0);
			for (uint32_t r = 0; r < fp.n_distinct; r++) {
				uint32_t copies = mb_fingerprint_copies(&fp, &at, r);
				bool in = fp.digests[r] <= last || copies >= 64;

				assert_int_equal(mb_fingerprint_find(&sample, fp.digests[r]),
						 in ? copies : 0);
				n += in;
			}
			assert_int_equal(sample.n_distinct, n);
			assert_int_equal(light(&sample, shifts[s]), light(&fp, shifts[s]));
			assert_int_equal(mb_sample_check(&sample, 64, shifts[s], NULL), 0);
		}
		mb_fingerprint_deinit(&fp);
	}
}

/* A sample of a sample is the coarser one: two rates can be compared at the coarser one's. */
static void samples_nest(void **state)
{
	struct mb_fingerprint fp, fine, coarse, both;

	(void)state;
	make(&fp, 2, 0, 5000, 70);
	assert_int_equal(mb_sample_make(&fp, 64, 2, &fine, NULL), 0);
	assert_int_equal(mb_sample_make(&fp, 64, 5, &coarse, NULL), 0);
	assert_int_equal(mb_sample_make(&fine, 64, 5, &both, NULL), 0);
	assert_int_equal(both.n_pages, coarse.n_pages);
	assert_true(mb_multiset_hash_equal(both.hash, coarse.hash));
	mb_fingerprint_deinit(&fp);
	mb_fingerprint_deinit(&fine);
	mb_fingerprint_deinit(&coarse);
	mb_fingerprint_deinit(&both);
}

static void check_refuses_what_is_no_sample(void **state)
{
	struct mb_fingerprint fp = { 0 };
	struct mb_err err;
	uint64_t last = mb_sample_last(48, 4);

	(void)state;
	assert_int_equal(last, 0xfffffffffff);
	assert_int_equal(mb_fingerprint_init(&fp, 3, 3, NULL), 0);
	mb_fingerprint_push(&fp, last, 1);
	mb_fingerprint_push(&fp, last + 1, 64);
	assert_int_equal(mb_sample_check(&fp, 48, 4, NULL), 0);
	mb_fingerprint_push(&fp, last + 2, 63);
	assert_fails(mb_sample_check(&fp, 48, 4, &err), EBADMSG, &err,
		     "digest 0000100000000001 with 63 copies is in no sample of 1 in 16");
	mb_fingerprint_deinit(&fp);
}

static void nothing_sampled_is_exact(void **state)
{
	struct mb_sample_size a = { 1000, 1000 }, b = { 400, 400 };
	struct mb_estimate e = mb_sample_pair(a, b, 300, 0);

	(void)state;
	assert_true(e.pages == 300 && e.error_pages == 0);
	e = mb_sample_count(17, 0);
	assert_true(e.pages == 17 && e.error_pages == 0);
	e = mb_sample_part(17, 20, 20, 0);
	assert_true(e.pages == 17 && e.error_pages == 0);
}

/* How often the truth is within the error; the sum of the estimates, and of the errors. */
struct tally {
	unsigned int within;
	double pages, error;
};

static void count(struct tally *t, struct mb_estimate e, double truth)
{
	t->within += fabs(e.pages - truth) <= e.error_pages;
	t->pages += e.pages / TRIES;
	t->error += e.error_pages / TRIES;
}

/* Over many draws, two VMs of n contents each that have `shared` in common, at 1 in 16. */
static void draw(uint64_t n, uint64_t shared, struct tally ret[3])
{
	for (uint64_t seed = 0; seed < TRIES; seed++) {
		mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint a, b;
		struct mb_pair_sharing both;
		uint64_t la, lb;

		make(&a, seed + 10, 0, n, 1);
		make(&b, seed + 10, n - shared, n, 1);
		la = a.n_distinct = light(&a, 4);
		lb = b.n_distinct = light(&b, 4);
		mb_fingerprint_pair_sharing(&a, &b, &both);
		count(&ret[0], mb_sample_count(both.inter, 4), (double)shared);
		count(&ret[1], mb_sample_part(both.inter, la, n, 4), (double)shared);
		count(&ret[2],
		      mb_sample_pair((struct mb_sample_size){ la, n },
				     (struct mb_sample_size){ lb, n }, both.inter, 4),
		      (double)shared);
	}
}

/* Seeds are fixed, so this is no game of chance. */
static void errors_hold_for_95_percent(void **state)
{
	static const uint64_t shared[] = { 0, 20, 200, 1500, 1980, 2000 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(shared); i++) {
		struct tally t[3] = { 0 };

		draw(2000, shared[i], t);
		for (int k = 0; k < 3; k++) {
			assert_in_range(t[k].within, TRIES * 94 / 100, TRIES);
			/* Right on average, within what the average of so many may be off. */
			assert_true(fabs(t[k].pages - (double)shared[i]) <=
				    t[k].error / sqrt(TRIES) * 2);
		}
		/* No wider than must be: three standard deviations where the sizes tell nothing. */
		assert_true(t[0].error < 16 * 3 * (1 + sqrt((double)shared[i] / 16)) + 16);
		/* What is known of the sizes helps more the more alike they are. */
		assert_true(t[2].error <= t[0].error);
	}
}

static void twins_are_seen_as_such(void **state)
{
	struct mb_sample_size a = { 6250, 100000 };
	struct mb_estimate e = mb_sample_pair(a, a, 6250, 4);

	(void)state;
	assert_true(e.pages == 100000);
	/* One content in a million that differs could have been missed. */
	assert_true(e.error_pages > 0 && e.error_pages < 64);
}

/* An estimate is never beyond what can be, whatever the sizes claim. */
static void estimates_stay_within_the_vms(void **state)
{
	struct mb_sample_size small = { 10, 20 }, large = { 900, 100000 };
	struct mb_estimate e = mb_sample_pair(small, large, 10, 4);

	(void)state;
	assert_true(e.pages <= 20 && e.error_pages <= 20);
	e = mb_sample_pair((struct mb_sample_size){ 0 }, (struct mb_sample_size){ 0 }, 0, 4);
	assert_true(e.pages == 0 && e.error_pages == 0);
	e = mb_sample_part(0, 0, 0, 4);
	assert_true(e.pages == 0 && e.error_pages == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_has_light_and_heavy),
		cmocka_unit_test(samples_nest),
		cmocka_unit_test(check_refuses_what_is_no_sample),
		cmocka_unit_test(nothing_sampled_is_exact),
		cmocka_unit_test(errors_hold_for_95_percent),
		cmocka_unit_test(twins_are_seen_as_such),
		cmocka_unit_test(estimates_stay_within_the_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
