// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/bpf_drain.h"

#include <pthread.h>
#include <string.h>

#include "tests/unit/util_test.h"

static void test_bits(void **state)
{
	uint64_t map[3] = { 1, 0, 1ull << 63 | 2 }, got[3] = { 7, 7, 7 };

	(void)state;
	assert_int_equal(mb_bpf_drain_bits(map, 3, got), 3);
	assert_true(got[0] == 1 && got[1] == 0 && got[2] == (1ull << 63 | 2));
	assert_int_equal(mb_bpf_drain_bits(map, 3, got), 0);
	assert_true(got[0] == 0 && got[1] == 0 && got[2] == 0);
}

/* Every frame of a map of bytes alone, and all of them. */
static void test_bytes(void **state)
{
	enum { WORDS = 11, FRAMES = WORDS * 8 };
	uint64_t map[WORDS] = { 0 }, got[2];

	(void)state;
	for (size_t f = 0; f < FRAMES; f++) {
		((uint8_t *)map)[f] = 1;
		assert_int_equal(mb_bpf_drain_bytes(map, WORDS, got), 1);
		assert_true(got[f / 64] == 1ull << f % 64 && got[1 - f / 64] == 0);
	}
	memset(map, 1, sizeof(map));
	assert_int_equal(mb_bpf_drain_bytes(map, WORDS, got), FRAMES);
	assert_true(got[0] == UINT64_MAX && got[1] == (1ull << (FRAMES - 64)) - 1);
	assert_int_equal(mb_bpf_drain_bytes(map, WORDS, got), 0);
}

enum { RACE_WORDS = 64, RACE_FLAGS = 200000 };
static uint64_t race[RACE_WORDS];

/* Sets each flag once more only when it has been taken, as if each were another event. */
static void *flag_all(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < RACE_FLAGS; i++) {
		uint64_t *word = &race[i % RACE_WORDS], bit = 1ull << (i / RACE_WORDS % 64);

		while (__atomic_fetch_or(word, bit, __ATOMIC_SEQ_CST) & bit)
			;
	}
	return NULL;
}

static void test_race(void **state)
{
	uint64_t got[RACE_WORDS], taken = 0;
	pthread_t writer;

	(void)state;
	assert_int_equal(pthread_create(&writer, NULL, flag_all, NULL), 0);
	while (taken < RACE_FLAGS)
		taken += mb_bpf_drain_bits(race, RACE_WORDS, got);
	pthread_join(writer, NULL);
	taken += mb_bpf_drain_bits(race, RACE_WORDS, got);
	assert_int_equal(taken, RACE_FLAGS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bits),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_race),
	};

	return cmocka_run_group_tests_name("bpf_drain", tests, NULL, NULL);
}
