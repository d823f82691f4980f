/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What every unit test wants: cmocka's headers, a seeded generator, real traces when present. */
#ifndef MB_UTIL_TEST_H
#define MB_UTIL_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/err.h"
#include "proto/fingerprint.h"

/* Deterministic: the same seed gives the same run everywhere. */
struct rng {
	uint64_t state;
};
uint64_t rng_next(struct rng *r);
/* In [0, n). */
uint64_t rng_below(struct rng *r, uint64_t n);

/* A random fingerprint of about `n` digests drawn from [0, space), with some of many copies. */
void random_fingerprint(struct rng *r, size_t n, uint64_t space, struct mb_fingerprint *ret);

void assert_fingerprint_equal(const struct mb_fingerprint *a, const struct mb_fingerprint *b);

/* Fails the test with the reason when `r` is not 0. */
void assert_ok(int r, const struct mb_err *err);
/* Fails unless r == -code and the reason contains `word`. */
void assert_fails(int r, int code, const struct mb_err *err, const char *word);

/* Folder of the real traces, or NULL after saying why the test skips. */
const char *traces_dir(void);

#endif
