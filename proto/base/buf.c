// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/buf.h"

#include <stdlib.h>

void mb_buf_deinit(struct mb_buf *b)
{
	free(b->data);
	*b = (struct mb_buf){ 0 };
}

void mb_buf_clear(struct mb_buf *b)
{
	b->len = 0;
	b->failed = false;
}

uint8_t *mb_buf_reserve(struct mb_buf *b, size_t n)
{
	size_t need, cap;
	uint8_t *data;

	if (b->failed)
		return NULL;
	if (b->cap - b->len >= n && b->data)
		return b->data + b->len;
	if (__builtin_add_overflow(b->len, n, &need))
		goto failed;
	cap = b->cap + b->cap / 2;
	cap = cap < need ? need : cap;
	cap = cap < 64 ? 64 : cap;
	data = realloc(b->data, cap);
	if (!data)
		goto failed;
	b->data = data;
	b->cap = cap;
	return b->data + b->len;
failed:
	b->failed = true;
	return NULL;
}

void mb_buf_put(struct mb_buf *b, const void *data, size_t n)
{
	uint8_t *to = mb_buf_reserve(b, n);

	if (!to || !n)
		return;
	memcpy(to, data, n);
	b->len += n;
}

void mb_buf_put_u8(struct mb_buf *b, uint8_t v)
{
	mb_buf_put(b, &v, 1);
}

void mb_buf_put_varint(struct mb_buf *b, uint64_t v)
{
	uint8_t tmp[10];
	size_t n = 0;

	while (v >= 0x80) {
		tmp[n++] = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	tmp[n++] = (uint8_t)v;
	mb_buf_put(b, tmp, n);
}

int mb_buf_check(const struct mb_buf *b, const char *what, struct mb_err *err)
{
	return b->failed ? mb_fail_mem(err, what) : 0;
}

bool mb_slice_get(struct mb_slice *s, const uint8_t **ret, size_t n)
{
	if (s->len < n)
		return false;
	*ret = s->data;
	s->data += n;
	s->len -= n;
	return true;
}

bool mb_slice_get_u8(struct mb_slice *s, uint8_t *ret)
{
	const uint8_t *p;

	if (!mb_slice_get(s, &p, 1))
		return false;
	*ret = *p;
	return true;
}

bool mb_slice_get_varint(struct mb_slice *s, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned int shift = 0; shift < 64; shift += 7) {
		uint8_t byte;

		if (!mb_slice_get_u8(s, &byte))
			return false;
		if (shift == 63 && byte > 1)
			return false;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (!(byte & 0x80)) {
			*ret = v;
			return true;
		}
	}
	return false;
}
