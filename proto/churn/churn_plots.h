/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A run's plots: what was dirtied by class and by kind, digests, what is sharable and lasts. */
#ifndef MB_CHURN_PLOTS_H
#define MB_CHURN_PLOTS_H

#include <jansson.h>

#include "proto/base/buf.h"

/* `run` of a report (docs/json.md, churn) that has these windows. */
void mb_churn_plots(const json_t *run, const json_t *windows_s, struct mb_buf *to);

#endif
