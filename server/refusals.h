/* SPDX-License-Identifier: GPL-2.0-or-later */
/* How often agents were refused, by reason: for their certificates, for now, for quotas. */
#ifndef MB_SERVER_REFUSALS_H
#define MB_SERVER_REFUSALS_H

#include <stdatomic.h>
#include <stdint.h>

#include "proto/base/tls.h"
#include "server/quota.h"

enum mb_refused_for {
	MB_FOR_NO_CERTIFICATE,
	MB_FOR_UNKNOWN_CA,
	MB_FOR_EXPIRED,
	MB_FOR_REVOKED, /* also in the middle of a session */
	MB_FOR_NOT_TLS13,
	MB_FOR_BAD_CERTIFICATE,
	MB_FOR_BROKEN_HANDSHAKE,
	MB_FOR_OTHER_VM, /* its certificate does not name the VM */
	MB_FOR_TOO_MANY, /* connections, of all agents together */
	MB_FOR_STORE,	 /* what it sent could not be kept */
	MB_FOR_QUOTA,	 /* and the kind of quota that is used up */
	MB_FOR_END = MB_FOR_QUOTA + MB_QUOTA_END,
};

/* Counted by the event loop, read by anyone. */
struct mb_refusals {
	_Atomic uint64_t n[MB_FOR_END];
};

/* Key of the JSON. */
const char *mb_refused_for_name(enum mb_refused_for reason);
enum mb_refused_for mb_refused_for_fault(enum mb_tls_fault fault);

static inline void mb_refusals_count(struct mb_refusals *r, enum mb_refused_for reason)
{
	atomic_fetch_add_explicit(&r->n[reason], 1, memory_order_relaxed);
}

static inline uint64_t mb_refusals_get(const struct mb_refusals *r, enum mb_refused_for reason)
{
	return atomic_load_explicit(&r->n[reason], memory_order_relaxed);
}

#endif
