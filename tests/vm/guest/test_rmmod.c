// SPDX-License-Identifier: GPL-2.0-or-later
/* While its device is open the module stays; then it goes, and can come back.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_file.h"
#include "util_module.h"
#include "util_test.h"
#include "util_walk.h"

static void check_refused(const char *when)
{
	int error = module_unload(MBWALK_DEVICE);

	if (error != EBUSY && error != EWOULDBLOCK)
		fail("rmmod %s: errno %d", when, error);
}

/* Another process's descriptor counts, too; and one in the middle of a walk. */
static void check_walking(void)
{
	int pid = fork();

	if (pid == 0) {
		struct walk w = { 0 };
		int fd = walk_open();

		for (double end = now() + 2; now() < end;)
			walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
		_exit(0);
	}
	nap(0.5);
	for (int i = 0; i < 200; i++) {
		check_refused("in the middle of a walk");
		nap(0.002);
	}
	wait_good(pid, "walker");
}

int main(void)
{
	struct module_image image;
	struct walk w = { 0 };
	int fd, error;

	if (!module_read(module_path(), &image))
		skip("no %s", module_path());
	fd = walk_open();
	check_refused("while open");
	walk_all(fd, MBWALK_XXH64, 0, &w);
	check_refused("after a walk");
	close(fd);
	check_walking();
	for (int i = 0; i < 10; i++) {
		error = module_unload(MBWALK_DEVICE);
		if (error)
			fail("rmmod with nothing open: errno %d", error);
		if (open(MBWALK_PATH, O_RDWR) >= 0 || module_is_loaded(MBWALK_DEVICE))
			fail("something is left of it");
		error = module_load(&image);
		if (error)
			fail("insmod: errno %d", error);
		/* Its node is made by a thread of devtmpfs. */
		for (int tries = 0; tries < 100 && !file_exists(MBWALK_PATH); tries++)
			nap(0.02);
		fd = walk_open();
		walk_all(fd, MBWALK_XXH64, 0, &w);
		check_refused("after it came back");
		close(fd);
	}
	return 0;
}
