// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/heap.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

/* Below what malloc(3) would take from mmap(2) anyway. */
enum { BLOCK_BYTES = 100000, BLOCKS = 480 };

static char *blocks[BLOCKS];

static uint64_t resident_bytes(void)
{
	unsigned long long size, resident;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%llu %llu", &size, &resident), 2);
	fclose(f);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* As the ingest worker does: a heap of its own would be another thread's. */
static void *fill_and_free(void *arg)
{
	(void)arg;
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i] = malloc(BLOCK_BYTES);
		assert_non_null(blocks[i]);
		memset(blocks[i], 1, BLOCK_BYTES);
	}
	/* The last half lies at the heap's end; of the first one every other block stays. */
	for (int i = 0; i < BLOCKS; i++) {
		if (i < BLOCKS / 2 && i % 2)
			continue;
		free(blocks[i]);
		blocks[i] = NULL;
	}
	return NULL;
}

static void test_what_is_free_goes_back(void **state)
{
	const uint64_t all_bytes = (uint64_t)BLOCK_BYTES * BLOCKS;
	uint64_t before_bytes = resident_bytes(), after_bytes;
	pthread_t thread;

	(void)state;
	/* As large as an answer: malloc(3) then keeps twice as much free at a heap's end. */
	blocks[0] = malloc(24 << 20);
	assert_non_null(blocks[0]);
	blocks[0][0] = 1;
	free(blocks[0]);
#ifdef __SANITIZE_ADDRESS__
	skip();
#endif
	assert_int_equal(pthread_create(&thread, NULL, fill_and_free, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	mb_heap_trim();
	after_bytes = resident_bytes();
	/* A quarter is in use. */
	assert_true(after_bytes - before_bytes < all_bytes / 4 + all_bytes / 16);
	for (int i = 0; i < BLOCKS; i++)
		free(blocks[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_free_goes_back),
	};

	mb_heap_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
