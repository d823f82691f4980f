/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Text into a buffer: formatted, and escaped for XML and HTML. */
#ifndef MB_CHURN_PUT_H
#define MB_CHURN_PUT_H

#include <jansson.h>

#include "proto/base/buf.h"

void mb_put(struct mb_buf *to, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * Any text, as content or as an attribute in quotes of either kind. What XML cannot hold (control
 * characters, bytes that are no UTF-8) becomes U+FFFD.
 */
void mb_put_escaped(struct mb_buf *to, const char *text);

/* Numbers of JSON as text: null and what is missing as `none`. */
void mb_put_number(struct mb_buf *to, const json_t *o, const char *key, int digits,
		   const char *none);

/* A scope guard. */
void mb_json_unrefp(json_t **j);
/* A number, or NAN. */
double mb_json_number(const json_t *o, const char *key);
/* null for NAN and infinities, which JSON does not have. */
json_t *mb_json_real(double v);
/* `text` as UTF-8, other bytes '?': JSON takes nothing else. */
json_t *mb_json_any_text(const char *text);

#endif
