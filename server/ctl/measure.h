/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Smaller fingerprints held against whole ones: what each takes on the wire, and by how much the
 * sharing that it says is off, on given traces.
 */
#ifndef MB_CTL_MEASURE_H
#define MB_CTL_MEASURE_H

#include <jansson.h>

#include "server/ctl/load.h"

/* *ret: the JSON of `mbctl succinct` (docs/json.md). -EINVAL: fewer than two comparable traces. */
int mb_succinct_measure(const struct mb_loads *loads, json_t **ret, struct mb_err *err);

#endif
