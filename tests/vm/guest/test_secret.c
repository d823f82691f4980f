// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that the kernel itself cannot read (memfd_secret) is counted, and its
 * content stays secret. */
#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util_content.h"
#include "util_frame.h"
#include "util_test.h"
#include "util_walk.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

enum { N = 256 };

static unsigned char *map_secret(void)
{
	int fd = syscall(SYS_memfd_secret, 0);
	unsigned char *at;

	if (fd < 0)
		skip("no memfd_secret(): errno %d (older than 5.14, or secretmem.enable=0)", errno);
	if (ftruncate(fd, N * PAGE) < 0)
		fail_errno("ftruncate");
	at = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		fail_errno("mmap of secret memory");
	close(fd);
	return at;
}

static void check_hidden(const struct walk *w, const uint64_t *frames, const uint64_t *digests)
{
	for (size_t i = 0; i < N; i++)
		if (frames[i] != NO_FRAME && walk_find(w, frames[i]))
			fail("secret frame %llx has a record", (unsigned long long)frames[i]);
	for (size_t i = 0; i < w->n; i++)
		for (size_t j = 0; j < N; j++)
			if (w->records[i].digest == digests[j])
				fail("frame %llx has a secret digest", w->records[i].frame);
}

int main(void)
{
	uint64_t content = random_seed(), frames[N], digests[N], before, during;
	int fd = walk_open();
	struct walk w = { 0 };
	unsigned char *at;
	size_t known = 0;

	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
	before = w.counts[MBWALK_COUNT_UNREADABLE];
	at = map_secret();
	for (size_t i = 0; i < N; i++) {
		content_fill(at + i * PAGE, content++);
		digests[i] = content_digest(MBWALK_XXH64, at + i * PAGE);
	}
	frames_of(at, N, frames);
	for (size_t i = 0; i < N; i++)
		known += frames[i] != NO_FRAME;
	for (int i = 0; i < 2; i++) {
		walk_all(fd, MBWALK_XXH64, i ? 0 : MBWALK_SCAN_FREE, &w);
		during = w.counts[MBWALK_COUNT_UNREADABLE];
		say("%d secret pages (%zu frames known): unreadable %llu, before %llu", N, known,
		    (unsigned long long)during, (unsigned long long)before);
		/* Where free frames cannot be read either, they are many more. */
		if (during < before + N && !free_is_unmapped())
			fail("too few");
		check_hidden(&w, frames, digests);
	}
	munmap(at, N * PAGE);
	/* Freed, they are in the kernel's map again, and zero. */
	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
	for (size_t i = 0; i < N; i++)
		frames[i] = NO_FRAME;
	check_hidden(&w, frames, digests);
	say("given back: unreadable %llu", (unsigned long long)w.counts[MBWALK_COUNT_UNREADABLE]);
	if (w.counts[MBWALK_COUNT_UNREADABLE] > during - N && !free_is_unmapped())
		fail("still unreadable");
	return 0;
}
