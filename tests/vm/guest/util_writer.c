// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_writer_make.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util_content.h"
#include "util_file.h"
#include "util_frame.h"
#include "util_test.h"
#include "util_walk.h"

#define HUGE (2u << 20)

static uint64_t seed = 1;

uint64_t writer_random(void)
{
	return random64(&seed);
}

bool writer_heads(void)
{
	return random64(&seed) & 1;
}

void writer_note(struct writer *w, const void *page)
{
	if (w->n == sizeof(w->digests) / sizeof(w->digests[0]))
		fail("%s writes too many pages", w->name);
	w->digests[w->n++] = content_digest(MBWALK_XXH64, page);
}

/* Some of n pages. */
void writer_fill_some(struct writer *w, char *at, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (writer_heads()) {
			content_fill(at + i * PAGE, random64(&seed));
			writer_note(w, at + i * PAGE);
		}
	}
}

void writer_fill_all(char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		content_fill(at + i * PAGE, random64(&seed));
}

char *writer_memory(size_t bytes, int flags, int fd)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | (fd < 0 ? MAP_ANONYMOUS : 0),
			fd, 0);

	if (at == MAP_FAILED)
		fail_errno("mmap");
	if (fd < 0)
		madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

int writer_file(const char *path, size_t pages)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0)
		fail_errno("%s", path);
	for (size_t i = 0; i < pages; i++) {
		content_fill(page, random64(&seed));
		if (write(fd, page, PAGE) != PAGE)
			fail_errno("%s", path);
	}
	return fd;
}

/* --- anonymous memory --- */

static bool anon_start(struct writer *w)
{
	w->at = writer_memory(WRITER_BYTES, MAP_PRIVATE, -1);
	writer_fill_all(w->at, WRITER_PAGES);
	return true;
}

static void store_round(struct writer *w)
{
	writer_fill_some(w, w->at, WRITER_PAGES);
}

static void fresh_round(struct writer *w)
{
	munmap(w->at, WRITER_BYTES);
	w->at = writer_memory(WRITER_BYTES, MAP_PRIVATE, -1);
	writer_fill_some(w, w->at, WRITER_PAGES);
}

static bool huge_start(struct writer *w)
{
	char *at = writer_memory(2 * HUGE, MAP_PRIVATE, -1);
	uint64_t frame;

	/* Small machines have them switched off. */
	file_put("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	w->at = (char *)(((uintptr_t)at + HUGE - 1) & -(uintptr_t)HUGE);
	/* Shared with a child, it would be split by the next write. */
	if (madvise(w->at, HUGE, MADV_HUGEPAGE) < 0 || madvise(w->at, HUGE, MADV_DONTFORK) < 0)
		return false;
	writer_fill_all(w->at, HUGE / PAGE);
	frames_of(w->at, 1, &frame);
	return kpage_flags(frame) & KPF(THP);
}

static void huge_round(struct writer *w)
{
	size_t first = random64(&seed) % (HUGE / PAGE - WRITER_PAGES);

	writer_fill_some(w, w->at + first * PAGE, WRITER_PAGES);
}

/* What an earlier round has written is written to again when it has been moved. */
static void mremap_round(struct writer *w)
{
	char *to = writer_memory(WRITER_BYTES, MAP_PRIVATE, -1);

	writer_fill_some(w, w->at, WRITER_PAGES / 2);
	if (mremap(w->at, WRITER_BYTES, WRITER_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
		fail_errno("mremap");
	w->at = to;
	writer_fill_some(w, w->at + WRITER_BYTES / 2, WRITER_PAGES / 2);
}

/* Only until they are looked at, children do nothing but hold their pages. */
static void leave_child(struct writer *w)
{
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
}

/* Child and parent write to their copies; the parent notes both, from the seed that both have. */
static void fork_round(struct writer *w)
{
	uint64_t child_seed = random64(&seed);
	static char page[PAGE] __attribute__((aligned(PAGE)));
	int ready[2];
	char c;

	if (pipe(ready) < 0)
		fail_errno("pipe");
	w->pid = fork();
	if (w->pid < 0)
		fail_errno("fork");
	for (size_t i = 0; i < WRITER_PAGES; i += 2) {
		uint64_t content = random64(&child_seed);

		content_fill(w->pid ? page : w->at + i * PAGE, content);
		if (w->pid)
			writer_note(w, page);
	}
	if (!w->pid) {
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	if (read(ready[0], &c, 1) != 1)
		fail("fork: the child has died");
	close(ready[0]);
	close(ready[1]);
	writer_fill_some(w, w->at, WRITER_PAGES);
}

/* Another process's memory, which it has written to itself once. */
static bool remote_start(struct writer *w)
{
	int ready[2];
	char c;

	anon_start(w);
	if (pipe(ready) < 0)
		fail_errno("pipe");
	w->pid = fork();
	if (!w->pid) {
		for (size_t i = 0; i < WRITER_PAGES; i++)
			w->at[i * PAGE] = 1;
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		pause();
		_exit(1);
	}
	if (w->pid < 0 || read(ready[0], &c, 1) != 1)
		fail("no child");
	close(ready[0]);
	close(ready[1]);
	return true;
}

static void remote_round(struct writer *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));

	for (size_t i = 0; i < WRITER_PAGES; i++) {
		struct iovec from = { page, PAGE }, to = { w->at + i * PAGE, PAGE };

		if (!writer_heads())
			continue;
		content_fill(page, random64(&seed));
		writer_note(w, page);
		if (process_vm_writev(w->pid, &from, 1, &to, 1, 0) != PAGE)
			fail_errno("process_vm_writev");
	}
}

/* --- files --- */

static void pwrite_round(struct writer *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));

	for (size_t i = 0; i < WRITER_PAGES; i++) {
		if (!writer_heads())
			continue;
		content_fill(page, random64(&seed));
		writer_note(w, page);
		if (pwrite(w->fd, page, PAGE, (off_t)(i * PAGE)) != PAGE)
			fail_errno("%s", w->name);
	}
}

