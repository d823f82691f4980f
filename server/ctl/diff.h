/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Two epochs of traces compared, down to ranges of frames. */
#ifndef MB_CTL_DIFF_H
#define MB_CTL_DIFF_H

#include <jansson.h>

#include "proto/base/err.h"

/*
 * `from` and `to` are FILE (the last epoch) or FILE#EPOCH; `to` NULL: the first epoch of FILE and
 * its last one. Frames are compared where they are stable in both, else contents alone. The
 * `ranges_max` longest ranges of frames come. *ret: the JSON of `mbctl diff` (docs/json.md).
 * -EXDEV: digests that cannot be compared.
 */
int mb_diff_make(const char *from, const char *to, size_t ranges_max, json_t **ret,
		 struct mb_err *err);

#endif
