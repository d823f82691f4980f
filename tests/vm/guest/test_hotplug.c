// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory comes, goes online and offline, and goes, while another process walks
 * all the time. Frames that are not online are counted as that, and nothing is
 * read of what is gone.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util_file.h"
#include "util_frame.h"
#include "util_test.h"
#include "util_walk.h"

#define MEMORY "/sys/devices/system/memory/"

enum { MB = 128, FRAMES = MB * 256, BLOCKS = 4096 };

struct shared {
	volatile int stop;
	volatile unsigned int walks;
};

static bool present[BLOCKS], plugged[BLOCKS];

/* One pass over the blocks of memory that there are. */
static size_t list_blocks(bool *blocks)
{
	DIR *d = opendir(MEMORY);
	struct dirent *e;
	unsigned int i;
	size_t n = 0;

	memset(blocks, 0, BLOCKS * sizeof *blocks);
	while (d && (e = readdir(d)))
		if (sscanf(e->d_name, "memory%u", &i) == 1 && i < BLOCKS) {
			blocks[i] = true;
			n++;
		}
	if (d)
		closedir(d);
	return n;
}

/* True: all of the plugged blocks have taken it. */
static bool set_blocks(const char *state)
{
	char path[128], have[32];
	bool all = true;

	for (unsigned int i = 0; i < BLOCKS; i++) {
		bool online = strncmp(state, "online", 6) == 0;

		snprintf(path, sizeof path, MEMORY "memory%u/state", i);
		if (!plugged[i] || !file_get(path, have, sizeof have))
			continue;
		if (strncmp(have, "online", 6) == 0 ? online : !online)
			continue;
		if (!file_put(path, state)) {
			say("block %u does not go %s: %s", i, state, strerror(errno));
			all = false;
		}
	}
	return all;
}

static int start_walker(struct shared *shared)
{
	struct walk w = { 0 };
	int pid = fork(), fd;

	if (pid)
		return pid;
	fd = walk_open();
	while (!shared->stop) {
		/* The range of all memory is asked for anew each time. */
		walk_all(fd, shared->walks % 2 ? MBWALK_XXH64 : MBWALK_SUPERFASTHASH32,
			 shared->walks % 3 ? MBWALK_SCAN_FREE : 0, &w);
		shared->walks++;
	}
	_exit(0);
}

static struct mbwalk_info tell(int fd, struct walk *w, const char *when)
{
	struct mbwalk_info info;

	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, w);
	walk_info(fd, &info);
	say("%-8s  generation %llu, %llu frames of RAM, end %#llx; %zu records, %llu "
	    "offline",
	    when, info.generation, info.ram_frames, info.end_frame, w->n,
	    (unsigned long long)w->counts[MBWALK_COUNT_OFFLINE]);
	return info;
}

static void plug(void)
{
	double end = now() + 15;
	size_t n = list_blocks(present);

	if (!n)
		skip("memory cannot be plugged into this kernel");
	file_put(MEMORY "auto_online_blocks", "offline");
	if (!ask_host("dimm 128"))
		skip("the host cannot plug memory in");
	while (list_blocks(plugged) == n) {
		if (now() > end)
			skip("the kernel does not notice plugged memory");
		nap(0.1);
	}
	/* All of its blocks, if there are several. */
	nap(0.5);
	list_blocks(plugged);
	for (size_t i = 0; i < BLOCKS; i++)
		plugged[i] = plugged[i] && !present[i];
}

static void check_away(const struct mbwalk_info *info, const struct walk *w, uint64_t first)
{
	for (size_t i = 0; i < w->n; i++)
		if (w->records[i].frame >= first)
			fail("frame %llx has a record, and is not online", w->records[i].frame);
	if (info->ram_frames && info->knows & MBWALK_KNOWS_ONLINE &&
	    w->counts[MBWALK_COUNT_OFFLINE] < FRAMES)
		fail("%llu frames are offline, not %d",
		     (unsigned long long)w->counts[MBWALK_COUNT_OFFLINE], FRAMES);
}

int main(void)
{
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct mbwalk_info before, after, again;
	int fd = walk_open(), pid;
	struct walk w = { 0 };
	bool gone = true;

	CHECK(shared != MAP_FAILED);
	before = tell(fd, &w, "before");
	pid = start_walker(shared);
	plug();
	after = tell(fd, &w, "plugged");
	if (after.ram_frames > before.ram_frames && w.counts[MBWALK_COUNT_OFFLINE])
		check_away(&after, &w, before.end_frame);
	for (int i = 0; i < 5; i++) {
		if (!set_blocks("online_movable") && !set_blocks("online"))
			fail("plugged memory does not go online");
		again = tell(fd, &w, "online");
		if (again.ram_frames != before.ram_frames + FRAMES ||
		    again.generation <= before.generation || w.counts[MBWALK_COUNT_OFFLINE])
			fail("not %d frames more", FRAMES);
		/* Free, as they are. */
		CHECK(free_is_unmapped() || (walk_find(&w, again.end_frame - 1) &&
					     walk_find(&w, again.end_frame - FRAMES)));
		gone = set_blocks("offline");
		after = tell(fd, &w, "offline");
		if (gone) {
			check_away(&after, &w, again.end_frame - FRAMES);
			CHECK(after.generation > again.generation);
		}
	}
	if (ask_host("undimm")) {
		after = tell(fd, &w, "pulled");
		if (after.ram_frames != before.ram_frames || after.end_frame != before.end_frame)
			fail("RAM is not what it was");
		CHECK(w.counts[MBWALK_COUNT_OFFLINE] == 0);
	} else {
		say("the memory is not let go");
	}
	shared->stop = 1;
	wait_good(pid, "walker");
	say("%u walks meanwhile", shared->walks);
	CHECK(shared->walks > 0);
	return 0;
}
