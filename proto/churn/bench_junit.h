/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A report as JUnit XML, as CI systems show it: a suite, in which the command of each run is a test
 * case (failed by an exit code that is not 0), and so is each metric: one that a gate holds fails
 * when the gate says so.
 */
#ifndef MB_BENCH_JUNIT_H
#define MB_BENCH_JUNIT_H

#include <jansson.h>

#include "proto/base/buf.h"

/* `root`: "name", "metrics" and, where they are, "runs" and "gate" (docs/json.md, churn). */
void mb_bench_junit(const json_t *root, struct mb_buf *to);

#endif
