/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The ways in which memory gets written to. Each round every writer gives some of its pages a
 * content that no page had before, and says which.
 */
#ifndef UTIL_WRITER_H
#define UTIL_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WRITER_PAGES = 64 }; /* of most writers; they write to half of them */

struct writer {
	const char *name;
	/* False: not on this machine. What has content by now is as old as can be. */
	bool (*start)(struct writer *w);
	void (*round)(struct writer *w);
	void (*settle)(struct writer *w); /* after the pages were looked at; may be NULL */
	void (*hurry)(
		struct writer *w); /* just before an epoch that nobody waits for; may be NULL */

	/* The digests of what the round has written. */
	uint64_t digests[8 * WRITER_PAGES];
	size_t n;
	/* The writer's own. */
	char *at;
	int fd, pid, pipe[2];
	uint64_t count;
};

extern struct writer writers[];
extern const size_t n_writers;

#endif
