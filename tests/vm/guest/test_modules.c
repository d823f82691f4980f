// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Other modules come and go while memory is walked: on new kernels that leaves
 * passing holes in the kernel's map of memory, where a plain read would oops.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util_file.h"
#include "util_module.h"
#include "util_test.h"
#include "util_walk.h"

enum { ROUNDS = 200, LIMIT = 30 };

struct shared {
	volatile int stop;
	volatile unsigned int walks[2];
	volatile uint64_t unreadable;
};

/* A module's name is in the name of its file. */
static void name_of(const char *file, char *name, size_t size)
{
	snprintf(name, size, "%.*s", (int)(strlen(file) - 3), file);
	for (; *name; name++)
		if (*name == '-')
			*name = '_';
}

/* Any that can be loaded, and unloaded again. */
static bool find_module(const char *folder, struct module_image *image, char *name, size_t size)
{
	DIR *d = opendir(folder);
	char path[512];
	struct dirent *e;

	while (d && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (n < 4 || strcmp(e->d_name + n - 3, ".ko") != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
		name_of(e->d_name, name, size);
		if (strcmp(name, MBWALK_DEVICE) == 0 || module_is_loaded(name) ||
		    !module_read(path, image))
			continue;
		if (module_load(image) == 0 && module_unload(name) == 0) {
			say("%s", path);
			return true;
		}
	}
	return false;
}

static int start_walker(struct shared *shared, int i)
{
	struct walk w = { 0 };
	int pid = fork(), fd;

	if (pid)
		return pid;
	fd = walk_open();
	while (!shared->stop) {
		walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
		shared->walks[i]++;
		shared->unreadable += w.counts[MBWALK_COUNT_UNREADABLE];
	}
	_exit(0);
}

int main(void)
{
	struct shared *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *helpers = getenv("HELPERS");
	struct module_image image;
	double end = now() + LIMIT;
	int pids[2], rounds = 0, error;
	char name[64];

	if (shared == MAP_FAILED)
		fail_errno("mmap");
	if (!find_module(helpers ? helpers : "/modules/test", &image, name, sizeof name) &&
	    !find_module("/modules/kernel", &image, name, sizeof name) &&
	    !find_module("/", &image, name, sizeof name))
		skip("no other module that can be loaded");
	for (int i = 0; i < 2; i++)
		pids[i] = start_walker(shared, i);
	while (rounds < ROUNDS && now() < end) {
		error = module_load(&image);
		if (error)
			fail("insmod %s, round %d: errno %d", name, rounds, error);
		/* The kernel may hold it a moment longer. */
		for (int tries = 0; (error = module_unload(name)) && tries < 100; tries++)
			nap(0.01);
		if (error)
			fail("rmmod %s, round %d: errno %d", name, rounds, error);
		rounds++;
	}
	shared->stop = 1;
	for (int i = 0; i < 2; i++)
		wait_good(pids[i], "walker");
	say("%d times loaded and unloaded during %u walks; %llu frames were "
	    "unreadable in them",
	    rounds, shared->walks[0] + shared->walks[1], (unsigned long long)shared->unreadable);
	CHECK(rounds >= 20 && shared->walks[0] && shared->walks[1]);
	return 0;
}
