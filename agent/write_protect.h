/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Takes from every process the permission to write to the pages that it has, so that the first
 * write to each is a fault, which a tracker sees. The process notices nothing but the time.
 *
 * It is what `echo 4 > /proc/PID/clear_refs` does: the kernel's soft-dirty bits. Where it is built
 * without them (CONFIG_MEM_SOFT_DIRTY) this succeeds and does nothing: test it once, by a write.
 */
#ifndef MB_WRITE_PROTECT_H
#define MB_WRITE_PROTECT_H

#include <stdint.h>

#include "agent/processes.h"
#include "proto/base/err.h"

struct mb_write_protect {
	uint64_t processes; /* that were there to be asked, kernel threads included */
	uint64_t ns;	    /* that it took */
};

/*
 * All processes that are in `proc` (/proc, of a PID namespace that has them all) when it begins;
 * those that come later have been given every page after that. -EACCES: not allowed to; -EPERM:
 * some are hidden from us.
 */
int mb_write_protect_all(const char *proc, struct mb_write_protect *ret, struct mb_err *err);
/* One of them; 0 also when it has ended meanwhile. */
int mb_write_protect(const struct mb_process *p, struct mb_err *err);
/* The caller alone. */
int mb_write_protect_self(struct mb_err *err);

#endif
