// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_frame.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "util_test.h"
#include "util_walk.h"

void frames_of(const void *at, size_t n, uint64_t *frames)
{
	const uint64_t present = 1ull << 63, swapped = 1ull << 62, frame = (1ull << 55) - 1;
	off_t offset = (uintptr_t)at / PAGE * sizeof *frames;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		fail_errno("/proc/self/pagemap");
	if (pread(fd, frames, n * sizeof *frames, offset) != (ssize_t)(n * sizeof *frames))
		fail_errno("/proc/self/pagemap: %zu pages at %p", n, at);
	close(fd);
	for (size_t i = 0; i < n; i++)
		frames[i] =
			(frames[i] & (present | swapped)) == present ? frames[i] & frame : NO_FRAME;
}

void kpage_words(const char *path, uint64_t first, size_t n, uint64_t missing, uint64_t *words)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	ssize_t r;

	if (fd < 0)
		fail_errno("%s", path);
	while (have < n && (r = pread(fd, words + have, (n - have) * sizeof *words,
				      (first + have) * sizeof *words)) > 0)
		have += r / sizeof *words;
	close(fd);
	while (have < n)
		words[have++] = missing;
}

uint64_t kpage_flags(uint64_t frame)
{
	uint64_t flags;

	kpage_words("/proc/kpageflags", frame, 1, KPF(NOPAGE), &flags);
	return flags;
}

bool free_is_unmapped(void)
{
	return getenv("FREE_UNMAPPED") != NULL; /* init has asked the kernel's log */
}
