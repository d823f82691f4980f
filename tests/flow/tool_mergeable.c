// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that KSM may merge: PAGES pages of CONTENTS contents, marked, in small pages. Says
 * "ready", and waits until it is ended. usage: tool_mergeable PAGES CONTENTS
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proto/digest.h"

int main(int argc, char **argv)
{
	size_t pages = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
	size_t contents = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
	char *memory;

	if (!pages || !contents) {
		fputs("usage: tool_mergeable PAGES CONTENTS\n", stderr);
		return 2;
	}
	memory = mmap(NULL, pages * MB_PAGE_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED || madvise(memory, pages * MB_PAGE_BYTES, MADV_NOHUGEPAGE) < 0 ||
	    madvise(memory, pages * MB_PAGE_BYTES, MADV_MERGEABLE) < 0) {
		perror("tool_mergeable");
		return 1;
	}
	/* Unlike any other page on the machine: what is merged is merged with one of these. */
	for (size_t i = 0; i < pages; i++)
		snprintf(memory + i * MB_PAGE_BYTES, 64, "%d %zu", (int)getpid(), i % contents);
	puts("ready");
	fflush(stdout);
	for (;;)
		pause();
}
