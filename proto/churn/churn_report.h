/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reports of churn, all of the same JSON (docs/json.md, churn), whoever has measured. What it lacks
 * is shown as "-" or left out. mb_buf_check() of `to` tells whether all is there.
 */
#ifndef MB_CHURN_REPORT_H
#define MB_CHURN_REPORT_H

#include <jansson.h>

#include "proto/base/buf.h"

/* A summary for people, at most 100 columns but for long names. */
void mb_churn_text(const json_t *root, struct mb_buf *to);
/* A line an epoch of each run, after one of heads; what is not known is empty. */
void mb_churn_csv(const json_t *root, struct mb_buf *to);
/* One file without scripts that loads nothing: light and dark, for wide and for narrow screens. */
void mb_churn_html(const json_t *root, struct mb_buf *to);

#endif
