// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/group_bucket.h"

#include "tests/unit/util_test.h"

static void put(struct mb_bucket *b, uint64_t digest, uint32_t vm)
{
	struct mb_err err = { 0 };

	assert_ok(mb_bucket_push(b, digest, vm, vm % 4, &err), &err);
}

/* What mb_mix64() makes `v` of, back again. */
static uint64_t unmix64(uint64_t v)
{
	v = (v ^ v >> 31 ^ v >> 62) * 0x319642b2d24d8ec3u;
	v = (v ^ v >> 27 ^ v >> 54) * 0x96de1b173f119089u;
	return v ^ v >> 30 ^ v >> 60;
}

static void assert_sorted(const struct mb_bucket *b, size_t n, uint64_t sum_of_vms)
{
	uint64_t sum = 0;

	assert_int_equal(b->n, n);
	for (size_t i = 0; i < n; i++) {
		sum += b->entries[i].vm;
		assert_int_equal(b->entries[i].when, b->entries[i].vm % 4);
		/* Equal keys side by side: none comes back after another one. */
		for (size_t k = i + 1; k < n && k < i + 3; k++)
			if (b->entries[k].key == b->entries[i].key)
				assert_int_equal(b->entries[k - 1].key, b->entries[i].key);
		if (i && b->entries[i].key == b->entries[i - 1].key)
			assert_true(b->entries[i - 1].vm < b->entries[i].vm);
	}
	assert_int_equal(sum, sum_of_vms);
}

/* More than one growth; and again, in the same bucket. */
static void test_sort(void **state)
{
	enum { VMS = 200, DIGESTS = 300 };
	struct mb_bucket b = { 0 };

	(void)state;
	for (int again = 0; again < 2; again++) {
		b.n = 0;
		for (uint32_t vm = 0; vm < VMS; vm++)
			for (uint64_t d = 0; d < DIGESTS; d++)
				put(&b, d * 77, vm);
		mb_bucket_sort(&b);
		assert_sorted(&b, VMS * DIGESTS, (uint64_t)VMS * (VMS - 1) / 2 * DIGESTS);
		for (size_t i = 0; i < b.n; i += VMS)
			assert_int_equal(b.entries[i].key, b.entries[i + VMS - 1].key);
	}
	assert_true(b.cap >= b.n);
	mb_bucket_deinit(&b);
}

/* Keys that agree in all that the radix passes look at. */
static void test_colliding_keys(void **state)
{
	struct mb_bucket b = { 0 };

	(void)state;
	assert_int_equal(unmix64(mb_mix64(12345)), 12345);
	for (uint32_t vm = 0; vm < 3; vm++)
		for (uint64_t k = 0; k < 50; k++)
			put(&b, unmix64((k * 7 % 50) << 40 | 5), vm);
	mb_bucket_sort(&b);
	assert_sorted(&b, 150, 150);
	for (size_t i = 0; i < b.n; i += 3)
		assert_int_equal(b.entries[i].key, b.entries[i + 2].key);
	mb_bucket_deinit(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_colliding_keys),
	};

	return cmocka_run_group_tests_name("group_bucket", tests, NULL, NULL);
}
