/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sorted digests as gaps in byte planes.
 *
 * The gaps of n sorted random digests are geometric around 2^bits / n: the bits below that are
 * noise, those above nearly always zero, and only the few in between can be compressed. So every
 *gap is split at a bit `shift` near there, and what belongs together is stored together:
 *
 *	byte 0		shift
 *	n bytes each	bits [0,8) of every gap, [8,16), ... below shift (the last one may be
 *partial) n bytes each	bits [shift, shift+8), [shift+8, ...) ... up to `bits`
 *
 * zstd leaves the first planes as they are and codes the others to their entropy.
 */
#ifndef MB_PLANES_H
#define MB_PLANES_H

#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

/* Appends; `digests` strictly ascending, each within `bits`. Nothing for n = 0. */
void mb_planes_encode(const uint64_t *digests, uint32_t n, uint32_t bits, struct mb_buf *out);
/* -EBADMSG unless `in` holds exactly n digests, strictly ascending, each within `bits`. */
int mb_planes_decode(struct mb_slice in, uint32_t n, uint32_t bits, uint64_t *ret_digests,
		     struct mb_err *err);

#endif
