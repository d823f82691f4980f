// SPDX-License-Identifier: GPL-2.0-or-later
/* A damaged page is counted and never read: reading it may stop the machine. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util_content.h"
#include "util_file.h"
#include "util_frame.h"
#include "util_plant.h"
#include "util_test.h"
#include "util_walk.h"

#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

#define INJECT "/sys/kernel/debug/hwpoison/corrupt-pfn"

enum { N = 3 };

/* Some kernels tell us at once, others only when we touch the page. */
static void on_bus_error(int number)
{
	(void)number;
}

/* By hwpoison_inject, which does not send signals, where it is there. */
static void poison(void *page, uint64_t frame)
{
	char text[32];

	snprintf(text, sizeof text, "%#llx", (unsigned long long)frame);
	if (file_put(INJECT, text)) {
		say("poisoned by hwpoison_inject");
		return;
	}
	signal(SIGBUS, on_bus_error);
	if (madvise(page, PAGE, MADV_HWPOISON) < 0)
		skip("MADV_HWPOISON: errno %d (no CONFIG_MEMORY_FAILURE)", errno);
	say("poisoned by madvise()");
}

int main(void)
{
	uint64_t content = random_seed(), frames[N], digest, before;
	unsigned char *at = plant_memory(N);
	int fd = walk_open();
	struct walk w = { 0 };

	for (size_t i = 0; i < N; i++)
		content_fill(at + i * PAGE, content++);
	digest = content_digest(MBWALK_XXH64, at + PAGE);
	frames_of(at, N, frames);
	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
	before = w.counts[MBWALK_COUNT_HWPOISON];
	CHECK(walk_find(&w, frames[1]) && walk_find(&w, frames[1])->digest == digest);
	/* Not touched any more: that would be a SIGBUS. */
	poison(at + PAGE, frames[1]);
	for (int i = 0; i < 4; i++) {
		walk_all(fd, i % 2 ? MBWALK_XXH64 : MBWALK_SUPERFASTHASH32,
			 i / 2 ? 0 : MBWALK_SCAN_FREE, &w);
		if (w.counts[MBWALK_COUNT_HWPOISON] != before + 1)
			fail("%llu poisoned frames, %llu before",
			     (unsigned long long)w.counts[MBWALK_COUNT_HWPOISON],
			     (unsigned long long)before);
		if (walk_find(&w, frames[1]))
			fail("the poisoned frame %llx has a record", (unsigned long long)frames[1]);
		CHECK(walk_find(&w, frames[0]) && walk_find(&w, frames[2]));
	}
	CHECK(kpage_flags(frames[1]) & KPF(HWPOISON));
	say("frame %llx is poisoned, counted and not read; HardwareCorrupted: %lld "
	    "frames",
	    (unsigned long long)frames[1], meminfo_frames("HardwareCorrupted"));
	return 0;
}
