/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What all targets want: to say what must hold, to take numbers off the input, to show the input as
 * a file.
 */
#ifndef MB_UTIL_FUZZ_H
#define MB_UTIL_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/base/reader.h"

/* libFuzzer's side; the first is every target's, the others are optional. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerInitialize(int *argc, char ***argv);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t n, size_t max, unsigned int seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t n, size_t max);

/* Unlike assert() it is there whatever the flags. */
#define must(what) ((what) ? (void)0 : must_failed(#what, __FILE__, __LINE__))
void must_failed(const char *what, const char *file, int line) __attribute__((noreturn));
/* r is 0; shows the reason if it is not. */
void must_ok(int r, const struct mb_err *err);
/* r is an error, and has a reason. */
void must_fail(int r, const struct mb_err *err);

/* Little endian off the front; zeros after the end. */
uint64_t take(struct mb_slice *in, unsigned int bytes);
/* So many bytes, or what is left. */
struct mb_slice take_bytes(struct mb_slice *in, size_t n);

struct mb_reader slice_reader(struct mb_slice *in);

/*
 * The path of a file in memory with these bytes, and zeros up to `min`. There is only one: the next
 * call changes it.
 */
const char *memory_file(const void *data, size_t n, size_t min);

#endif
