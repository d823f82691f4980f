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
			struct mb_sample_of of;
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
			of = mb_sample_of(&fp, fp.digests[0], shifts[s]);
			assert_int_equal(mb_sample_check(&sample, &of, 64, fp.digests[0], NULL), 0);
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

/* One light digest, one heavy one, then what `spoil` says; the zero page is digest 7. */
static void check_of(struct mb_sample_of of, uint32_t zeros, uint32_t copies, const char *word)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	uint64_t last = mb_sample_last(48, 4);
	struct mb_err err = { 0 };
	int r;

	assert_int_equal(last, 0xfffffffffff);
	assert_int_equal(mb_fingerprint_init(&fp, 4, 4, NULL), 0);
	if (zeros)
		mb_fingerprint_push(&fp, 7, zeros);
	mb_fingerprint_push(&fp, last, 1);
	mb_fingerprint_push(&fp, last + 1, 64);
	mb_fingerprint_push(&fp, last + 2, copies);
	r = mb_sample_check(&fp, &of, 48, 7, &err);
	if (word)
		assert_fails(r, EBADMSG, &err, word);
	else
		assert_ok(r, &err);
}

static void check_refuses_what_is_no_sample(void **state)
{
	struct mb_sample_of of = { 4, 1000, 500, 0, 0 };

	(void)state;
	check_of(of, 0, 64, NULL);
	check_of(of, 0, 63, "digest 0000100000000001 with 63 copies is in no sample of 1 in 16");
	check_of(of, 2, 64, "2 zero pages, of 0");
	of.zero = 2;
	check_of(of, 2, 64, NULL);
	check_of(of, 0, 64, "0 zero pages, of 2");
	check_of((struct mb_sample_of){ 4, 128, 100, 0, 0 }, 0, 64, "a sample of 129 pages");
	check_of((struct mb_sample_of){ 4, 1000, 2, 0, 0 }, 0, 64,
		 "a sample of 129 pages, 3 distinct");
	/* What is not in the sample is at least a page per digest. */
	check_of((struct mb_sample_of){ 4, 140, 14, 0, 0 }, 0, 64, NULL);
	check_of((struct mb_sample_of){ 4, 140, 15, 0, 0 }, 0, 64, "of 140, 15 distinct");
}

static void few_zero_pages_need_not_be_in_it(void **state)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp = { 0 };
	struct mb_sample_of of = { 4, 10, 8, 3, 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_int_equal(mb_fingerprint_init(&fp, 1, 0, NULL), 0);
	mb_fingerprint_push(&fp, 5, 1);
	assert_ok(mb_sample_check(&fp, &of, 64, UINT64_MAX, &err), &err);
	/* Of 10 pages, 9 of them distinct, no three are the same. */
	of.distinct = 9;
	assert_fails(mb_sample_check(&fp, &of, 64, UINT64_MAX, &err), EBADMSG, &err,
		     "0 zero pages, of 3");
	of = (struct mb_sample_of){ 4, 100, 37, 64, 0 };
	assert_fails(mb_sample_check(&fp, &of, 64, UINT64_MAX, &err), EBADMSG, &err,
		     "0 zero pages, of 64");
}

static void the_whole_is_known_exactly(void **state)
{
	struct mb_self_sharing want, got;
	struct mb_fingerprint fp;
	struct mb_sample_of of;

	(void)state;
	make(&fp, 3, 0, 5000, 70);
	for (int none = 0; none < 2; none++) {
		uint64_t zero_digest = none ? 1 : fp.digests[fp.multi[0].rank];

		of = mb_sample_of(&fp, zero_digest, 4);
		mb_fingerprint_self_sharing(&fp, zero_digest, &want);
		mb_sample_self_sharing(&of, &got);
		assert_memory_equal(&got, &want, sizeof(got));
	}
	mb_fingerprint_deinit(&fp);
}

static void change_is_brought_up(void **state)
{
	const uint64_t last = mb_sample_last(64, 4);
	/* digest, copies before, copies after */
	const struct {
		uint64_t digest;
		uint32_t before, after;
	} d[] = {
		{ 1, 1, 0 },		/* 16 lost */
		{ 2, 0, 3 },		/* 48 gained */
		{ 3, 100, 90 },		/* 10 lost */
		{ last, 2, 2 },		/* as it was */
		{ last + 1, 64, 80 },	/* 16 gained */
		{ last + 2, 0, 70 },	/* 7 gained */
		{ UINT64_MAX, 1063, 0 } /* 1000 lost */
	};
	struct mb_fingerprint from, to;
	uint64_t gained, lost;

	(void)state;
	assert_int_equal(mb_fingerprint_init(&from, 8, 8, NULL), 0);
	assert_int_equal(mb_fingerprint_init(&to, 8, 8, NULL), 0);
	for (size_t i = 0; i < MB_ARRAY_LEN(d); i++) {
		if (d[i].before)
			mb_fingerprint_push(&from, d[i].digest, d[i].before);
		if (d[i].after)
			mb_fingerprint_push(&to, d[i].digest, d[i].after);
	}
	mb_sample_change(&from, &to, 64, 4, &gained, &lost);
	assert_int_equal(gained, 48 + 16 + 7);
	assert_int_equal(lost, 16 + 10 + 1000);
	mb_sample_change(&to, &from, 64, 4, &gained, &lost);
	assert_int_equal(lost, 48 + 16 + 7);
	assert_int_equal(gained, 16 + 10 + 1000);
	mb_fingerprint_deinit(&from);
	mb_fingerprint_deinit(&to);
}

static void nothing_sampled_is_exact(void **state)
{
	struct mb_sample_size a = { 1000, 1000 }, b = { 400, 400 };
	struct mb_estimate e = mb_sample_pair(a, b, 300, 0);

	(void)state;
	assert_true(e.pages == 300 && e.error_pages == 0);
	e = mb_sample_count(17, 0);
	assert_true(e.pages == 17 && e.error_pages == 0);
	/* None of the sample: by the rule of three, no more than that many of all. */
	e = mb_sample_count(0, 4);
	assert_true(e.pages == 0 && e.error_pages > 48 && e.error_pages < 64);
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
		cmocka_unit_test(few_zero_pages_need_not_be_in_it),
		cmocka_unit_test(the_whole_is_known_exactly),
		cmocka_unit_test(change_is_brought_up),
		cmocka_unit_test(nothing_sampled_is_exact),
		cmocka_unit_test(errors_hold_for_95_percent),
		cmocka_unit_test(twins_are_seen_as_such),
		cmocka_unit_test(estimates_stay_within_the_vms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
