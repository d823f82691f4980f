/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the kernel itself says of frames: /proc/self/pagemap, /proc/kpageflags,
 * /proc/kpagecount. */
#ifndef UTIL_FRAME_H
#define UTIL_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NO_FRAME UINT64_MAX

/* Numbers of include/uapi/linux/kernel-page-flags.h, and RESERVED. */
enum kpf {
	KPF_LOCKED = 0,
	KPF_LRU = 5,
	KPF_SLAB = 7,
	KPF_WRITEBACK = 8,
	KPF_BUDDY = 10,
	KPF_MMAP = 11,
	KPF_ANON = 12,
	KPF_SWAPCACHE = 13,
	KPF_SWAPBACKED = 14,
	KPF_COMPOUND_HEAD = 15,
	KPF_COMPOUND_TAIL = 16,
	KPF_HUGE = 17,
	KPF_HWPOISON = 19,
	KPF_NOPAGE = 20,
	KPF_KSM = 21,
	KPF_THP = 22,
	KPF_OFFLINE = 23, /* before 4.20: BALLOON */
	KPF_ZERO_PAGE = 24,
	KPF_PGTABLE = 26,
	KPF_RESERVED = 32,
};

#define KPF(name) (1ull << KPF_##name)

/* Of the n pages from `at` on; NO_FRAME where none is present. */
void frames_of(const void *at, size_t n, uint64_t *frames);
/*
 * A word a frame from one of /proc/kpage{flags,count}, for [first, first + n).
 * What lies beyond the file's end is `missing`.
 */
void kpage_words(const char *path, uint64_t first, size_t n, uint64_t missing, uint64_t *words);
uint64_t kpage_flags(uint64_t frame);
/* debug_pagealloc: nobody can read a free frame. */
bool free_is_unmapped(void);

#endif
