/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The break: where a conversation begins on a line, which has no connections of its own (FORMAT.md,
 * 3.1). What came before it belongs to nobody. Its magic has no byte that a text may have, and no
 * part that starts it anew.
 */
#ifndef MB_BREAK_H
#define MB_BREAK_H

#include <stdbool.h>

#include "proto/base/buf.h"

enum { MB_BREAK_MAGIC_BYTES = 16, MB_BREAK_BYTES = 24 };

extern const uint8_t mb_break_magic[MB_BREAK_MAGIC_BYTES];

/* Appends one. The token tells whose it is; 0: a server's that asks who is there. */
void mb_break_put(struct mb_buf *out, uint64_t token);
/* Of MB_BREAK_BYTES that start with the magic. */
uint64_t mb_break_token(const uint8_t *bytes);
/*
 * Drops what is before the first break, and takes it. False: there is none; what is left may be the
 * start of one.
 */
bool mb_break_take(struct mb_slice *in, uint64_t *ret_token);
/* The same, but drops nothing unless there is one. */
bool mb_break_take_if_any(struct mb_slice *in, uint64_t *ret_token);

#endif
