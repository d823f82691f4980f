/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loaded traces compared: self-sharing of each, inter-VM sharing of each two, deltas in a row. */
#ifndef MB_CTL_ANALYSIS_H
#define MB_CTL_ANALYSIS_H

#include <jansson.h>
#include <stdint.h>

#include "server/ctl/load.h"

/* *ret: the JSON of `mbctl analyze` (docs/json.md). `delta_bits` 0: without deltas. */
int mb_analysis_make(const struct mb_loads *loads, uint32_t delta_bits, json_t **ret,
		     struct mb_err *err);

#endif
