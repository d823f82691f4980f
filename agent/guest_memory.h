/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How short of memory the machine is that the agent runs on, from /proc: for sources that are this
 * machine, which then is the guest itself. From outside nobody can tell.
 */
#ifndef MB_GUEST_MEMORY_H
#define MB_GUEST_MEMORY_H

#include "proto/msg.h"

struct mb_guest_memory {
	int meminfo, vmstat, pressure; /* open files, so that they outlast privileges; -1: none */
	uint64_t swapped_pages, at_ns; /* of the last look; at_ns 0: none yet */
};

/*
 * `proc`: "/proc". Without meminfo or vmstat -errno, and nothing is open; without pressure (a
 * kernel before 4.20, or one that does not count) the rest is known all the same.
 */
int mb_guest_memory_open(struct mb_guest_memory *m, const char *proc, struct mb_err *err);
/* `now_ns` is monotonic. What it cannot read is not known; swapping is since the look before. */
void mb_guest_memory_look(struct mb_guest_memory *m, uint64_t now_ns, struct mb_guest *ret);
void mb_guest_memory_close(struct mb_guest_memory *m);

#endif
