/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How a test program of a guest speaks and ends: exit code 0 good, 77 skipped,
 * else failed. */
#ifndef UTIL_TEST_H
#define UTIL_TEST_H

#include <stdint.h>

#define TEST_PRINTF(f) __attribute__((format(printf, f, f + 1)))

void say(const char *format, ...) TEST_PRINTF(1);
_Noreturn void fail(const char *format, ...) TEST_PRINTF(1);
/* The last line is the reason. */
_Noreturn void skip(const char *format, ...) TEST_PRINTF(1);
/* As fail(), with what errno says. */
_Noreturn void fail_errno(const char *format, ...) TEST_PRINTF(1);

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition))                                                                  \
			fail("%s:%d: not true: %s", __FILE__, __LINE__, #condition);               \
	} while (0)

/* Seconds of a clock that never goes back. */
double now(void);
void nap(double seconds);

/* Waits for a child of our own; it must have ended with 0. */
void wait_good(int pid, const char *what);

/* splitmix64 */
uint64_t random64(uint64_t *state);
/* Another one in each run. */
uint64_t random_seed(void);

#endif
