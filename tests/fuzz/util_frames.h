/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Mutating through frames. A changed byte in a frame's payload nearly always ends at zstd's
 * checksum; so mostly one frame of the input is opened, its message changed, and closed again.
 */
#ifndef MB_UTIL_FRAMES_H
#define MB_UTIL_FRAMES_H

#include <stddef.h>
#include <stdint.h>

/* As LLVMFuzzerCustomMutator(), for inputs that are a row of frames. */
size_t mutate_frames(uint8_t *data, size_t n, size_t max, unsigned int seed);

#endif
