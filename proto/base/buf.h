/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes: a growing buffer to write to, a slice to read from, and the integers both carry.
 *
 * A buffer that could not grow stays `failed`; writers need not check each put, only mb_buf_check()
 * at the end. A reader never runs past its slice: each get returns false at the end of it.
 */
#ifndef MB_BASE_BUF_H
#define MB_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proto/base/err.h"

struct mb_slice {
	const uint8_t *data; /* borrowed */
	size_t len;	     /* bytes */
};

struct mb_buf {
	uint8_t *data; /* owned */
	size_t len, cap;
	bool failed;
};

void mb_buf_deinit(struct mb_buf *b);
/* Forgets the content, keeps the memory. */
void mb_buf_clear(struct mb_buf *b);
/* Makes room for `n` more bytes and returns where they go (b->len is not moved), or NULL. */
uint8_t *mb_buf_reserve(struct mb_buf *b, size_t n);
void mb_buf_put(struct mb_buf *b, const void *data, size_t n);
void mb_buf_put_u8(struct mb_buf *b, uint8_t v);
/* Unsigned LEB128, as in protobuf. */
void mb_buf_put_varint(struct mb_buf *b, uint64_t v);
int mb_buf_check(const struct mb_buf *b, const char *what, struct mb_err *err);

static inline struct mb_slice mb_buf_slice(const struct mb_buf *b)
{
	return (struct mb_slice){ b->data, b->len };
}

bool mb_slice_get(struct mb_slice *s, const uint8_t **ret, size_t n);
bool mb_slice_get_u8(struct mb_slice *s, uint8_t *ret);
/* False when the slice ends in it, and for more than 64 bits. */
bool mb_slice_get_varint(struct mb_slice *s, uint64_t *ret);

static inline void mb_put_le32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
	p[2] = (uint8_t)(v >> 16);
	p[3] = (uint8_t)(v >> 24);
}

static inline uint32_t mb_get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void mb_put_le64(uint8_t *p, uint64_t v)
{
	mb_put_le32(p, (uint32_t)v);
	mb_put_le32(p + 4, (uint32_t)(v >> 32));
}

static inline uint64_t mb_get_le64(const uint8_t *p)
{
	return mb_get_le32(p) | (uint64_t)mb_get_le32(p + 4) << 32;
}

#endif
