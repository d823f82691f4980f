/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Churn as JSON (docs/json.md, churn). All reports are made of it, whoever has measured. All give a
 * new reference; NULL: out of memory.
 */
#ifndef MB_CHURN_JSON_H
#define MB_CHURN_JSON_H

#include <jansson.h>

#include "proto/churn/churn_summary.h"
#include "proto/who.h"

/* `who` NULL, or not counted: it is not known who dirtied frames. */
json_t *mb_churn_row_json(const struct mb_churn_config *config, const struct mb_churn_row *row,
			  const struct mb_who *who);
json_t *mb_churn_summary_json(const struct mb_churn_config *config,
			      const struct mb_churn_summary *summary);
/* What of one kind lasts: "self" and "reference" of a summary. */
json_t *mb_churn_kind_json(const struct mb_churn_config *config,
			   const struct mb_churn_kind_summary *kind);
/* Most first, the others last. */
json_t *mb_churn_who_json(const struct mb_who *who);
/* The figures of a run's "summary" that benchmarks follow, into `metrics` (bench.h). -ENOMEM. */
int mb_churn_measure(const json_t *summary, json_t *metrics);

/* A run while it is measured. */
struct mb_churn_log {
	const struct mb_churn_config *config; /* borrowed */
	json_t *epochs;
	struct mb_churn_sums sums;
	struct mb_who who; /* of all epochs but the first, which is what was before */
};
int mb_churn_log_init(struct mb_churn_log *l, const struct mb_churn_config *config,
		      struct mb_err *err);
void mb_churn_log_deinit(struct mb_churn_log *l);
int mb_churn_log_add(struct mb_churn_log *l, const struct mb_churn_row *row,
		     const struct mb_who *who, struct mb_err *err);
/* { "epochs", "summary", "who" }; the log is empty then. */
json_t *mb_churn_log_take(struct mb_churn_log *l);

#endif
