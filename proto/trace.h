/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Traces: epochs of one VM's pages in a file, to be played again later.
 *
 * Two formats, told apart by their first bytes: the seed's text (trace_seed.h; one epoch, a line's
 * number stands for the frame) and our compact one, a row of frames (frame.h):
 *
 *	TraceHeader  { TracePages ...  TraceEpoch }  { TracePages ...  TraceEpoch }  ...
 *
 * TraceEpoch closes an epoch with the fingerprint it must have: a trace cut short is noticed.
 */
#ifndef MB_TRACE_H
#define MB_TRACE_H

#include "proto/base/reader.h"
#include "proto/msg.h"
#include "proto/page.h"

/* Writing: each appends frames to `out`. Pages by ascending frame, also from call to call. */
int mb_trace_put_header(const struct mb_trace_header *h, struct mb_buf *out, struct mb_err *err);
int mb_trace_put_pages(const struct mb_page *pages, size_t n, struct mb_buf *out,
		       struct mb_err *err);
int mb_trace_put_epoch(const struct mb_trace_epoch *e, struct mb_buf *out, struct mb_err *err);

struct mb_trace;
/* Reads up to the first page. `reader` must live as long as the trace. */
int mb_trace_open(const struct mb_reader *reader, struct mb_trace **ret, struct mb_err *err);
void mb_trace_close(struct mb_trace *t);
/* A seed trace has an identity of raw 32-bit SuperFastHash, no names, and no boot. */
const struct mb_trace_header *mb_trace_get_header(const struct mb_trace *t);
bool mb_trace_is_seed(const struct mb_trace *t);
/*
 * The next epoch's pages, valid until the next call; -ENODATA after the last one. For a seed trace
 * *ret_epoch is all zero but for its fingerprint (without `distinct`).
 */
int mb_trace_next(struct mb_trace *t, const struct mb_page **ret_pages, size_t *ret_n,
		  struct mb_trace_epoch *ret_epoch, struct mb_err *err);

#endif
