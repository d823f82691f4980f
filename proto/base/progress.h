/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A progress bar on standard error: only on a terminal, only for what takes longer than a moment.
 */
#ifndef MB_BASE_PROGRESS_H
#define MB_BASE_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

struct mb_progress {
	const char *what; /* borrowed */
	uint64_t start_ns, shown_ns;
	bool on, drawn;
};

void mb_progress_begin(struct mb_progress *p, const char *what);
/* `done` from 0 to 1. Cheap enough to call often. */
void mb_progress_update(struct mb_progress *p, double done);
/* Wipes the bar. */
void mb_progress_end(struct mb_progress *p);

#endif
