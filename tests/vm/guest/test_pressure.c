// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Two walkers while memory is short and everything moves: processes that fill most of it, a tmpfs,
 * huge pages made and broken, compaction, dropped caches, swap on zram where there is one. Planted
 * pages must be seen right whenever they have not been moved meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#include "util_content.h"
#include "util_file.h"
#include "util_plant.h"
#include "util_swap.h"
#include "util_test.h"
#include "util_walk.h"

#ifndef MADV_FREE
#define MADV_FREE 8
#endif

enum { SECONDS = 10, N = 200, FILLERS = 3, MB = 1 << 20 };

struct shared {
	volatile int stop;
	volatile unsigned int walks, checks, rounds, fullest;
};

static struct shared *shared;
static bool swap;

/* Frames that must stay free: the OOM killer is not what is tested here. */
static long long reserve(void)
{
	long long n = meminfo_frames("MemTotal") * 15 / 100;

	n = n > 10000 ? n : 10000;
	return swap ? n / 2 : n;
}

static bool roomy(void)
{
	long long available = meminfo_frames("MemAvailable"), total = meminfo_frames("MemTotal");
	unsigned int full = 100 - available * 100 / total;

	if (full > shared->fullest)
		shared->fullest = full;
	return available > reserve();
}

/* A little at a time, since several do so at once. */
static void fill_some(unsigned char *at, size_t size, uint64_t *seed)
{
	for (size_t i = 0; i < size && !shared->stop && roomy(); i += MB / 2)
		for (size_t j = i; j < i + MB / 2; j += PAGE)
			*(uint64_t *)(at + j) = random64(seed);
}

/* Memory of its own, now as huge pages, now as small ones, now given back in pieces. */
static void run_filler(int me)
{
	size_t size = (size_t)meminfo_frames("MemTotal") * PAGE / FILLERS / (2 * MB) * (2 * MB);
	uint64_t seed = random_seed();
	unsigned char *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		fail_errno("mmap");
	for (int i = 0; !shared->stop; i++) {
		madvise(at, size, (i + me) % 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		fill_some(at, size, &seed);
		/* Splits huge pages. */
		for (size_t j = 0; j + 2 * MB <= size; j += 2 * MB)
			madvise(at + j + MB / 4, MB / 4, i % 3 ? MADV_DONTNEED : MADV_FREE);
		if (i % 4 == 3)
			madvise(at, size, MADV_DONTNEED);
		shared->rounds++;
		nap(0.01);
	}
	_exit(0);
}

static void run_tmpfs(void)
{
	static unsigned char block[MB / 4];
	uint64_t seed = random_seed();

	while (!shared->stop) {
		int fd = open("/tmp/pressure", O_RDWR | O_CREAT | O_TRUNC, 0600);

		if (fd < 0)
			fail_errno("/tmp/pressure");
		unlink("/tmp/pressure");
		for (int i = 0; i < 64 && roomy() && !shared->stop; i++) {
			*(uint64_t *)block = random64(&seed);
			if (write(fd, block, sizeof block) < 0)
				break;
		}
		close(fd);
		nap(0.02);
	}
	_exit(0);
}

static void run_kernel(void)
{
	while (!shared->stop) {
		file_put("/proc/sys/vm/compact_memory", "1");
		file_put("/proc/sys/vm/drop_caches", "3");
		nap(0.2);
	}
	_exit(0);
}

/* Looked up before and after: what stood still must be right. */
static void run_walker(int me)
{
	enum mbwalk_algorithm algorithm = me ? MBWALK_SUPERFASTHASH32 : MBWALK_XXH64;
	struct plants plants = { .n = 0 };
	uint64_t content = random_seed();
	unsigned char *at = plant_memory(N);
	int fd = walk_open();
	struct walk w = { 0 };

	for (size_t i = 0; i < N; i++)
		content_fill(at + i * PAGE, content++);
	plant_add(&plants, "anonymous", at, N, MBWALK_ANON, 0);
	while (!shared->stop) {
		plant_look(&plants);
		/* Not the free ones each time: that takes long. */
		walk_all(fd, algorithm, shared->walks % 4 ? 0 : MBWALK_SCAN_FREE, &w);
		shared->walks++;
		if (!plant_look(&plants))
			continue;
		for (size_t i = 0; i < N; i++) {
			const struct mbwalk_record *r = walk_find(&w, plants.list[0].frames[i]);

			if (!r || r->digest != content_digest(algorithm, at + i * PAGE))
				fail("planted frame %llx: %s",
				     (unsigned long long)plants.list[0].frames[i],
				     r ? "another digest" : "no record");
		}
		shared->checks++;
	}
	_exit(0);
}

static int start(void (*run)(int), int me)
{
	int pid = fork();

	if (pid == 0) {
		run(me);
		_exit(0);
	}
	return pid;
}

static void run_other(int me)
{
	if (me)
		run_tmpfs();
	run_kernel();
}

int main(void)
{
	int pids[FILLERS + 4], n = 0;
	long long swapped = 0;

	swap = swap_on_zram();
	shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		fail_errno("mmap");
	for (int i = 0; i < 2; i++)
		pids[n++] = start(run_walker, i);
	for (int i = 0; i < 2; i++)
		pids[n++] = start(run_other, i);
	for (int i = 0; i < FILLERS; i++)
		pids[n++] = start(run_filler, i);
	/* Longer on a slow machine, which would not get round once. */
	for (double start = now();
	     now() < start + SECONDS || (shared->checks < 4 && now() < start + 5 * SECONDS);)
		nap(0.1);
	if (swap)
		swapped = meminfo_frames("SwapTotal") - meminfo_frames("SwapFree");
	shared->stop = 1;
	for (int i = 0; i < n; i++)
		wait_good(pids[i], i < 2 ? "walker" : "load");
	say("%u walks, planted pages stood still and were right in %u; %u rounds of load, memory "
	    "up to "
	    "%u %% full, %lld frames in swap%s",
	    shared->walks, shared->checks, shared->rounds, shared->fullest, swapped,
	    swap ? " (zram)" : ", which there is not");
	if (swap && swapoff(SWAP_DEVICE) < 0)
		fail_errno("swapoff");
	file_put("/sys/block/zram0/reset", "1");
	CHECK(shared->walks > 1 && shared->checks && shared->rounds);
	return 0;
}
