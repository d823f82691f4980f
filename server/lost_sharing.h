/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sharing that VMs lost of late: what the history says that they shared on their host at most, less
 * what they share there now. For hotspots: memory that a host has to bear although nobody grew.
 */
#ifndef MB_SERVER_LOST_SHARING_H
#define MB_SERVER_LOST_SHARING_H

#include "server/live_fleet.h"
#include "server/store.h"

/* Of late. */
#define MB_LOST_WITHIN_NS ((uint64_t)3600000000000)

/*
 * Sets lost_pages of all VMs, and by how much they may be off. Counts from when a VM came to its
 * host: what it shared elsewhere is not lost, but left behind. Before MB_LOST_WITHIN_NS, and where
 * nobody wrote history: 0.
 */
int mb_lost_sharing(struct mb_store *store, struct mb_live_fleet *fleet, uint64_t now_unix_ns,
		    struct mb_err *err);

#endif
