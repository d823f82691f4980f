/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One page as a source reports it. Numbers are part of the trace format (FORMAT.md). */
#ifndef MB_PAGE_H
#define MB_PAGE_H

#include <stdbool.h>
#include <stdint.h>

enum mb_page_class {
	MB_CLASS_UNKNOWN = 0, /* the source cannot tell */
	MB_CLASS_ANON = 1,
	MB_CLASS_FILE = 2,
	MB_CLASS_SLAB = 3,
	MB_CLASS_PAGE_TABLE = 4,
	MB_CLASS_KERNEL = 5,
	MB_CLASS_HUGETLB = 6,
	MB_CLASS_RESERVED = 7,
	MB_CLASS_FREE = 8,
	MB_CLASS_BUFFER = 9, /* page cache of a block device, or of another file not regular */
	MB_CLASS_END
};

enum {
	MB_PAGE_ZERO = 1 << 0,	   /* all bytes zero */
	MB_PAGE_UNSTABLE = 1 << 1, /* may have changed while it was read */
	MB_PAGE_PINNED = 1 << 2,   /* may be written by a device, unseen */
	MB_PAGE_HUGE_HEAD = 1 << 3,
	MB_PAGE_HUGE_TAIL = 1 << 4,
	MB_PAGE_KSM = 1 << 5, /* merged by the KSM of the VM itself */
};

struct mb_page {
	uint64_t frame;	 /* in pages from the start of the source's address space */
	uint64_t digest; /* raw, or keyed: the source's identity says */
	uint8_t cls;	 /* enum mb_page_class */
	uint8_t flags;
	bool gone; /* it was there at the last epoch and is not any more: has no digest */
};

/* "anon", "page_table"; NULL above the last class. */
static inline const char *mb_class_name(unsigned int cls)
{
	static const char *const names[MB_CLASS_END] = {
		"unknown", "anon",    "file",	  "slab", "page_table",
		"kernel",  "hugetlb", "reserved", "free", "buffer",
	};

	return cls < MB_CLASS_END ? names[cls] : (const char *)0;
}

#endif
