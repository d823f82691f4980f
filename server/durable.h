/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which contents of a VM last: digests that it has held without a break for a time.
 *
 *	   old_ns            young_ns            now
 *	-----|-----------------|------------------|---->
 *	     |<---- at least the time ----------->|
 *	     held since then: durable, bit of `old`
 *	                       held since then: bit of `young`
 *
 * Two bits per digest, carried from fingerprint to fingerprint by one merge of the sorted lists.
 * When `young` has become old enough, it takes the place of `old`, and a new one begins. So nothing
 * is durable before the time is over, and all that stays is when twice that is (and one pass).
 *
 * A VM that is known for less than the time is durable as a whole: to call nothing durable would be
 * a guess, too, and would let all sharing look fleeting when a server was just started.
 */
#ifndef MB_SERVER_DURABLE_H
#define MB_SERVER_DURABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "server/groups.h"

struct mb_durable {
	bool whole; /* known for less than the time; `old` does not count */
	uint32_t n; /* distinct digests of the fingerprint: bits are by rank */
	uint64_t old_ns, young_ns;
	uint64_t *old, *young; /* NULL: all bits are set; owned */
};

/* Of a fingerprint of `n` digests that is the first one of its VM, seen at `now_ns`. */
void mb_durable_start(struct mb_durable *d, uint32_t n, uint64_t now_ns);
/*
 * What `prev`, of the list `from`, becomes with the list `to` at `now_ns`. `time_ns` 0: all
 * contents are durable. A clock that goes back is one that stands.
 */
int mb_durable_carry(struct mb_durable *ret, const struct mb_durable *prev,
		     const struct mb_digest_list *from, const struct mb_digest_list *to,
		     uint64_t now_ns, uint64_t time_ns, struct mb_err *err);
int mb_durable_copy(struct mb_durable *ret, const struct mb_durable *d, struct mb_err *err);
void mb_durable_deinit(struct mb_durable *d);
/* Memory held, in bytes, beside the struct itself. */
size_t mb_durable_bytes(const struct mb_durable *d);

static inline bool mb_durable_has(const struct mb_durable *d, uint32_t rank)
{
	return d->whole || !d->old || (d->old[rank / 64] >> rank % 64 & 1);
}

/* The durable ones of list[first, last), to ret[]; how many. */
uint32_t mb_durable_filter(const struct mb_durable *d, const struct mb_digest_list *list,
			   uint32_t first, uint32_t last, uint64_t *ret);

#endif
