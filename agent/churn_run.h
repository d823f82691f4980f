/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One run of `mbagent churn`: a source is read epoch by epoch while a command runs, or for a time,
 * or until the source ends.
 *
 *	start the command -> open the source -> { epoch -> row -> wait } ... -> the run's JSON
 */
#ifndef MB_CHURN_RUN_H
#define MB_CHURN_RUN_H

#include <jansson.h>

#include "agent/churn_live.h"
#include "agent/churn_reference.h"
#include "agent/config.h"
#include "agent/ticker.h"
#include "agent/tracking.h"
#include "proto/churn/churn.h"

/* The source that is the command's own memory. */
#define MB_CHURN_COMMAND "command"

struct mb_churn_plan {
	struct mb_agent_config agent;
	struct mb_tracking tracking;
	char *const *command; /* ends with NULL; NULL: there is none */
	bool asks;	      /* it says itself when epochs are due */
	uint64_t interval_ns;
	uint64_t for_ns; /* 0: no end */
	uint64_t epochs; /* of the run, epoch 0 among them; 0: no end */
	uint64_t warmup; /* epochs before epoch 0 that do not count */
	const char *references[MB_CHURN_REFERENCES_MAX];
	size_t n_references;
	uint64_t windows_ns[MB_CHURN_WINDOWS_MAX]; /* ascending */
	uint32_t n_windows;
	bool live;
	void (*refused)(void *ctx, const char *name, const char *reason); /* a tracker */
};

struct mb_churn_result {
	json_t *run; /* of docs/json.md, churn; owned */
	/* Of the source, for the report. */
	char source[160];
	const char *tracker; /* a constant string */
	bool by_frame, stopped;
	int exit_code; /* the command's; 0: there was none, or the run's end was its end */
};

/*
 * `ticker` stops it. When it fails, *ret has the exit code alone. A run of less than two epochs has
 * not measured anything: -ENODATA.
 */
int mb_churn_run(const struct mb_churn_plan *plan, struct mb_ticker *ticker,
		 struct mb_churn_result *ret, struct mb_err *err);

#endif
