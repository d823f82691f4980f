// SPDX-License-Identifier: GPL-2.0-or-later
/* The module's own XXH64 against libxxhash. */
#include "tests/unit/util_test.h"

#include <xxhash.h>

#include "kmod/xxh64.h"

static void test_agrees_with_libxxhash(void **state)
{
	static const size_t lengths[] = { 32, 64, 96, 4096, 16384, 65536 };
	static uint64_t page[65536 / sizeof(uint64_t)];
	uint64_t v = 88172645463325252ull;

	(void)state;
	for (int round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof(page) / sizeof(*page); i++) {
			v ^= v << 13;
			v ^= v >> 7;
			v ^= v << 17;
			page[i] = round == 0 ? 0 : round == 1 ? UINT64_MAX : v;
		}
		for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++)
			assert_int_equal(mbwalk_xxh64(page, lengths[i]),
					 XXH64(page, lengths[i], 0));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_agrees_with_libxxhash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
