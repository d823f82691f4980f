/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The churn of a trace from epoch to epoch, as figures that benchmarks follow. */
#ifndef MB_CTL_TRACE_CHURN_H
#define MB_CTL_TRACE_CHURN_H

#include <jansson.h>

#include "proto/base/err.h"

/*
 * One run's values into `metrics` (proto/churn/bench.h). A trace of one epoch has no figures of
 * change. By frame where the trace's frames are stable, else by content. Where it does not say when
 * epochs were taken, there is no rate.
 */
int mb_trace_churn(const char *path, json_t *metrics, struct mb_err *err);

#endif
