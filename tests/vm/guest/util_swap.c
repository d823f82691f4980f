// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_swap.h"

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/swap.h>
#include <unistd.h>

#include "util_file.h"
#include "util_test.h"
#include "util_walk.h"

/* A swap area is its last ten bytes of the first page, and a version and a last page in it. */
bool swap_on_zram(void)
{
	static const char *const compressors[] = { "lzo-rle", "lzo", "lz4", "zstd", "deflate" };
	unsigned char page[PAGE] = { 0 };
	uint32_t *header = (uint32_t *)(page + 1024);
	char size[32];
	int fd;

	if (meminfo_frames("SwapTotal") > 0)
		return true;
	snprintf(size, sizeof size, "%lld", meminfo_frames("MemTotal") / 4 * PAGE);
	/* Its usual compressor may be a module that is not here. */
	for (size_t i = 0; !file_put("/sys/block/zram0/disksize", size); i++) {
		if (i == sizeof compressors / sizeof *compressors)
			return false;
		file_put("/sys/block/zram0/comp_algorithm", compressors[i]);
	}
	fd = open(SWAP_DEVICE, O_RDWR);
	if (fd < 0)
		return false;
	header[0] = 1;
	header[1] = meminfo_frames("MemTotal") / 4 - 1;
	memcpy(page + PAGE - 10, "SWAPSPACE2", 10);
	if (write(fd, page, PAGE) != PAGE || fsync(fd) < 0)
		fail_errno(SWAP_DEVICE);
	close(fd);
	return swapon(SWAP_DEVICE, 0) == 0;
}
