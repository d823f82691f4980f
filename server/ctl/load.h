/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Trace files to fingerprints: one per epoch. */
#ifndef MB_CTL_LOAD_H
#define MB_CTL_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/base/progress.h"
#include "proto/digest.h"
#include "proto/fingerprint.h"
#include "server/durable.h"

struct mb_loaded {
	char *label;	/* "FILE", or "FILE#EPOCH" of a compact trace; owned */
	uint64_t epoch; /* 0 in a seed trace, which has no numbers */
	bool seed;
	struct mb_identity identity;
	struct mb_fingerprint fingerprint;
	uint64_t taken_ns;	   /* unix; 0 where the trace does not say */
	struct mb_durable durable; /* by the epochs before, where only the last is kept */
};

struct mb_loads {
	struct mb_loaded *items; /* in the order read; owned */
	size_t n, cap;
	uint64_t durable_ns; /* how long contents stay that last; 0: all last */
};

/* Which part of the whole reading this file is, for the bar. */
struct mb_load_progress {
	struct mb_progress bar;
	size_t file, n_files;
};

/*
 * Appends the epochs of one trace, or only the last of them. Errors start with the path. `progress`
 * may be NULL.
 */
int mb_load_trace(struct mb_loads *to, const char *path, bool only_last,
		  struct mb_load_progress *progress, struct mb_err *err);
/* All epochs of all, with a bar of progress. */
int mb_load_traces(struct mb_loads *to, char *const *paths, size_t n_paths, struct mb_err *err);
void mb_loads_deinit(struct mb_loads *l);

/*
 * The fingerprint as it would travel: raw digests keyed with a fixed key to `bits` (32: raw
 * SuperFastHash as it is). One that is keyed already is copied as it is. *ret_bits says which.
 */
int mb_load_as_sent(const struct mb_loaded *from, uint32_t bits, struct mb_fingerprint *ret,
		    uint32_t *ret_bits, struct mb_err *err);

#endif
