/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * GET /metrics: the server and its fleet for Prometheus; docs/metrics.md has every name.
 *
 * A scrape computes nothing: of sharing it tells what was computed last, by a question or for the
 * history.
 */
#ifndef MB_SERVER_API_METRICS_H
#define MB_SERVER_API_METRICS_H

#include "proto/base/buf.h"
#include "server/api.h"

int mb_api_metrics(struct mb_api *api, struct mb_buf *ret, struct mb_err *err);

#endif
