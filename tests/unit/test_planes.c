// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/base/cleanup.h"
#include "proto/digest.h"
#include "proto/planes.h"

static const uint32_t all_bits[] = { 32, 48, 64 };

static void round_trip(const uint64_t *digests, uint32_t n, uint32_t bits)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	mb_autofree uint64_t *back = calloc(n + 1, sizeof(*back));
	struct mb_err err = { 0 };
	struct mb_slice s;

	assert_non_null(back);
	mb_planes_encode(digests, n, bits, &b);
	s = mb_buf_slice(&b);
	assert_ok(mb_planes_decode(s, n, bits, back, &err), &err);
	assert_memory_equal(back, digests, n * sizeof(*back));
	/* One digest or byte more or less is another length. */
	assert_fails(mb_planes_decode(s, n + 1, bits, back, &err), EBADMSG, &err, "");
	if (!n)
		return;
	s.len--;
	assert_fails(mb_planes_decode(s, n, bits, back, &err), EBADMSG, &err, "");
	s.len = 0;
	assert_fails(mb_planes_decode(s, n, bits, back, &err), EBADMSG, &err, "");
	mb_buf_put_u8(&b, 0);
	assert_fails(mb_planes_decode(mb_buf_slice(&b), n, bits, back, &err), EBADMSG, &err, "");
}

static void test_round_trip(void **state)
{
	static const uint32_t sizes[] = { 0, 1, 2, 3, 17, 256, 5000 };
	struct mb_fingerprint fp;
	struct rng rng = { 7 };

	(void)state;
	for (size_t b = 0; b < 3; b++) {
		uint64_t max = mb_digest_max(all_bits[b]), d[4] = { 0, 1, max - 1, max };

		round_trip(d, 4, all_bits[b]);
		round_trip(d, 1, all_bits[b]);
		round_trip(d + 3, 1, all_bits[b]);
		round_trip(d + 2, 2, all_bits[b]);
		for (size_t i = 0; i < MB_ARRAY_LEN(sizes); i++) {
			for (unsigned int cut = 0; cut < 32; cut += 7) {
				random_fingerprint(&rng, sizes[i], max >> cut, &fp);
				round_trip(fp.digests, fp.n_distinct, all_bits[b]);
				mb_fingerprint_deinit(&fp);
			}
		}
	}
}

/* The format: one shift byte, then planes of low bits, then planes of high bits. */
static void test_layout(void **state)
{
	/* shift 12: planes of bits 0-7, 8-11, 12-19, 20-27, 28-31. */
	static const uint8_t bytes[] = { 12, 0x01, 0x67, 0x0, 0x5, 0x34, 0x34, 0x12, 0x12, 0, 0 };
	const struct mb_slice in = { bytes, sizeof(bytes) };
	struct mb_err err = { 0 };
	uint64_t d[2];

	(void)state;
	assert_ok(mb_planes_decode(in, 2, 32, d, &err), &err);
	assert_int_equal(d[0], 0x01234001);
	assert_int_equal(d[1], 0x01234001 + 0x01234567);
}

static void test_hostile(void **state)
{
	uint8_t in[1 + 2 * 9] = { 0 };
	struct mb_err err = { 0 };
	uint64_t d[2];

	(void)state;
	for (unsigned int shift = 65; shift < 256; shift++) {
		in[0] = (uint8_t)shift;
		assert_fails(mb_planes_decode((struct mb_slice){ in, 17 }, 2, 64, d, &err), EBADMSG,
			     &err, "split");
	}
	/* Twice the same digest. */
	in[0] = 0;
	in[1] = 5;
	assert_fails(mb_planes_decode((struct mb_slice){ in, 17 }, 2, 64, d, &err), EBADMSG, &err,
		     "digest 1 is not above");
	/* A gap past 2^64, by one. */
	memset(in + 1, 0, sizeof(in) - 1);
	for (int p = 0; p < 8; p++)
		in[1 + 2 * p] = 0xff;
	in[2] = 1;
	assert_fails(mb_planes_decode((struct mb_slice){ in, 17 }, 2, 64, d, &err), EBADMSG, &err,
		     "digest 1 is not above");
	/* Shift 4: nine planes, and the first and last hold four bits only. */
	memset(in, 0, sizeof(in));
	in[0] = 4;
	in[2] = 1;
	assert_ok(mb_planes_decode((struct mb_slice){ in, 19 }, 2, 64, d, &err), &err);
	in[1] = 0x10;
	assert_fails(mb_planes_decode((struct mb_slice){ in, 19 }, 2, 64, d, &err), EBADMSG, &err,
		     "outside its plane");
	in[1] = 0;
	in[18] = 0x10;
	assert_fails(mb_planes_decode((struct mb_slice){ in, 19 }, 2, 64, d, &err), EBADMSG, &err,
		     "outside its plane");
	/* More digests than any memory. */
	assert_fails(mb_planes_decode((struct mb_slice){ in, 19 }, UINT32_MAX, 64, d, &err),
		     EBADMSG, &err, "take");
	assert_fails(mb_planes_decode((struct mb_slice){ in, 1 }, 0, 64, d, &err), EBADMSG, &err,
		     "no digest");
}

/* Whatever the bytes: refused, or strictly ascending and within bounds. */
static void test_garbage(void **state)
{
	uint8_t in[1 + 3 * 9];
	struct rng rng = { 8 };
	size_t good = 0;

	(void)state;
	for (int i = 0; i < 50000; i++) {
		uint32_t bits = all_bits[rng_below(&rng, 3)], n = 1 + (uint32_t)rng_below(&rng, 3);
		struct mb_slice s = { in, 0 };
		uint64_t d[3];

		in[0] = (uint8_t)rng_below(&rng, bits + 1);
		s.len = 1 + n * ((in[0] + 7u) / 8 + (bits - in[0] + 7) / 8);
		for (size_t k = 1; k < s.len; k++)
			in[k] = (uint8_t)(rng_next(&rng) >> rng_below(&rng, 8) & 0xf);
		if (mb_planes_decode(s, n, bits, d, NULL) < 0)
			continue;
		good++;
		for (uint32_t k = 0; k < n; k++) {
			assert_true(d[k] <= mb_digest_max(bits));
			assert_true(!k || d[k] > d[k - 1]);
		}
	}
	assert_true(good > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_hostile),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests_name("planes", tests, NULL, NULL);
}
