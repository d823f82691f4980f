/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The seed's trace format: one decimal 32-bit SuperFastHash a line, one line per in-use page; the
 * last line may lack its newline.
 */
#ifndef MB_TRACE_SEED_H
#define MB_TRACE_SEED_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

struct mb_trace_seed {
	uint64_t line; /* lines complete so far */
	uint64_t value;
	bool in_number;
	/* Called with each hash; an error stops the parser. */
	int (*hash)(void *ctx, uint32_t hash, struct mb_err *err);
	void *ctx;
};

/* Any piece of the text; -EBADMSG names the line. */
int mb_trace_seed_feed(struct mb_trace_seed *t, struct mb_slice text, struct mb_err *err);
/* After the last piece. -EBADMSG when there was no line at all. */
int mb_trace_seed_end(struct mb_trace_seed *t, struct mb_err *err);

#endif
