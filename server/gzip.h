/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers made smaller for who can take them so (zlib; RFC 9110, 8.4 and 12.5.3). Pure. */
#ifndef MB_SERVER_GZIP_H
#define MB_SERVER_GZIP_H

#include <stdbool.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

/* By a request's Accept-Encoding; NULL: it has none. */
bool mb_gzip_accepted(const char *accept_encoding);
/* `ret` is empty at first, and the caller's. */
int mb_gzip(struct mb_slice from, struct mb_buf *ret, struct mb_err *err);

#endif
