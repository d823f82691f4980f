/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Metrics as Prometheus reads them: its text format 0.0.4, into a buffer.
 *
 *	mb_metrics_family(&m, "memory_buddies_vm_pages", MB_GAUGE, "Pages of the VM.");
 *	mb_metrics_label(&m, "vm", name);
 *	mb_metrics_put(&m, 31657);
 *
 * All samples of a family follow it. Names and help are the program's own, and trusted; values of
 * labels are anybody's. Source: prometheus.io, "Exposition formats", "Metric and label naming".
 */
#ifndef MB_METRICS_H
#define MB_METRICS_H

#include "proto/base/buf.h"
#include "proto/base/process_info.h"

enum mb_metrics_type {
	MB_GAUGE,
	MB_COUNTER, /* the name ends in _total */
};

struct mb_metrics {
	struct mb_buf *out;   /* borrowed; mb_buf_check() at the end */
	const char *name;     /* of the family */
	unsigned int n_labels; /* of the sample that is being written */
};

void mb_metrics_family(struct mb_metrics *m, const char *name, enum mb_metrics_type type,
		       const char *help);
/* Of the next sample. */
void mb_metrics_label(struct mb_metrics *m, const char *name, const char *value);
/* A sample, with the labels since the last one. Whole numbers up to 2^53 are exact. */
void mb_metrics_put(struct mb_metrics *m, double value);

/* A family of one sample without labels. */
void mb_metrics_one(struct mb_metrics *m, const char *name, enum mb_metrics_type type,
		    const char *help, double value);

/* The process_... families that client libraries of Prometheus have, too. */
void mb_metrics_process(struct mb_metrics *m, const struct mb_process_info *info);

#endif
