/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What peers had taken of their quotas before the server started, from what is durable anyway: each
 * VM's last writer, and the bytes of the last day's epochs. What was refused, or was not acked, is
 * forgotten.
 */
#ifndef MB_SERVER_RECALL_H
#define MB_SERVER_RECALL_H

#include "server/fleet.h"
#include "server/peers.h"
#include "server/store.h"

int mb_recall(struct mb_peers *peers, struct mb_fleet *fleet, struct mb_store *store,
	      uint64_t now_ns, uint64_t now_unix_ns, struct mb_err *err);

#endif
