/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The tracker without BPF: reads from /proc which pages processes have written to, and clears that.
 * For the machine that the agent runs in, whose kernel has CONFIG_MEM_SOFT_DIRTY; with the module
 * mbwalk, which says how many frames there are.
 *
 *	epoch():  each process in turn: read its pagemap -> clear its soft-dirty bits
 *
 * It follows anonymous memory. A HINT: what a process writes between the two, to a page whose entry
 * was read already, is lost until that page is written again (agent/soft_dirty.h). The moment grows
 * with the process: 30 to 40 ms for a GiB in small pages.
 *
 * Costs a read of all page tables per epoch, a fault for the first write to each page after it, and
 * 16.2 bytes for each frame that is mapped (0.4 % of it).
 *
 * After opening it needs CAP_SYS_ADMIN, CAP_SYS_PTRACE and CAP_DAC_OVERRIDE.
 */
#ifndef MB_TRACK_SOFTDIRTY_H
#define MB_TRACK_SOFTDIRTY_H

#include "agent/soft_dirty.h"
#include "agent/track.h"

/* mb_track_softdirty: MB_DEBUG_TRACK in the environment breaks it: "no-clear", "no-place". */

/* Of the last epoch; of an open tracker that is mb_track_softdirty. */
void mb_track_softdirty_report(struct mb_tracker *t, struct mb_soft_dirty_report *ret);

#endif
