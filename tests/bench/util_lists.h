/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The fleets of mb_synth_fleets[], as lists of digests: what a server would hold of them. The
 * groups that they were made from are what must be found in them again.
 */
#ifndef MB_UTIL_LISTS_H
#define MB_UTIL_LISTS_H

#include "tests/bench/synth_fleet.h"

struct bench_lists {
	struct mb_synth_fleet fleet;
	struct mb_digest_list *lists; /* [0, n) */
	uint64_t **digests;	      /* what they point to; [0, n), owned */
	uint32_t n;
	uint64_t n_entries;
};

/* `vms` and `pages` (distinct ones, of a VM) in place of the fleet's own; sharing in proportion. */
void bench_lists_make(struct bench_lists *l, const char *fleet, uint32_t vms, uint32_t pages);
void bench_lists_free(struct bench_lists *l);

#endif
