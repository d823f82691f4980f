// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/audit.h"

/* As many as `follows` has bits. */
enum { CLASSES_MAX = 32 };

size_t mb_audit_put_classes(uint8_t to[MB_AUDIT_BYTES_MAX], const uint64_t from[MB_CLASS_END])
{
	/* The room suffices: it is never allocated anew. */
	struct mb_buf b = { .data = to, .cap = MB_AUDIT_BYTES_MAX };
	unsigned int n = MB_CLASS_END;

	while (n && !from[n - 1])
		n--;
	for (unsigned int i = 0; i < n; i++)
		mb_buf_put_varint(&b, from[i]);
	return b.len;
}

int mb_audit_get_classes(struct mb_slice from, const char *what, uint64_t to[MB_CLASS_END],
			 struct mb_err *err)
{
	uint64_t v, sum = 0;

	for (unsigned int i = 0; from.len; i++) {
		if (i == CLASSES_MAX)
			return mb_fail(err, EBADMSG, "field pass.audit.%s: more than %d classes",
				       what, CLASSES_MAX);
		if (!mb_slice_get_varint(&from, &v) || v >> 63 || (sum += v) >> 63)
			return mb_fail(
				err, EBADMSG,
				"field pass.audit.%s: bad varint, or above 2^63, at class %u", what,
				i);
		to[i < MB_CLASS_END ? i : MB_CLASS_UNKNOWN] += v;
	}
	return 0;
}
