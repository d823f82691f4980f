// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/gzip.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

/* It is waited for: level 6 takes six times as long for a fifth less. */
enum { LEVEL = 1, GZIP_WINDOW_BITS = 15 + 16, MEM_LEVEL = 8 };

/* "gzip", "gzip;q=0.5", but not "gzip;q=0". */
static bool is_gzip(const char *word, size_t len)
{
	const char *q;

	if (len < 4 || strncasecmp(word, "gzip", 4) != 0)
		return false;
	q = memchr(word, '=', len);
	return len == 4 || (strchr("; \t", word[4]) && (!q || strtod(q + 1, NULL) > 0));
}

bool mb_gzip_accepted(const char *accept_encoding)
{
	const char *at = accept_encoding ? accept_encoding : "";

	while (*(at += strspn(at, ", \t"))) {
		size_t len = strcspn(at, ",");

		if (is_gzip(at, len))
			return true;
		at += len;
	}
	return false;
}

int mb_gzip(struct mb_slice from, struct mb_buf *ret, struct mb_err *err)
{
	z_stream z = { 0 };
	uint8_t *to;
	uLong bound;
	int r;

	if (from.len > UINT_MAX / 2)
		return mb_fail(err, EFBIG, "%zu bytes to compress", from.len);
	if (deflateInit2(&z, LEVEL, Z_DEFLATED, GZIP_WINDOW_BITS, MEM_LEVEL, Z_DEFAULT_STRATEGY) !=
	    Z_OK)
		return mb_fail_mem(err, "compression");
	bound = deflateBound(&z, from.len);
	to = mb_buf_reserve(ret, bound);
	if (to) {
		z.next_in = (Bytef *)(uintptr_t)from.data;
		z.avail_in = (uInt)from.len;
		z.next_out = to;
		z.avail_out = (uInt)bound;
	}
	r = to ? deflate(&z, Z_FINISH) : Z_MEM_ERROR;
	ret->len += r == Z_STREAM_END ? z.total_out : 0;
	deflateEnd(&z);
	return r == Z_STREAM_END ? 0 : mb_fail_mem(err, "compression");
}
