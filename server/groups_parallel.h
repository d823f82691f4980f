/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * mb_groups_compute_kept() on several CPUs.
 *
 *	digest space  |-- range 0 --|-- range 1 --|-- range 2 --|	cut where the data is
 *	                 thread        thread        the caller
 *	groups            part 0        part 1        part 2
 *	                     `------------ merge ------------'		equal VM sets add up
 *
 * Groups are additive over disjoint ranges, so the result is the same, byte for byte, whatever the
 * number of threads.
 */
#ifndef MB_SERVER_GROUPS_PARALLEL_H
#define MB_SERVER_GROUPS_PARALLEL_H

#include "server/groups.h"

enum { MB_GROUPS_THREADS_MAX = 64 };

/*
 * `n_threads` 0: one per CPU that this process may run on, but fewer where there is too little to
 * do. `keep` NULL: all of all lists. The rest, errors too, as mb_groups_compute_kept(); beyond its
 * memory each range has its own groups until they are merged.
 */
int mb_groups_compute_parallel(struct mb_groups *ret, const struct mb_digest_list *lists,
			       const uint64_t *const *keep, uint32_t n_lists, uint64_t first,
			       uint64_t last, unsigned int n_threads, struct mb_err *err);

#endif
