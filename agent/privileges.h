/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What root may do, by parts: the agent opens what it needs and gives up all else. It stays user 0,
 * whose files in /proc are.
 */
#ifndef MB_PRIVILEGES_H
#define MB_PRIVILEGES_H

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

#define MB_CAP(name) ((uint64_t)1 << CAP_##name)

/*
 * What each needs once it is open, as tests/vm/guest/test_privileges.c finds on 5.10 to 7:
 *
 *	/dev/mbwalk	none: it asks who opens it
 *
 *	bpf		CAP_DAC_OVERRIDE   clear_refs of other users' processes
 *			CAP_BPF            bpf() on what is open; not from 5.19 on
 *			CAP_SYS_PTRACE     to see them where /proc is mounted with hidepid
 *
 *	softdirty	CAP_DAC_OVERRIDE   pagemap and clear_refs of other users' processes
 *			CAP_SYS_PTRACE     maps and pagemap of those that may do more than we;
 *			                   not on 7
 *			CAP_SYS_ADMIN      frames in pagemap
 */
#define MB_KEEP_KMOD	  ((uint64_t)0)
#define MB_KEEP_BPF	  (MB_CAP(BPF) | MB_CAP(DAC_OVERRIDE) | MB_CAP(SYS_PTRACE))
#define MB_KEEP_SOFTDIRTY (MB_CAP(SYS_ADMIN) | MB_CAP(SYS_PTRACE) | MB_CAP(DAC_OVERRIDE))

/*
 * Keeps those of the set `keep` (bits MB_CAP) that it has, and cannot get any other again, nor can
 * what it starts. -EBUSY: other threads are running, which would keep theirs.
 */
int mb_privileges_drop(uint64_t keep, struct mb_err *err);

/* Everywhere here: before 5.8 CAP_BPF and CAP_PERFMON are parts of CAP_SYS_ADMIN. */
bool mb_privileges_has(int cap);
/* Those of `want` that it has not, in words: "CAP_BPF (...), ...". Returns ret; "" when none is. */
const char *mb_privileges_missing(uint64_t want, char *ret, size_t size);

#endif
