/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A run as it goes, to standard output: one block that is drawn over on a terminal, else a line an
 * epoch.
 */
#ifndef MB_CHURN_LIVE_H
#define MB_CHURN_LIVE_H

#include "proto/churn/churn_summary.h"

struct mb_churn_live {
	bool on, terminal;
	unsigned int lines; /* of the block that is there */
};

/* `on` false: nothing is shown. */
void mb_churn_live_begin(struct mb_churn_live *l, bool on);
void mb_churn_live_row(struct mb_churn_live *l, const struct mb_churn_config *config,
		       const struct mb_churn_row *row, const struct mb_churn_sums *sums);
/* What was drawn stays; the next run draws below. */
void mb_churn_live_end(struct mb_churn_live *l);

#endif
