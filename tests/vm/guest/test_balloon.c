// SPDX-License-Identifier: GPL-2.0-or-later
/* Pages that the host has taken back are counted as such, and come back. */
#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"

enum { MB = 128, FRAMES = MB * 256 };

static bool has_balloon(void)
{
	DIR *d = opendir("/sys/bus/virtio/drivers/virtio_balloon");
	struct dirent *e;
	bool found = false;

	while (d && (e = readdir(d)))
		found = found || (strncmp(e->d_name, "virtio", 6) == 0);
	if (d)
		closedir(d);
	return found;
}

/* Guests have whole multiples of this; some of it is the firmware's. */
static long long guest_mb(const struct mbwalk_info *info)
{
	return (info->ram_frames / 256 + 127) / 128 * 128;
}

static uint64_t ballooned(int fd, struct walk *w, bool known)
{
	walk_all(fd, MBWALK_XXH64, 0, w);
	return known ? w->counts[MBWALK_COUNT_BALLOON] : walk_of_class(w, MBWALK_KERNEL);
}

static uint64_t resize(int fd, struct walk *w, bool known, long long mb)
{
	char request[32];
	uint64_t n;

	snprintf(request, sizeof request, "balloon %lld", mb);
	if (!ask_host(request))
		fail("the host does not make it %lld MB", mb);
	n = ballooned(fd, w, known);
	say("%lld MB: %llu frames in the balloon, MemTotal %lld, free %llu", mb,
	    (unsigned long long)n, meminfo_frames("MemTotal"),
	    (unsigned long long)w->counts[MBWALK_COUNT_FREE]);
	return n;
}

static void check_near(const char *what, uint64_t have, uint64_t want)
{
	const uint64_t slack = FRAMES / 20;

	if (have + slack < want || have > want + slack)
		fail("%s: %llu frames, not about %llu", what, (unsigned long long)have,
		     (unsigned long long)want);
}

int main(void)
{
	struct mbwalk_info info;
	struct walk w = { 0 };
	int fd = walk_open();
	uint64_t before;
	bool known;

	if (!has_balloon())
		skip("no virtio balloon");
	walk_info(fd, &info);
	known = info.knows & MBWALK_KNOWS_BALLOON;
	say("ballooned frames are %s", known ? "known" : "taken for the kernel's own");
	before = resize(fd, &w, known, guest_mb(&info));
	check_near("inflated", resize(fd, &w, known, guest_mb(&info) - MB), before + FRAMES);
	check_near("half", resize(fd, &w, known, guest_mb(&info) - MB / 2), before + FRAMES / 2);
	check_near("deflated", resize(fd, &w, known, guest_mb(&info)), before);
	return 0;
}
