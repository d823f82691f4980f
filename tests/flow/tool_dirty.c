// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A workload of known churn: of PAGES pages, half of them alike in pairs, it rewrites DIRTY a step.
 * usage: tool_dirty PAGES DIRTY STEPS [MS]
 * With MB_EPOCH_ASK_FD and MB_EPOCH_DONE_FD in its environment it asks for an epoch before the
 * first step and after each; else a step takes MS milliseconds.
 */
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

static int number(const char *name)
{
	const char *text = getenv(name);

	return text ? atoi(text) : -1;
}

static void epoch(int ms)
{
	int ask = number("MB_EPOCH_ASK_FD"), done = number("MB_EPOCH_DONE_FD");
	char byte = '\n';

	if (ask < 0)
		poll(NULL, 0, ms);
	else if (write(ask, &byte, 1) != 1 || read(done, &byte, 1) != 1)
		exit(3);
}

int main(int argc, char **argv)
{
	size_t pages = argc > 3 ? strtoull(argv[1], NULL, 10) : 0;
	size_t dirty = argc > 3 ? strtoull(argv[2], NULL, 10) : 0;
	int steps = argc > 3 ? atoi(argv[3]) : 0, ms = argc > 4 ? atoi(argv[4]) : 100;
	volatile uint64_t *memory;

	if (argc < 4 || !pages || dirty > pages)
		return 2;
	memory = mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	madvise((void *)(uintptr_t)memory, pages * PAGE_BYTES, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < pages; i++)
		memory[i * PAGE_BYTES / 8] = 1 + (i < pages / 2 ? i / 2 : i);
	epoch(ms);
	for (int s = 0; s < steps; s++) {
		for (size_t i = 0; i < dirty; i++)
			memory[i * PAGE_BYTES / 8] = ((uint64_t)s + 1) << 32 | i;
		epoch(ms);
	}
	return argc > 5 ? atoi(argv[5]) : 0;
}
