/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What writers are made of. */
#ifndef UTIL_WRITER_MAKE_H
#define UTIL_WRITER_MAKE_H

#include "util_writer.h"
#include "util_walk.h"

#define WRITER_BYTES ((size_t)WRITER_PAGES * PAGE)

uint64_t writer_random(void); /* of what is written where, and of contents: none comes twice */
bool writer_heads(void);
/* That page has been written. */
void writer_note(struct writer *w, const void *page);
/* Writes some of n pages; all of them. */
void writer_fill_some(struct writer *w, char *at, size_t n);
void writer_fill_all(char *at, size_t n);
/* fd -1: anonymous, of small pages. */
char *writer_memory(size_t bytes, int flags, int fd);
/* A new file of so many pages with content, open. */
int writer_file(const char *path, size_t pages);

/* Where an ext4 is mounted, on WRITER_LOOP; false: there is none. */
#define WRITER_DISK "/tmp/track.disk"
#define WRITER_LOOP "/dev/loop3"
bool writer_disk(void);

/* util_writer_rare.c: memory that is not just a process's, or not just there. */
bool hugetlb_start(struct writer *w);
void hugetlb_round(struct writer *w);
bool uring_start(struct writer *w);
void uring_round(struct writer *w);
bool ksm_start(struct writer *w);
void ksm_round(struct writer *w);
bool swap_start(struct writer *w);
void swap_round(struct writer *w);
bool slow_start(struct writer *w);
void slow_hurry(struct writer *w);
void slow_round(struct writer *w);
bool swapin_start(struct writer *w);
void swapin_round(struct writer *w);
void swapin_settle(struct writer *w);

#endif
