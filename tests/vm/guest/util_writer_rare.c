// SPDX-License-Identifier: GPL-2.0-or-later
/* Memory that is not just a process's, or not just there. */
#include <fcntl.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

#include "util_content.h"
#include "util_file.h"
#include "util_swap.h"
#include "util_test.h"
#include "util_writer_make.h"

/* --- hugetlb: faults that no tracker follows --- */

bool hugetlb_start(struct writer *w)
{
	enum { HUGE_BYTES = 2 << 20 };
	void *at;

	if (!file_put("/proc/sys/vm/nr_hugepages", "1"))
		return false;
	at = mmap(NULL, HUGE_BYTES, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (at == MAP_FAILED)
		return false;
	/* A child would have no page of its own to copy it to. */
	madvise(at, HUGE_BYTES, MADV_DONTFORK);
	w->at = at;
	writer_fill_all(w->at, WRITER_PAGES);
	return true;
}

void hugetlb_round(struct writer *w)
{
	writer_fill_some(w, w->at, WRITER_PAGES);
}

/* --- a buffer that io_uring has pinned: written without a fault, for as long as it likes --- */

static struct ring {
	int fd;
	unsigned int *head, *tail, *array;   /* submissions */
	unsigned int *c_head, *c_tail, mask; /* completions */
	const struct io_uring_cqe *completions;
	struct io_uring_sqe *entry;
} ring;

static void *map_ring(size_t bytes, off_t what)
{
	void *at =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring.fd, what);

	if (at == MAP_FAILED)
		fail_errno("io_uring");
	return at;
}

static bool make_ring(void)
{
	struct io_uring_params p = { 0 };
	char *sq, *cq;

	ring.fd = (int)syscall(SYS_io_uring_setup, 1, &p);
	if (ring.fd < 0)
		return false;
	sq = map_ring(p.sq_off.array + p.sq_entries * sizeof(unsigned int), IORING_OFF_SQ_RING);
	cq = map_ring(p.cq_off.cqes + p.cq_entries * sizeof(*ring.completions), IORING_OFF_CQ_RING);
	ring.tail = (void *)(sq + p.sq_off.tail);
	ring.array = (void *)(sq + p.sq_off.array);
	ring.c_head = (void *)(cq + p.cq_off.head);
	ring.c_tail = (void *)(cq + p.cq_off.tail);
	ring.mask = *(unsigned int *)(void *)(cq + p.cq_off.ring_mask);
	ring.completions = (void *)(cq + p.cq_off.cqes);
	ring.entry = map_ring(p.sq_entries * sizeof(*ring.entry), IORING_OFF_SQES);
	return true;
}

bool uring_start(struct writer *w)
{
	struct iovec buffer;

	if (!make_ring())
		return false;
	w->fd = writer_file("/tmp/track.uring", WRITER_PAGES);
	w->at = writer_memory(WRITER_BYTES, MAP_PRIVATE, -1);
	/* Pinned pages that a child shares would have to be copied for it. */
	madvise(w->at, WRITER_BYTES, MADV_DONTFORK);
	writer_fill_all(w->at, WRITER_PAGES);
	buffer = (struct iovec){ w->at, WRITER_BYTES };
	return syscall(SYS_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &buffer, 1) == 0;
}

/* Page i of the file, into the buffer. */
static void read_fixed(struct writer *w, size_t i)
{
	int result;

	*ring.entry = (struct io_uring_sqe){ .opcode = IORING_OP_READ_FIXED,
					     .fd = w->fd,
					     .off = i * PAGE,
					     .addr = (uintptr_t)w->at + i * PAGE,
					     .len = PAGE };
	ring.array[0] = 0;
	__atomic_store_n(ring.tail, *ring.tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring.fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		fail_errno("io_uring_enter");
	while (__atomic_load_n(ring.c_tail, __ATOMIC_ACQUIRE) == *ring.c_head)
		;
	result = ring.completions[*ring.c_head & ring.mask].res;
	__atomic_store_n(ring.c_head, *ring.c_head + 1, __ATOMIC_RELEASE);
	if (result != PAGE)
		fail("io_uring: read of page %zu: %d", i, result);
}

void uring_round(struct writer *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));

	for (size_t i = 0; i < WRITER_PAGES; i += 3) {
		content_fill(page, writer_random());
		if (pwrite(w->fd, page, PAGE, (off_t)(i * PAGE)) != PAGE)
			fail_errno("%s", w->name);
		read_fixed(w, i);
		writer_note(w, w->at + i * PAGE);
	}
}

/* --- pages that this machine's own KSM merges, and that a write takes apart --- */

bool ksm_start(struct writer *w)
{
	w->at = writer_memory(WRITER_BYTES, MAP_PRIVATE, -1);
	writer_fill_all(w->at, WRITER_PAGES);
	return madvise(w->at, WRITER_BYTES, MADV_MERGEABLE) == 0 &&
	       file_put("/sys/kernel/mm/ksm/sleep_millisecs", "20") &&
	       file_put("/sys/kernel/mm/ksm/pages_to_scan", "400") &&
	       file_put("/sys/kernel/mm/ksm/run", "1");
}

