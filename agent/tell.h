/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An epoch in words, a line each, for a program's log. */
#ifndef MB_TELL_H
#define MB_TELL_H

#include <stddef.h>

#include "agent/pass.h"

enum { MB_TELL_MAX = 320 };

/* "epoch 3: 31657 pages, 27101 distinct, 312 changed, 0 unread; 1204 read, 21 ms" */
void mb_tell_epoch(const struct mb_epoch *e, uint64_t number, char ret[MB_TELL_MAX]);

/*
 * "audit: recall 100 % of 812 changed pages that bpf follows, 99.61 % of all 1034; precision 71 %;
 * stale: 3 slab, 1 kernel". Of an epoch with info.audit.audits > 0.
 */
void mb_tell_audit(const struct mb_epoch *e, char ret[MB_TELL_MAX]);

#endif
