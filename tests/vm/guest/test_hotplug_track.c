// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory that is plugged in while a tracker is at work lies beyond its map: nobody vouches for it,
 * so all of it must be read in every incremental pass.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "agent/pass.h"
#include "agent/track_bpf.h"
#include "util_content.h"
#include "util_file.h"
#include "util_frame.h"
#include "util_test.h"
#include "util_walk.h"

#define MEMORY "/sys/devices/system/memory/"

enum { MB = 128, PAGES = 16384, NEW_MIN = 1000, BLOCKS = 4096, EPOCHS = 5 };

static struct mb_pass pass;
static uint64_t seed;
static char *region;
static uint64_t frames[PAGES];

static void check(int r, const struct mb_err *err)
{
	if (r < 0)
		fail("%s", err->text);
}

/* All blocks that are not in the state yet; how many are in it then. */
static size_t set_blocks(const char *from, const char *state)
{
	char path[128], have[32];
	size_t n = 0;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		snprintf(path, sizeof(path), MEMORY "memory%u/state", i);
		if (file_get(path, have, sizeof(have)) && !strncmp(have, from, strlen(from)))
			n += file_put(path, state);
	}
	return n;
}

static void plug(void)
{
	double end = now() + 15;

	if (!file_exists(MEMORY "auto_online_blocks"))
		skip("memory cannot be plugged into this kernel");
	file_put(MEMORY "auto_online_blocks", "offline");
	if (!ask_host("dimm 128"))
		skip("the host cannot plug memory in");
	while (!set_blocks("offline", "online_movable")) {
		if (now() > end)
			skip("the kernel does not notice plugged memory");
		nap(.1);
	}
}

/* Contents that no page had before. */
static void write_all(void)
{
	for (size_t i = 0; i < PAGES; i++)
		content_fill(region + i * PAGE, random64(&seed));
}

/* Returns whether it was an incremental one, in which each page was found. */
static bool run_epoch(const char *when, uint64_t end_frame)
{
	struct mb_epoch e;
	struct mb_err err = { 0 };
	size_t new = 0, wrong = 0;
	bool full;

	check(mb_pass_run(&pass, &e, &err), &err);
	frames_of(region, PAGES, frames);
	for (size_t i = 0; i < PAGES; i++) {
		uint64_t digest = content_digest(MBWALK_XXH64, region + i * PAGE);

		if (frames[i] < end_frame || frames[i] == NO_FRAME)
			continue;
		new ++;
		wrong += mb_fingerprint_find(&e.fingerprint, digest) == 0;
	}
	full = e.info.full;
	say("%s: %s pass, %llu of %llu pages read, %zu of ours beyond the map, %zu wrong%s%s", when,
	    full ? "full" : "incremental", (unsigned long long)e.info.pages_read,
	    (unsigned long long)e.fingerprint.n_pages, new, wrong, e.doubt ? "; doubt: " : "",
	    e.doubt ? e.doubt : "");
	mb_fingerprint_deinit(&e.fingerprint);
	if (wrong)
		fail("%zu pages are not in the fingerprint as they are", wrong);
	return !full && new >= NEW_MIN;
}

static uint64_t end_frame(void)
{
	struct mbwalk_info info;
	int fd = walk_open();

	walk_info(fd, &info);
	return info.end_frame;
}

int main(void)
{
	struct mb_source_options options = { .algorithm = MB_XXH64 };
	struct mb_source *source;
	struct mb_tracker *tracker;
	struct mb_err err = { 0 };
	int r = mb_track_bpf.open(&(struct mb_tracker_options){ 0 }, &tracker, &err), good = 0;
	uint64_t end = end_frame();

	if (r == -EOPNOTSUPP)
		skip("%s", err.text);
	check(r, &err);
	seed = random_seed();
	check(mb_source_open("kmod", &options, &source, &err), &err);
	check(mb_pass_init(&pass, source, tracker, 64, "", NULL, &err), &err);
	region = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		      0);
	CHECK(region != MAP_FAILED);
	madvise(region, PAGES * PAGE, MADV_NOHUGEPAGE);
	run_epoch("before", end);
	run_epoch("before", end);
	plug();
	write_all();
	/* Reads all, since there is other memory. */
	run_epoch("plugged", end);
	for (int i = 0; i < EPOCHS; i++) {
		write_all();
		good += run_epoch("written to", end);
	}
	if (good < EPOCHS - 1)
		fail("%d incremental passes with at least %d new pages, not %d", good, NEW_MIN,
		     EPOCHS - 1);
	munmap(region, PAGES * PAGE);
	mb_pass_deinit(&pass);
	source->ops->close(source);
	tracker->ops->close(tracker);
	return 0;
}