static bool map_file(struct writer *w, const char *path)
{
	w->fd = writer_file(path, WRITER_PAGES);
	w->at = writer_memory(WRITER_BYTES, MAP_SHARED, w->fd);
	return true;
}

static bool shared_tmpfs_start(struct writer *w)
{
	return map_file(w, "/tmp/track.shared");
}

static bool write_tmpfs_start(struct writer *w)
{
	w->fd = writer_file("/tmp/track.write", WRITER_PAGES);
	return true;
}

/* A new mapping of old pages: a read of one maps its neighbours, too. */
static bool around_start(struct writer *w)
{
	return map_file(w, "/tmp/track.around");
}

static void around_round(struct writer *w)
{
	munmap(w->at, WRITER_BYTES);
	w->at = writer_memory(WRITER_BYTES, MAP_SHARED, w->fd);
	for (size_t i = 5; i < WRITER_PAGES; i += 16)
		(void)*(volatile char *)(w->at + i * PAGE);
	writer_fill_some(w, w->at, WRITER_PAGES);
}

static bool mprotect_start(struct writer *w)
{
	return map_file(w, "/tmp/track.mprotect");
}

/* Not in each round: in old kernels the tracker cannot tell then. */
static void mprotect_round(struct writer *w)
{
	if (w->count++ % 4 != 1)
		return;
	if (mprotect(w->at, WRITER_BYTES, PROT_READ) < 0 ||
	    mprotect(w->at, WRITER_BYTES, PROT_READ | PROT_WRITE) < 0)
		fail_errno("mprotect");
	writer_fill_some(w, w->at, WRITER_PAGES);
}

/* The page that the new end is in is zeroed behind it. */
static void cut(struct writer *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));
	size_t keep = 100 + random64(&seed) % 3000;

	for (size_t i = 0; i < 8; i++) {
		off_t at = (off_t)(i * PAGE);

		if (pread(w->fd, page, PAGE, at) != PAGE)
			fail_errno("%s", w->name);
		if (w->count++ % 2) {
			memset(page + keep, 0, PAGE - keep);
			if (ftruncate(w->fd, at + (off_t)keep) < 0 ||
			    ftruncate(w->fd, 8 * PAGE) < 0)
				fail_errno("%s", w->name);
			writer_note(w, page);
			return;
		}
		memset(page + keep, 0, 500);
		if (fallocate(w->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at + (off_t)keep,
			      500) < 0)
			return;
		writer_note(w, page);
	}
}

static void cut_settle(struct writer *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));

	for (size_t i = 0; i < 8; i++) {
		content_fill(page, random64(&seed));
		if (pwrite(w->fd, page, PAGE, (off_t)(i * PAGE)) != PAGE)
			fail_errno("%s", w->name);
	}
	if (w->fd > 0 && writer_heads())
		fsync(w->fd);
}

static bool cut_tmpfs_start(struct writer *w)
{
	w->fd = writer_file("/tmp/track.cut", 8);
	return true;
}

/* --- a disk: an image in tmpfs --- */

