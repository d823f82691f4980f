/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A trace file read epoch by epoch, with its frames. */
#ifndef MB_CTL_TRACE_FILE_H
#define MB_CTL_TRACE_FILE_H

#include "proto/base/file.h"
#include "proto/fingerprint.h"
#include "proto/trace.h"

struct mb_trace_file {
	const char *path; /* borrowed */
	struct mb_file *file;
	struct mb_reader reader;
	struct mb_trace *trace;
	/* The last epoch read. */
	const struct mb_page *pages; /* valid until the next one; ascending by frame */
	size_t n_pages;
	uint64_t epoch;	   /* of a seed trace, which has no numbers: 1 */
	uint64_t taken_ns; /* unix; 0: not known */
};

/* Must stay where it is while it is open. Errors start with the path. */
int mb_trace_file_open(struct mb_trace_file *t, const char *path, struct mb_err *err);
void mb_trace_file_close(struct mb_trace_file *t);
const struct mb_trace_header *mb_trace_file_header(const struct mb_trace_file *t);
/* -ENODATA after the last epoch. */
int mb_trace_file_next(struct mb_trace_file *t, struct mb_err *err);
int mb_trace_file_fingerprint(const struct mb_trace_file *t, struct mb_fingerprint *ret,
			      struct mb_err *err);

#endif
