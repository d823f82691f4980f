/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/mbwalk: digests of the physical memory of the machine that it runs in.
 *
 * The device belongs to root (CAP_SYS_ADMIN to open) and takes three ioctls. Contents of pages
 *never leave the kernel; a digest is an unkeyed 64-bit hash, so treat it as you would the content.
 *
 *	MBWALK_GET_VERSION	MBWALK_VERSION of the module, as the ioctl's result
 *	MBWALK_INFO	what there is: ranges of RAM, hashes, what this kernel lets the module see
 *	MBWALK_SCAN	looks at the frames [first, first + n), hashes those asked for, and returns
 *			a record for each; stops early when the caller's array is full or a signal
 *			is pending. Call again with first = next until next = the end:
 *
 *	   first                   next                                        first + n
 *	   |-- looked at: records, counts --|------ not looked at yet ----------------|
 *
 * Every frame that was looked at has a record or is in one of `counts`: nothing is lost in silence.
 * (One that is MBWALK_GONE is in both.)
 *
 * After a scan of everything only some frames have to be hashed again. The caller marks these in a
 * bitmap, and says in `known` what it takes each frame for; what comes are the frames that are
 * marked, that became something else, or that came or went. All others are as they were.
 *
 * Nothing is locked, pinned or referenced: a page may change while it is read. Where that can be
 * seen its record has MBWALK_UNSTABLE.
 *
 * With `parts` = n a page has n digests instead of one, each of an n-th of it, all of the same
 * bytes (it is copied once). They come in an array of their own beside the records:
 *
 *	records	| page 5		| page 9		|
 *	digests | part 0, 1, ... n - 1	| part 0, 1, ... n - 1	|
 *
 * Any number of callers may scan at once, through one file descriptor or many. A scan gives way to
 * other tasks every MBWALK_CHUNK_FRAMES frames and ends on SIGKILL.
 *
 * Versions: `size` is sizeof() of the struct as its caller knows it; only the size of this version
 * is taken (-EINVAL else). Reserved fields and unknown flags must be 0. Structs have the same
 * layout for 32- and 64-bit callers; pointers are __u64. What came later within a version takes the
 * place of reserved fields, so that 0 means: as before. A caller asks first (`parts_max`): a module
 * of before answers 0, and refuses the rest.
 */
#ifndef MBWALK_H
#define MBWALK_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define MBWALK_DEVICE  "mbwalk"
#define MBWALK_VERSION 2

/* A scan yields, and looks for signals, after this many. */
#define MBWALK_CHUNK_FRAMES 128

/* Parts of a page that a record has room for; what a module can do is in `parts_max`. */
#define MBWALK_PARTS_MAX 32

/* Numbers of proto/digest.h. */
enum mbwalk_algorithm {
	MBWALK_XXH64 = 1,	    /* seed 0 */
	MBWALK_SUPERFASTHASH32 = 2, /* the low 32 bits of the digest */
};

/* What a frame is used for. Numbers of proto/page.h. */
enum mbwalk_class {
	MBWALK_GONE = 0, /* only with `known`: the caller knows it, and it has no record any more */
	MBWALK_ANON = 1, /* with the swap cache */
	MBWALK_FILE = 2, /* page cache of a regular file, tmpfs and memfd included */
	MBWALK_SLAB = 3,
	MBWALK_PAGE_TABLE = 4, /* only with MBWALK_KNOWS_PAGE_TABLE, and not of all levels: the
				* others are MBWALK_KERNEL */
	MBWALK_KERNEL = 5,     /* the kernel's own, none of the others */
	MBWALK_HUGETLB = 6,
	MBWALK_RESERVED = 7, /* PageReserved: kernel image, page structs, boot-time allocations */
	MBWALK_FREE = 8,     /* nobody refers to it; only with MBWALK_SCAN_FREE. Among them: all but
			      * the first frame of what the kernel has allocated in one piece that
			      * is not compound (old kernels' stacks), and hugetlb's idle pool */
	MBWALK_BUFFER = 9,   /* page cache of a block device or another file that is not regular */
};

/* Of a record. Numbers of proto/page.h. */
enum mbwalk_flag {
	MBWALK_ZERO = 1 << 0,	   /* all bytes zero */
	MBWALK_UNSTABLE = 1 << 1,  /* locked, under writeback, not up to date, or changed its use
				    * while it was read */
	MBWALK_PINNED = 1 << 2,	   /* may be written by a device (long-term pin); only with
				    * MBWALK_KNOWS_PINNED; false alarms are possible */
	MBWALK_HUGE_HEAD = 1 << 3, /* first frame of a compound page */
	MBWALK_HUGE_TAIL = 1 << 4, /* another frame of one */
	MBWALK_KSM = 1 << 5,	   /* merged by this machine's own KSM */
};

struct mbwalk_record {
	__u64 frame;
	__u64 digest; /* 0 of one that is gone, and with `parts` */
	__u16 flags;  /* enum mbwalk_flag */
	__u8 cls;     /* enum mbwalk_class */
	__u8 reserved;
	__u32 zero_parts; /* with `parts` only; bit i: all bytes of part i are zero */
};

