/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Messages taken apart, or refused. */
#ifndef MB_UTIL_MSG_H
#define MB_UTIL_MSG_H

#include "tests/unit/util_wire.h"

/* In a block of its exact size, so that a read past the end is seen. */
int unpack_exact(struct mb_slice raw, struct mb_msg *ret, struct mb_err *err);

void assert_msg_refused(const struct mb_buf *raw, int code, const char *word);

/* Unpacks what may be anything; what is accepted must be whole enough to pack again. */
bool msg_survives(struct mb_slice raw);

void pb_pass(struct mb_buf *b, uint32_t field, uint32_t big, const char *tracker);

#endif
