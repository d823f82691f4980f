/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A report of churn as JSON, by hand, with names that nobody should have; and markup checked. */
#ifndef MB_UTIL_CHURN_H
#define MB_UTIL_CHURN_H

#include <jansson.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/churn/put.h"
#include "tests/unit/util_test.h"

/* Two runs of three epochs, two windows, a reference, who, a gate of which one check failed. */
json_t *churn_report(void);
/* What `make` writes of it, closed with a NUL. */
void churn_written(void (*make)(const json_t *root, struct mb_buf *to), const json_t *root,
		   struct mb_buf *ret);
void assert_has(const struct mb_buf *text, const char *part);
void assert_has_not(const struct mb_buf *text, const char *part);
/*
 * Tags are closed in order (but for those of HTML that are not), attributes are quoted, '<' and '&'
 * stand for nothing else. What is in <style> is passed over.
 */
void assert_markup(const struct mb_buf *text);

#endif