void ksm_round(struct writer *w)
{
	/* Twins, some of which are merged when they are written to again. */
	for (size_t i = 0; i + 1 < WRITER_PAGES; i += 2) {
		if (!writer_heads())
			continue;
		content_fill(w->at + i * PAGE, writer_random());
		memcpy(w->at + (i + 1) * PAGE, w->at + i * PAGE, PAGE);
		writer_note(w, w->at + i * PAGE);
	}
}

/* --- pages that are out for a while: they come back to another frame --- */

bool swap_start(struct writer *w)
{
	if (!swap_on_zram())
		return false;
	w->at = writer_memory(WRITER_BYTES, MAP_PRIVATE, -1);
	writer_fill_all(w->at, WRITER_PAGES);
	return madvise(w->at, WRITER_BYTES, MADV_PAGEOUT) == 0;
}

void swap_round(struct writer *w)
{
	writer_fill_some(w, w->at, WRITER_PAGES);
	madvise(w->at, WRITER_BYTES, MADV_PAGEOUT);
	/* Half of them come back by a read. */
	for (size_t i = 0; i < WRITER_PAGES; i += 2)
		(void)*(volatile char *)(w->at + i * PAGE);
}

/* As above, unchanged, into frames of the second half's pages, which are freed for that. */

void swapin_settle(struct writer *w)
{
	writer_fill_all(w->at + WRITER_BYTES, WRITER_PAGES);
}

bool swapin_start(struct writer *w)
{
	if (!swap_on_zram())
		return false;
	w->at = writer_memory(2 * WRITER_BYTES, MAP_PRIVATE, -1);
	writer_fill_all(w->at, WRITER_PAGES);
	swapin_settle(w);
	return madvise(w->at, WRITER_BYTES, MADV_PAGEOUT) == 0;
}

void swapin_round(struct writer *w)
{
	char *spare = w->at + WRITER_BYTES;

	if (madvise(w->at, WRITER_BYTES, MADV_PAGEOUT) < 0)
		fail_errno("%s", w->name);
	/* A frame just freed is the next to be taken. */
	for (size_t i = 0; i < WRITER_PAGES; i++) {
		if (madvise(spare + i * PAGE, PAGE, MADV_DONTNEED) < 0)
			fail_errno("%s", w->name);
		writer_note(w, w->at + i * PAGE);
	}
}

/* --- pages on their way in: from a disk that a cgroup makes slow --- */

#define CGROUP "/tmp/track.cgroup"

/* A second for the file. */
static bool slow_cgroup(void)
{
	struct stat st;
	char limit[64];

	mkdir(CGROUP, 0700);
	if (mount("none", CGROUP, "cgroup2", 0, NULL) < 0 ||
	    !file_put(CGROUP "/cgroup.subtree_control", "+io") || mkdir(CGROUP "/slow", 0700) < 0 ||
	    stat(WRITER_LOOP, &st) < 0)
		return false;
	snprintf(limit, sizeof(limit), "%u:%u rbps=%zu", major(st.st_rdev), minor(st.st_rdev),
		 WRITER_BYTES);
	return file_put(CGROUP "/slow/io.max", limit);
}

/* What lies in the frames that are handed out next is not what the file left there. */
static void spoil_frames(void)
{
	char *at = writer_memory(4 * WRITER_BYTES, MAP_PRIVATE, -1);

	memset(at, 0x5a, 4 * WRITER_BYTES);
	munmap(at, 4 * WRITER_BYTES);
}

/* Each time that it is told to, forgets the file and asks for it again, without waiting for it. */
static _Noreturn void slow_reader(int fd, int orders)
{
	char c, me[16];

	snprintf(me, sizeof(me), "%d", (int)getpid());
	if (!file_put(CGROUP "/slow/cgroup.procs", me))
		_exit(1);
	while (read(orders, &c, 1) == 1) {
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		spoil_frames();
		readahead(fd, 0, WRITER_BYTES);
	}
	_exit(0);
}

bool slow_start(struct writer *w)
{
	if (!writer_disk() || !slow_cgroup())
		return false;
	w->fd = writer_file(WRITER_DISK "/slow", WRITER_PAGES);
	if (fsync(w->fd) < 0 || pipe(w->pipe) < 0)
		fail_errno("%s", w->name);
	w->pid = fork();
	if (!w->pid)
		slow_reader(w->fd, w->pipe[0]);
	return w->pid > 0;
}

void slow_hurry(struct writer *w)
{
	if (write(w->pipe[1], "", 1) != 1)
		fail_errno("%s", w->name);
	nap(.1);
}

/* Waits for all of them to be there. */
void slow_round(struct writer *w)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));

	for (size_t i = 0; i < WRITER_PAGES; i++) {
		if (pread(w->fd, page, PAGE, (off_t)(i * PAGE)) != PAGE)
			fail_errno("%s", w->name);
		writer_note(w, page);
	}
	memset(page, 0, sizeof(page));
}
