/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a frame is, as far as its struct page tells who only looks: nothing is locked or referenced,
 * every word is read once and may be out of date by the next instruction.
 */
#ifndef MBWALK_PAGE_H
#define MBWALK_PAGE_H

#include <linux/mm_types.h>
#include <linux/types.h>

struct mbwalk_look {
	u8 cls;	   /* enum mbwalk_class */
	u16 flags; /* enum mbwalk_flag */
};

/* 0, or the enum mbwalk_count for which it must not be read, as -1 - count. */
int mbwalk_look(struct page *page, struct mbwalk_look *ret);

#endif
