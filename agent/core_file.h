/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An ELF core file: which memory it holds, and where in the file. What the headers say is checked
 * against the file, and nothing is allocated on their word.
 */
#ifndef MB_CORE_FILE_H
#define MB_CORE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mb_core_segment {
	uint64_t frame;	      /* address / 4096 of the first page */
	uint64_t pages;	      /* of memory */
	uint64_t data_pages;  /* of these, from the first on, in the file */
	uint64_t file_offset; /* bytes */
	size_t header;	      /* number of its program header, for errors */
};

struct mb_core {
	int fd;
	/*
	 * Of a machine's RAM (QEMU's dump-guest-memory): frames are p_paddr / 4096. Of a process
	 * (gcore, a kernel's core dump): p_vaddr / 4096.
	 */
	bool physical;
	struct mb_core_segment *segments; /* ascending by frame, none overlaps another; owned */
	size_t n;
};

/* Errors name the file, the program header and its field. */
int mb_core_open(struct mb_core *c, const char *path, struct mb_err *err);
void mb_core_close(struct mb_core *c);

#endif
