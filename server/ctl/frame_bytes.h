/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a delta weighs on the wire. */
#ifndef MB_CTL_FRAME_BYTES_H
#define MB_CTL_FRAME_BYTES_H

#include "proto/msg.h"

/*
 * Length of the frame that an agent would send for `d`, of a pass that gained `added` pages;
 * `sample` as in mb_delta_msg.
 */
int mb_frame_bytes(const struct mb_delta *d, uint32_t bits, uint64_t added,
		   const struct mb_sample_of *sample, size_t *ret, struct mb_err *err);

#endif
