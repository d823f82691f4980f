/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who dirtied page frames, and by what: a frame counts once per epoch, for the first who did. A
 * bounded list: who has least is added up with all others.
 *
 * On the wire (FORMAT.md, Who) it is bytes, which are read row by row without allocating anything.
 */
#ifndef MB_WHO_H
#define MB_WHO_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

/* Numbers are part of the format. */
enum mb_who_kind {
	MB_WHO_UNKNOWN = 0,
	MB_WHO_ALLOC = 1,	/* handed out, for the kernel or for what is not known */
	MB_WHO_FREE = 2,	/* given back */
	MB_WHO_TOUCH = 3,	/* the first write to a page of a process, which was not there */
	MB_WHO_COW = 4,		/* copied by a write */
	MB_WHO_REWRITE = 5,	/* a process wrote to a page that was there */
	MB_WHO_CACHE_NEW = 6,	/* new in the page cache */
	MB_WHO_CACHE_WRITE = 7, /* page cache written to */
	MB_WHO_MIGRATE = 8,	/* a copy of another frame that it takes the place of */
	MB_WHO_TRUNCATE = 9,	/* zeroed beyond the end of a file, or for a hole in one */
	MB_WHO_WRITEBACK = 10,	/* on its way to the disk */
	MB_WHO_EXEC = 11,	/* arguments of a new program */
	MB_WHO_KINDS
};

/* "copy on write"; NULL above the last kind. */
const char *mb_who_kind_name(unsigned int kind);

enum {
	MB_WHO_ROWS_MAX = 64,	 /* besides the others */
	MB_WHO_PROCESS_MAX = 32, /* with the closing NUL, as all lengths of names */
	MB_WHO_CGROUP_MAX = 128,
};

struct mb_who_row {
	char process[MB_WHO_PROCESS_MAX]; /* printable ASCII; "": all others */
	char cgroup[MB_WHO_CGROUP_MAX];
	uint64_t frames[MB_WHO_KINDS];
};

/* Above any that a machine can dirty: so that sums of many lists fit in 63 bits. */
#define MB_WHO_FRAMES_MAX (1ull << 46)

uint64_t mb_who_frames(const uint64_t frames[MB_WHO_KINDS]);

struct mb_who {
	bool counted; /* else nothing is known */
	uint32_t n;
	struct mb_who_row rows[MB_WHO_ROWS_MAX]; /* in no order, each name once */
	uint64_t others[MB_WHO_KINDS];
};

/* Adds a row; that makes the list counted. */
void mb_who_put(struct mb_who *to, const struct mb_who_row *row);
/* Adds a list, row by row: those of two epochs. */
void mb_who_add(struct mb_who *to, const struct mb_who *from);

/* Appends the list with its `top` largest rows; nothing if it is not counted. */
void mb_who_encode(const struct mb_who *w, uint32_t top, struct mb_buf *out);
/* Takes the next row off the list, the others first. 1: there was one; 0: it ends; -EBADMSG. */
int mb_who_next(struct mb_slice *list, struct mb_who_row *ret, struct mb_err *err);
/* The whole of it, as FORMAT.md has it. */
int mb_who_check(struct mb_slice list, struct mb_err *err);

#endif