bool writer_disk(void)
{
	static const char *const mkfs[] = { "mke2fs", "-F", "/tmp/track.image", NULL };
	static const char *const loop[] = { "losetup", WRITER_LOOP, "/tmp/track.image", NULL };
	static int there = -1;

	if (there >= 0)
		return there;
	there = 0;
	close(writer_file("/tmp/track.image", 0));
	if (truncate("/tmp/track.image", 16 << 20) < 0 || run_program(mkfs) || run_program(loop))
		return false;
	mkdir(WRITER_DISK, 0700);
	there = mount(WRITER_LOOP, WRITER_DISK, "ext4", 0, NULL) == 0;
	return there;
}

static bool shared_disk_start(struct writer *w)
{
	return writer_disk() && map_file(w, WRITER_DISK "/shared");
}

static bool mprotect_disk_start(struct writer *w)
{
	return writer_disk() && map_file(w, WRITER_DISK "/mprotect");
}

static bool write_disk_start(struct writer *w)
{
	if (!writer_disk())
		return false;
	w->fd = writer_file(WRITER_DISK "/write", WRITER_PAGES);
	return true;
}

static void write_disk_round(struct writer *w)
{
	pwrite_round(w);
	if (writer_heads())
		fsync(w->fd);
}

static bool cut_disk_start(struct writer *w)
{
	if (!writer_disk())
		return false;
	w->fd = writer_file(WRITER_DISK "/cut", 8);
	return true;
}

/* Into memory that was written to before, around the page cache. */
static bool direct_start(struct writer *w)
{
	if (!writer_disk())
		return false;
	close(writer_file(WRITER_DISK "/direct", WRITER_PAGES));
	w->fd = open(WRITER_DISK "/direct", O_RDWR | O_DIRECT | O_CLOEXEC);
	return w->fd >= 0 && anon_start(w);
}

static void direct_round(struct writer *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));

	for (size_t i = 0; i < WRITER_PAGES; i += 4) {
		off_t at = (off_t)(i * PAGE);

		content_fill(page, random64(&seed));
		writer_note(w, page);
		if (pwrite(w->fd, page, PAGE, at) != PAGE ||
		    pread(w->fd, w->at + i * PAGE, PAGE, at) != PAGE)
			fail_errno("%s", w->name);
	}
}

/* read() into memory: the kernel writes through the process's own mapping. */
static bool read_start(struct writer *w)
{
	w->fd = writer_file("/tmp/track.read", WRITER_PAGES);
	return anon_start(w);
}

static void read_round(struct writer *w)
{
	pwrite_round(w);
	if (pread(w->fd, w->at, WRITER_BYTES, 0) != (ssize_t)WRITER_BYTES)
		fail_errno("%s", w->name);
}

struct writer writers[] = {
	{ .name = "anon", .start = anon_start, .round = store_round },
	{ .name = "anon-new", .start = anon_start, .round = fresh_round },
	{ .name = "anon-huge", .start = huge_start, .round = huge_round },
	{ .name = "mremap", .start = anon_start, .round = mremap_round },
	{ .name = "process_vm_writev", .start = remote_start, .round = remote_round },
	{ .name = "read", .start = read_start, .round = read_round },
	{ .name = "tmpfs-shared", .start = shared_tmpfs_start, .round = store_round },
	{ .name = "tmpfs-around", .start = around_start, .round = around_round },
	{ .name = "tmpfs-mprotect", .start = mprotect_start, .round = mprotect_round },
	{ .name = "tmpfs-write", .start = write_tmpfs_start, .round = pwrite_round },
	{ .name = "tmpfs-cut", .start = cut_tmpfs_start, .round = cut, .settle = cut_settle },
	{ .name = "ext4-shared", .start = shared_disk_start, .round = store_round },
	{ .name = "ext4-mprotect", .start = mprotect_disk_start, .round = mprotect_round },
	{ .name = "ext4-write", .start = write_disk_start, .round = write_disk_round },
	{ .name = "ext4-cut", .start = cut_disk_start, .round = cut, .settle = cut_settle },
	{ .name = "ext4-direct", .start = direct_start, .round = direct_round },
	{ .name = "hugetlb", .start = hugetlb_start, .round = hugetlb_round },
	{ .name = "io_uring-fixed", .start = uring_start, .round = uring_round },
	{ .name = "ksm", .start = ksm_start, .round = ksm_round },
	{ .name = "swap", .start = swap_start, .round = swap_round },
	{ .name = "ext4-slow", .start = slow_start, .round = slow_round, .hurry = slow_hurry },
	{ .name = "swap-in",
	  .start = swapin_start,
	  .round = swapin_round,
	  .settle = swapin_settle },
	/* The last: what is written to after it is copied first. */
	{ .name = "fork", .start = anon_start, .round = fork_round, .settle = leave_child },
};
const size_t n_writers = sizeof(writers) / sizeof(writers[0]);
