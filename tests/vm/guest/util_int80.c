// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_int80.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_test.h"
#include "util_walk.h"

int int80_ioctl(int fd, unsigned long request, void *arg)
{
	int r = -ENOSYS;

#ifdef __x86_64__
	if ((uintptr_t)arg >> 32)
		fail("a pointer above 4 GiB in a 32-bit call");
	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "0"(54), "b"(fd), "c"((unsigned int)request),
			   "d"((unsigned int)(uintptr_t)arg)
			 : "memory", "cc", "r8", "r9", "r10", "r11");
#endif
	if (r < 0) {
		errno = -r;
		return -1;
	}
	return r;
}

void *memory32(size_t n)
{
	void *at = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT,
			-1, 0);

	if (at == MAP_FAILED)
		fail_errno("mmap below 4 GiB");
	return at;
}

bool int80_works(int fd)
{
	int status, pid = fork();

	if (pid == 0) {
		struct mbwalk_info *info = memory32(sizeof *info);

		info->size = sizeof *info;
		if (int80_ioctl(fd, MBWALK_INFO, info) == 0)
			_exit(0);
		_exit(errno == ENOSYS ? 1 : 2);
	}
	if (waitpid(pid, &status, 0) < 0)
		fail_errno("waitpid");
	if (WIFEXITED(status) && WEXITSTATUS(status) == 2)
		fail("MBWALK_INFO fails in a 32-bit call");
	return status == 0;
}
