/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which frames have changed since the last look, from the page tables of all processes as /proc
 * shows them: their soft-dirty bits, which a write sets and a look clears.
 *
 * A frame is clean if
 *	- no process that maps it has written to it since its bits were cleared;
 *	- as many mappings were seen as the kernel counts (/proc/kpagecount): nobody is hidden;
 *	- the first of them was there at the last look: same process, same address. What comes
 *	  from swap or from another frame brings its bit along, clean perhaps. What is still where
 *	  it was, and not written to, has not been another page meanwhile.
 *
 * All others are dirty: nobody's, the kernel's, the page cache's.
 *
 * Not seen: what a process writes between the moment when an entry of it is read and the one when
 * its bits are cleared, and does not write again. Both are as close as one process's size permits.
 *
 * Memory: 16.2 bytes for each frame that somebody maps, in pages of its own; dirty always.
 */
#ifndef MB_SOFT_DIRTY_H
#define MB_SOFT_DIRTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/frame_set.h"
#include "proto/base/err.h"

/* Of one look. */
struct mb_soft_dirty_report {
	uint64_t processes; /* with kernel threads */
	uint64_t mappings;  /* of private pages that are in memory */
	uint64_t written;   /* mappings that are soft-dirty */
	/* Frames that somebody maps, by the first that holds. */
	uint64_t dirty;	 /* a mapping is soft-dirty */
	uint64_t unseen; /* other mappings than those that the kernel counts */
	uint64_t moved;	 /* not where it was at the last look */
	uint64_t clean;
	uint64_t ns; /* that it took */
};

enum mb_soft_dirty_break { /* Leaves something out, for tests that must fail then. */
			   MB_BREAK_CLEAR = 1 << 0,
			   MB_BREAK_PLACE = 1 << 1,
};

struct mb_soft_dirty;

/* For frames [0, n), of all that is in `proc` (/proc). */
int mb_soft_dirty_open(const char *proc, uint64_t n_frames, struct mb_soft_dirty **ret,
		       struct mb_err *err);
void mb_soft_dirty_close(struct mb_soft_dirty *s);
void mb_soft_dirty_break(struct mb_soft_dirty *s, unsigned int what);

/*
 * *ret_dirty: since the last look; valid until the next. *ret_known: false after a look that
 * failed, and at the first: the set then says nothing. -EACCES or -EPERM: not allowed to.
 */
int mb_soft_dirty_look(struct mb_soft_dirty *s, const struct mb_frame_set **ret_dirty,
		       bool *ret_known, struct mb_soft_dirty_report *ret, struct mb_err *err);

#endif
