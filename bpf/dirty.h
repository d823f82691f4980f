/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the programs of dirty.bpf.c and the agent tell each other, through maps that both have in
 * their memory. Both are built from this tree together: there are no versions.
 */
#ifndef MB_DIRTY_H
#define MB_DIRTY_H

#ifndef __VMLINUX_H__
#include <linux/types.h>
#endif

/*
 * Which frames may have changed. Where the kernel has an atomic OR (5.12) a bit each, bit i % 64 of
 * word i / 64; before, a byte each, byte i % 8 of word i / 8. Who takes them swaps a word with 0.
 */
#define MB_DIRTY_MAP "mb_dirty"
#define MB_WHO_MAP   "mb_who"
/* Arguments of the calls that kprobes have met and kretprobes not yet; keys are 64 bits. */
#define MB_ARGS_MAP "mb_args"
/* Set by the agent before the programs are loaded, constant then. */
#define MB_CONFIG_MAP	".rodata.config"
#define MB_COUNTERS_MAP ".data.counters"
/* A number that the agent changes: which frames these are. */
#define MB_SEED_MAP ".data.seed"

struct mb_dirty_config {
	__u64 vmemmap_base; /* the struct page of frame 0 */
	__u64 page_offset_base;
	__u64 n_frames; /* that the map has room for: [0, n) */
	__u32 struct_page_bytes;
	__u32 page_table_levels; /* 4 or 5 */
	__u32 who;		 /* count who did it, of one frame in so many, 2^n; 0: of none */
	__u32 reserved;
};

/* Why an event may be lost: then the agent cannot say of any frame that it is clean. */
enum mb_dirty_lost {
	MB_LOST_ARGS,	  /* no room to keep a call's arguments until it returns */
	MB_LOST_PAGE,	  /* a page whose frame is not known */
	MB_LOST_WALK,	  /* a page table that could not be read */
	MB_LOST_EXEC,	  /* a new program with more arguments than were looked at */
	MB_LOST_RETURN,	  /* a call that was entered, and whose return was not met or not known */
	MB_LOST_MPROTECT, /* made writable without a fault, in a kernel that does so */
	MB_LOST_REASONS
};

/* What was done to a frame. The first one in an epoch counts. */
enum mb_dirty_kind {
	MB_DIRTY_ALLOC,	      /* handed out, for the kernel or for what is not known */
	MB_DIRTY_FREE,	      /* given back: the wire has it, no program says it */
	MB_DIRTY_TOUCH,	      /* the first write to a page of a process, which was not there */
	MB_DIRTY_COW,	      /* copied by a write */
	MB_DIRTY_REWRITE,     /* a process wrote to a page that was there */
	MB_DIRTY_CACHE_NEW,   /* new in the page cache: read from a file, or to be written to one */
	MB_DIRTY_CACHE_WRITE, /* page cache written to */
	MB_DIRTY_MIGRATE,     /* a copy of another frame that it takes the place of */
	MB_DIRTY_TRUNCATE,    /* zeroed beyond the end of a file, or for a hole in one */
	MB_DIRTY_WRITEBACK,   /* on its way to the disk */
	MB_DIRTY_EXEC,	      /* arguments of a new program */
	MB_DIRTY_KINDS,
	MB_DIRTY_KINDS_ROOM = 16 /* 2^n, which lets the kernel see that no index is too large */
};

struct mb_dirty_counters {
	__u64 lost[MB_LOST_REASONS];
	__u64 outside;	/* frames the map has no room for; nobody vouches for them */
	__u64 rewrites; /* faults that flagged a page which was there: due to write protection */
	__u64 other[MB_DIRTY_KINDS_ROOM]; /* frames by whom the map of who has no room for */
};

/* The map of who: struct mb_dirty_by -> struct mb_dirty_frames. The agent empties it. */
enum { MB_WHO_MAX = 1024, MB_ARGS_MAX = 16384 };

struct mb_dirty_by {
	char comm[16];
	__u64 cgroup; /* its id: inode number of its folder in cgroup2 */
};

struct mb_dirty_frames {
	__u64 n[MB_DIRTY_KINDS_ROOM];
};

_Static_assert(sizeof(struct mb_dirty_config) == 40, "config");
_Static_assert(sizeof(struct mb_dirty_counters) == 8 * (6 + 2 + 16), "counters");
_Static_assert(sizeof(struct mb_dirty_by) == 24, "by");
_Static_assert(sizeof(struct mb_dirty_frames) == 8 * 16, "frames");

#endif
