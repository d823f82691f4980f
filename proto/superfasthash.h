/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SuperFastHash, 32 bits (Paul Hsieh, 2004): the hash of the seed project's traces, bit-exact.
 *
 * For comparison with old traces only: on structured pages it collides thousands of times more
 * often than 32 bits should.
 */
#ifndef MB_SUPERFASTHASH_H
#define MB_SUPERFASTHASH_H

#include <stddef.h>
#include <stdint.h>

/* `len` in bytes, a multiple of 4 (a page always is). */
uint32_t mb_superfasthash(const void *data, size_t len);

#endif