/* Why a frame has no record. */
enum mbwalk_count {
	MBWALK_COUNT_HOLE = 0,	     /* no memory there */
	MBWALK_COUNT_NOT_RAM = 1,    /* firmware's, a device's: not System RAM */
	MBWALK_COUNT_OFFLINE = 2,    /* hot-removed, or not yet online */
	MBWALK_COUNT_HWPOISON = 3,   /* damaged: reading it may stop the machine */
	MBWALK_COUNT_BALLOON = 4,    /* given back to the hypervisor */
	MBWALK_COUNT_UNREADABLE = 5, /* not in the kernel's map: memfd_secret, debug_pagealloc */
	MBWALK_COUNT_FREE = 6,	     /* nobody's, and MBWALK_SCAN_FREE was not given */
	MBWALK_COUNT_CLEAN = 7,	     /* its bit in the bitmap is 0; without `known` it may also be
				      * one of the above that was not looked at */
	MBWALK_COUNTS = 16,	     /* the others are 0 */
};

/* Frames [first, first + n). */
struct mbwalk_range {
	__u64 first;
	__u64 n;
};

/* What this kernel lets the module see. */
enum mbwalk_knows {
	MBWALK_KNOWS_PINNED = 1 << 0,
	MBWALK_KNOWS_PAGE_TABLE = 1 << 1,
	MBWALK_KNOWS_BALLOON = 1 << 2, /* else ballooned frames come as MBWALK_KERNEL */
	MBWALK_KNOWS_ONLINE = 1 << 3,  /* else what was plugged in and never went online is
					* MBWALK_RESERVED */
};

struct mbwalk_info {
	__u32 size;	  /* in: sizeof(struct mbwalk_info) */
	__u32 version;	  /* MBWALK_VERSION */
	__u32 page_bytes; /* of a frame */
	__u32 algorithms; /* bit 1 << n: enum mbwalk_algorithm n is there */
	__u32 knows;	  /* enum mbwalk_knows */
	__u32 struct_page_bytes;
	/* Rises when memory goes online or offline: frames are not what they were. */
	__u64 generation;
	__u64 ram_frames; /* of all ranges */
	__u64 end_frame;  /* the last range's first + n */
	/* For address arithmetic on a struct page or a linear address; 0: not on this kernel. */
	__u64 vmemmap_base;
	__u64 page_offset_base;
	/* in: struct mbwalk_range[cap_ranges] for the ranges of RAM, ascending, apart; or 0 */
	__u64 ranges;
	__u64 cap_ranges;
	__u64 n_ranges;	 /* that there are, also if fewer were asked for */
	__u32 parts_max; /* the most `parts` of a scan; 0: this module knows none, and wants 0 */
	__u32 reserved0;
	__u64 reserved[3];
};

enum mbwalk_scan_flag {
	MBWALK_SCAN_FREE = 1 << 0, /* hash free frames, too: the hypervisor merges them (and may
				    * have to give back those that were reported as free) */
};

struct mbwalk_scan {
	__u32 size;	 /* in: sizeof(struct mbwalk_scan) */
	__u32 flags;	 /* in: enum mbwalk_scan_flag */
	__u32 algorithm; /* in: enum mbwalk_algorithm */
	__u32 parts;	 /* in: a power of two from 2 to parts_max, with `digests`; or 0: none */
	__u64 first, n;	 /* in: frames; first + n must not overflow */
	/*
	 * in: __u64 words, or 0 for "hash all". Bit i % 64 of word i / 64 says whether to hash
	 * frame bitmap_first + i. Must reach from bitmap_first (at most `first`) to first + n.
	 */
	__u64 bitmap;
	__u64 bitmap_first;
	/*
	 * in: __u8[], or 0; with a bitmap only, and as far as that. known[frame - bitmap_first] is
	 * the class of the frame's last record, or 0 if there is none. A frame that is of another
	 * class now, or PINNED, is hashed whatever its bit says; one that has no record any more
	 * gets one of class MBWALK_GONE. (Of frames that are no System RAM any more nothing is
	 * said, but `generation` has risen.)
	 */
	__u64 known;
	__u64 records;		     /* in: struct mbwalk_record[cap_records] */
	__u64 cap_records;	     /* in: at least 1 */
	__u64 next;		     /* out: the first frame not looked at */
	__u64 n_records;	     /* out: ascending by frame */
	__u64 counts[MBWALK_COUNTS]; /* out: of this call */
	__u64 generation;	     /* out: of the map of RAM that was used last, as in INFO */
	/*
	 * in: __u64[cap_records * parts], or 0 without parts. Part k of records[i]'s page is
	 * digests[i * parts + k]; 0 of one that is gone.
	 */
	__u64 digests;
	__u64 reserved;
};

/*
 * INFO and SCAN: -EFAULT a pointer that cannot be used; -EINVAL a size, flag, reserved
 * field, algorithm, range or number of parts that is not as above; -ENOMEM; -EAGAIN the kernel's
 * map of RAM is changing. SCAN: -EINTR on a signal before the first chunk was done. -ENOTTY:
 * another number.
 */
#define MBWALK_GET_VERSION _IO(0xbd, 0)
#define MBWALK_INFO	   _IOWR(0xbd, 1, struct mbwalk_info)
#define MBWALK_SCAN	   _IOWR(0xbd, 2, struct mbwalk_scan)

#endif
