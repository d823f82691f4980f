// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/superfasthash.h"

static uint8_t at(int pattern, unsigned int i)
{
	switch (pattern) {
	case 0:
		return 0;
	case 1:
		return 0xff;
	case 2:
		return (uint8_t)i;
	case 3:
		return (uint8_t)(7 * i + 3);
	default:
		return (uint8_t)(i * i + i / 256);
	}
}

/* The digests of the seed's own code for five pages. */
static void test_bit_exact_with_the_seed(void **state)
{
	static const uint32_t expected[] = { 3051824092u, 1825129616u, 1812698685u, 2683359384u,
					     1948940935u };
	uint8_t page[4096];

	(void)state;
	for (int p = 0; p < 5; p++) {
		for (unsigned int i = 0; i < sizeof(page); i++)
			page[i] = at(p, i);
		assert_int_equal(mb_superfasthash(page, sizeof(page)), expected[p]);
	}
}

/* A page read one bit wrong is another page, wherever the bit is. */
static void test_every_bit_counts(void **state)
{
	uint8_t page[512];
	uint32_t whole;

	(void)state;
	for (unsigned int i = 0; i < sizeof(page); i++)
		page[i] = at(4, i);
	whole = mb_superfasthash(page, sizeof(page));
	for (unsigned int bit = 0; bit < 8 * sizeof(page); bit++) {
		page[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_not_equal(mb_superfasthash(page, sizeof(page)), whole);
		page[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_not_equal(mb_superfasthash(page, sizeof(page) - 4), whole);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bit_exact_with_the_seed),
		cmocka_unit_test(test_every_bit_counts),
	};

	return cmocka_run_group_tests_name("superfasthash", tests, NULL, NULL);
}
