/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which frames are RAM: what the kernel calls "System RAM" (/proc/iomem), in whole frames.
 *
 * pfn_valid() does not tell: the last memory section past the end of RAM is valid and unreadable.
 */
#ifndef MBWALK_RAM_H
#define MBWALK_RAM_H

#include <linux/types.h>

#include "mbwalk.h"

/* A snapshot; the map changes when memory is plugged. */
struct mbwalk_ram {
	struct mbwalk_range *ranges; /* [0, n), ascending, apart; owned */
	size_t n, cap;
	u64 frames, end_frame;
	u64 generation;
};

int mbwalk_ram_init(void);
void mbwalk_ram_exit(void);

/* 0, -ENOMEM, or -EAGAIN: the kernel's own map is being changed. */
int mbwalk_ram_snapshot(struct mbwalk_ram *ram);
void mbwalk_ram_release(struct mbwalk_ram *ram);

/*
 * Between these no memory that was online goes away. False, and nothing to unlock: `ram` is out of
 * date. Not to be held while user memory is touched: its fault may have to wait for the plugging.
 */
bool mbwalk_ram_lock(const struct mbwalk_ram *ram);
void mbwalk_ram_unlock(void);

/*
 * What is at `frame`: true if RAM. *ret_end is where that changes (U64_MAX: nowhere above).
 */
bool mbwalk_ram_at(const struct mbwalk_ram *ram, u64 frame, u64 *ret_end);

#endif
