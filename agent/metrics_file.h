/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The agent's metrics as a file for node_exporter's textfile collector: a guest needs no port of
 * its own, and an agent that has dropped its privileges no listener. Written anew after every epoch
 * and at an ack; whoever reads it sees the old one or the new one, whole.
 *
 * Source: node_exporter, "Textfile Collector": files named *.prom, renamed into place.
 */
#ifndef MB_METRICS_FILE_H
#define MB_METRICS_FILE_H

#include "agent/pace.h"
#include "agent/pass.h"

struct mb_metrics_file {
	const char *path; /* borrowed; NULL: none is wanted, and nothing is done */
	const char *vm, *tracker;
	uint64_t epochs, full_walks, read_pages, changed_pages, acked_epoch, sent_bytes;
	double acked_unix_s; /* 0: never */
	struct mb_pass_info last;
	uint64_t pages, distinct;
	struct mb_audit audit; /* sums */
};

/* Counts; `e`'s fingerprint must still be there. */
void mb_metrics_file_epoch(struct mb_metrics_file *f, const struct mb_epoch *e);
void mb_metrics_file_acked(struct mb_metrics_file *f, uint64_t epoch, size_t wire_bytes,
			   uint64_t unix_ns);
/* The reason names the file. */
int mb_metrics_file_write(const struct mb_metrics_file *f, const struct mb_pace *pace,
			  struct mb_err *err);

#endif
