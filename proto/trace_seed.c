// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/trace_seed.h"

#include <inttypes.h>

static int end_of_line(struct mb_trace_seed *t, struct mb_err *err)
{
	if (!t->in_number)
		return mb_fail(err, EBADMSG, "line %" PRIu64 ": empty", t->line + 1);
	t->line++;
	t->in_number = false;
	return t->hash(t->ctx, (uint32_t)t->value, err);
}

int mb_trace_seed_feed(struct mb_trace_seed *t, struct mb_slice text, struct mb_err *err)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.data[i];

		if (c == '\n') {
			int r = end_of_line(t, err);

			if (r < 0)
				return r;
			continue;
		}
		if (c < '0' || c > '9')
			return mb_fail(err, EBADMSG,
				       c >= ' ' && c <= '~' ? "line %" PRIu64 ": '%c' is no digit" :
							      "line %" PRIu64
							      ": byte 0x%02x is no digit",
				       t->line + 1, c);
		t->value = (t->in_number ? t->value * 10 : 0) + (c - '0');
		t->in_number = true;
		if (t->value > UINT32_MAX)
			return mb_fail(err, EBADMSG, "line %" PRIu64 ": number above 32 bits",
				       t->line + 1);
	}
	return 0;
}

int mb_trace_seed_end(struct mb_trace_seed *t, struct mb_err *err)
{
	if (t->in_number)
		return end_of_line(t, err);
	return t->line ? 0 : mb_fail(err, EBADMSG, "no line in it");
}
