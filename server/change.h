/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What changed of a VM's contents over several fingerprints: digests that came or went, for whoever
 * keeps something that follows from them (server/recount.h). One that went and came back did not
 * change. Listed as long as that is a small part of what there is: above a quarter it is "all", and
 * takes no memory.
 */
#ifndef MB_SERVER_CHANGE_H
#define MB_SERVER_CHANGE_H

#include <stdbool.h>
#include <stddef.h>

#include "server/groups.h"

/* A list, and of its digests those that count: a bit each, by rank; NULL: all. */
struct mb_kept_list {
	struct mb_digest_list list;
	const uint64_t *keep;
};

struct mb_change {
	uint64_t *digests; /* [0, n), strictly ascending; owned */
	uint32_t n;
	bool all; /* anything may have changed; then n is 0 */
};

/* What changed from `from` to `to`, after what is in `c`. Short of memory it becomes "all". */
void mb_change_add(struct mb_change *c, const struct mb_kept_list *from,
		   const struct mb_kept_list *to);
void mb_change_set_all(struct mb_change *c);
/* Nothing has changed. */
void mb_change_deinit(struct mb_change *c);

static inline size_t mb_change_bytes(const struct mb_change *c)
{
	return c->n * sizeof(*c->digests);
}

#endif
