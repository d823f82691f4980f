// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Pages of known content, in memory of each kind that there is: the walk must
 * find each of their frames with the digest that user space computes, and these
 * digests nowhere else.
 */
#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util_content.h"
#include "util_file.h"
#include "util_frame.h"
#include "util_plant.h"
#include "util_test.h"
#include "util_walk.h"

#ifndef MAP_HUGETLB
#define MAP_HUGETLB 0x40000
#endif

#define HUGE_BYTES (2ul << 20)
#define THP	   "/sys/kernel/mm/transparent_hugepage/enabled"
#define KSM	   "/sys/kernel/mm/ksm/"
#define HUGETLB	   "/proc/sys/vm/nr_hugepages"

static uint64_t content; /* the next one's, never used before */

static void fill(unsigned char *at, size_t n)
{
	for (size_t i = 0; i < n; i++)
		content_fill(at + i * PAGE, content++);
}

static void plant_small(struct plants *p)
{
	enum { N = 300, COPIES = 40 };
	unsigned char *at = plant_memory(N), *copies = plant_memory(COPIES);

	fill(at, N);
	plant_add(p, "anonymous", at, N, MBWALK_ANON, 0);
	/* The first 8 pages again, 5 times each. */
	for (size_t i = 0; i < COPIES; i++)
		memcpy(copies + i * PAGE, at + i % 8 * PAGE, PAGE);
	plant_add(p, "copies", copies, COPIES, MBWALK_ANON, 0);
}

static size_t plant_zero(struct plants *p)
{
	enum { N = 1000 };
	volatile unsigned char *at = plant_memory(N);

	/* Written, or it were one page for all. */
	for (size_t i = 0; i < N; i++)
		at[i * PAGE] = 1;
	for (size_t i = 0; i < N; i++)
		at[i * PAGE] = 0;
	plant_add(p, "zero", (void *)at, N, MBWALK_ANON, MBWALK_ZERO);
	return N;
}

/* Of n aligned bytes; the kernel may have no huge page for it. */
static unsigned char *try_thp(void)
{
	unsigned char *at = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t frame;

	if (at == MAP_FAILED)
		fail_errno("mmap");
	at += -(uintptr_t)at % HUGE_BYTES;
	if (madvise(at, HUGE_BYTES, MADV_HUGEPAGE) < 0)
		return NULL;
	*(volatile unsigned char *)at = 1;
	frames_of(at, 1, &frame);
	return frame != NO_FRAME && kpage_flags(frame) & KPF(THP) ? at : NULL;
}

static void plant_thp(struct plants *p)
{
	unsigned char *at = NULL;
	char mode[64] = "";

	if (file_get(THP, mode, sizeof mode) && strstr(mode, "[never]"))
		file_put(THP, "madvise");
	for (int i = 0; !at && i < 8; i++) {
		if (i)
			file_put("/proc/sys/vm/compact_memory", "1");
		at = try_thp();
	}
	if (!at) {
		say("no transparent huge page to be had (%s)",
		    mode[0] ? mode : "not in this kernel");
		return;
	}
	fill(at, HUGE_BYTES / PAGE);
	plant_add(p, "transparent huge", at, HUGE_BYTES / PAGE, MBWALK_ANON, 0);
}

static long long hugetlb_before;

static void plant_hugetlb(struct plants *p)
{
	unsigned char *at = MAP_FAILED;

	/* A scenario may have some for all its tests. */
	hugetlb_before = file_number(HUGETLB);
	if (hugetlb_before >= 2 || (file_put(HUGETLB, "2") && file_number(HUGETLB) == 2))
		at = mmap(NULL, 2 * HUGE_BYTES, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE, -1, 0);
	if (at == MAP_FAILED) {
		say("no hugetlb pages to be had");
		return;
	}
	fill(at, 2 * HUGE_BYTES / PAGE);
	plant_add(p, "hugetlb", at, 2 * HUGE_BYTES / PAGE, MBWALK_HUGETLB, 0);
}

/* A new file of n pages, mapped; NULL: it cannot be. It goes with the mapping,
 * if `last`. */
static unsigned char *map_file(const char *path, size_t n, bool last)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unsigned char *at;

	if (fd < 0 || ftruncate(fd, n * PAGE) < 0)
		return NULL;
	at = mmap(NULL, n * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (at == MAP_FAILED || mlock(at, n * PAGE) < 0 || (last && unlink(path) < 0))
		return NULL;
	return at;
}

static void plant_file(struct plants *p, const char *what, const char *type, size_t n)
{
	char folder[64], path[96];
	unsigned char *at;

	snprintf(folder, sizeof folder, "/tmp/planted.%s", type);
	mkdir(folder, 0700);
	if (mount(type, folder, type, 0, NULL) < 0) {
		say("cannot mount %s", type);
		return;
	}
	snprintf(path, sizeof path, "%s/file", folder);
	at = map_file(path, n, true);
	if (!at)
		fail_errno("%s", path);
	umount2(folder, MNT_DETACH);
	fill(at, n);
	plant_add(p, what, at, n, MBWALK_FILE, 0);
}

/* The image loses its name; the disk goes with its last user. */
static bool make_loop(char *path, size_t size, const char *image)
{
	struct loop_info64 info = { .lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR), number, fd, file;

	number = control < 0 ? -1 : ioctl(control, LOOP_CTL_GET_FREE);
	if (number < 0)
		return false;
	close(control);
	snprintf(path, size, "/dev/loop%d", number);
	fd = open(path, O_RDWR);
	file = open(image, O_RDWR);
	if (fd < 0 || file < 0 || ioctl(fd, LOOP_SET_FD, file) < 0 ||
	    ioctl(fd, LOOP_SET_STATUS64, &info) < 0 || unlink(image) < 0)
		return false;
	close(file);
	/* Not closed: or it went at once. */
	return true;
}

/* The disk's own cache, and below it the file that the disk is made of. */
static void plant_disk(struct plants *p)
{
	enum { N = 32 };
	unsigned char *file = map_file("/tmp/planted.disk", N, false), *at;
	char disk[32];
	int fd;

	if (!file)
		fail_errno("/tmp/planted.disk");
	if (!make_loop(disk, sizeof disk, "/tmp/planted.disk")) {
		say("no loop device: no page cache of a block device");
		return;
	}
	fill(file, N);
	fd = open(disk, O_RDONLY);
	at = mmap(NULL, N * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (fd < 0 || at == MAP_FAILED || mlock(at, N * PAGE) < 0)
		fail_errno("%s", disk);
	plant_add(p, "file below a disk", file, N, MBWALK_FILE, 0);
	plant_add(p, "block device", at, N, MBWALK_BUFFER, 0);
}

/* What ext4 has written back is in the image, too: where, the image's pages
 * tell. */
static void plant_image(struct plants *p, const unsigned char *image, size_t n,
			const unsigned char *file, size_t n_file)
{
	size_t found = 0;

	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n_file; j++)
			if (memcmp(image + i * PAGE, file + j * PAGE, PAGE) == 0) {
				if (p->n == sizeof p->list / sizeof *p->list)
					fail("ext4: the image is too scattered");
				if (found && p->list[p->n - 1].at + p->list[p->n - 1].n * PAGE ==
						     image + i * PAGE) {
					struct plant *last = &p->list[p->n - 1];

					free(last->frames);
					last->frames = calloc(++last->n, sizeof(uint64_t));
					CHECK(last->frames);
				} else {
					plant_add(p, "image of ext4", image + i * PAGE, 1,
						  MBWALK_FILE, 0);
				}
				found++;
			}
	say("%zu of %zu pages of an ext4 file are in its image", found, n_file);
}

static void plant_ext4(struct plants *p)
{
	enum { N = 32, IMAGE = 2048 };
	const char *const mkfs[] = { "mke2fs", "-F", "-b", "4096", "/tmp/planted.image", NULL };
	unsigned char *image = map_file("/tmp/planted.image", IMAGE, false), *at;
	char disk[32];

	if (!image)
		fail_errno("/tmp/planted.image");
	if (run_program((const char *const[]){
		    "sh", "-c", "mke2fs -F -b 4096 /tmp/planted.image >/dev/null 2>&1", NULL }) ||
	    !make_loop(disk, sizeof disk, "/tmp/planted.image")) {
		say("no %s or no loop device: no ext4", mkfs[0]);
		return;
	}
	mkdir("/tmp/planted.ext4", 0700);
	if (mount(disk, "/tmp/planted.ext4", "ext4", 0, NULL) < 0) {
		say("no ext4 in this kernel");
		return;
	}
	at = map_file("/tmp/planted.ext4/file", N, true);
	if (!at)
		fail_errno("/tmp/planted.ext4/file");
	umount2("/tmp/planted.ext4", MNT_DETACH);
	fill(at, N);
	if (msync(at, N * PAGE, MS_SYNC) < 0)
		fail_errno("msync");
	sync();
	plant_add(p, "ext4", at, N, MBWALK_FILE, 0);
	plant_image(p, image, IMAGE, at, N);
}

static size_t distinct(const uint64_t *frames, size_t n)
{
	size_t d = 0;

	for (size_t i = 0; i < n; i++) {
		size_t j = 0;

		while (j < i && frames[j] != frames[i])
			j++;
		d += j == i;
	}
	return d;
}

static void plant_ksm(struct plants *p)
{
	enum { CONTENTS = 8, COPIES = 8, N = CONTENTS * COPIES };
	unsigned char *at = plant_memory(N);
	double end = now() + 60;
	uint64_t frames[N];
	long long scans;

	if (!file_put(KSM "run", "0") || madvise(at, N * PAGE, MADV_MERGEABLE) < 0) {
		say("no KSM in this kernel");
		return;
	}
	fill(at, CONTENTS);
	for (size_t i = CONTENTS; i < N; i++)
		memcpy(at + i * PAGE, at + i % CONTENTS * PAGE, PAGE);
	file_put(KSM "pages_to_scan", "1000");
	file_put(KSM "sleep_millisecs", "10");
	file_put(KSM "run", "1");
	do {
		if (now() > end)
			fail("KSM has merged only %lld pages into %lld",
			     file_number(KSM "pages_sharing"), file_number(KSM "pages_shared"));
		nap(0.05);
		frames_of(at, N, frames);
	} while (distinct(frames, N) != CONTENTS);
	/*
	 * What was merged away may still be held by the per-CPU lists of pages on their way to the
	 * LRU, and so be in use. KSM empties these lists whenever it begins anew.
	 */
	for (scans = file_number(KSM "full_scans"); file_number(KSM "full_scans") < scans + 3;) {
		if (now() > end)
			fail("KSM has come to a halt");
		nap(0.05);
	}
	/* Stopped, and what was merged stays merged. */
	file_put(KSM "run", "0");
	plant_add(p, "merged by KSM", at, N, MBWALK_ANON, MBWALK_KSM);
}

/* The flag, the digest of the zero page and the planted frames speak of the
 * same thing. */
static void check_zero(const struct walk *w, enum mbwalk_algorithm algorithm, size_t planted)
{
	static const unsigned char zero[PAGE];
	uint64_t digest = content_digest(algorithm, zero);
	size_t n = 0;

	for (size_t i = 0; i < w->n; i++) {
		const struct mbwalk_record *r = &w->records[i];

		if (!(r->flags & MBWALK_ZERO) != (r->digest != digest))
			fail("frame %llx: flags %#x, but digest %llx", r->frame, r->flags,
			     r->digest);
		n += (r->flags & MBWALK_ZERO) != 0;
	}
	if (n < planted)
		fail("%zu zero pages planted, %zu found", planted, n);
	say("algorithm %d: %zu records, %zu zero", algorithm, w->n, n);
}

static void check_huge(const struct plants *p, const struct walk *w)
{
	for (size_t i = 0; i < p->n; i++) {
		const struct plant *plant = &p->list[i];

		if (!strstr(plant->what, "huge"))
			continue;
		for (size_t j = 0; j < plant->n; j++) {
			uint16_t flag = j % 512 ? MBWALK_HUGE_TAIL : MBWALK_HUGE_HEAD;

			if (!(walk_find(w, plant->frames[j])->flags & flag))
				fail("%s: page %zu has no flag %#x", plant->what, j, flag);
		}
	}
}

int main(void)
{
	int fd = walk_open();
	struct plants p = { .n = 0 };
	struct walk w = { 0 };
	size_t zero;

	content = random_seed();
	/* First, as long as there are huge pages. */
	plant_hugetlb(&p);
	plant_thp(&p);
	plant_small(&p);
	zero = plant_zero(&p);
	plant_file(&p, "tmpfs", "tmpfs", 64);
	plant_file(&p, "ramfs", "ramfs", 64);
	plant_disk(&p);
	plant_ext4(&p);
	plant_ksm(&p);
	plant_look(&p);
	for (size_t i = 0; i < p.n; i++)
		say("planted %zu %s pages, %zu frames", p.list[i].n, p.list[i].what,
		    distinct(p.list[i].frames, p.list[i].n));
	for (int algorithm = MBWALK_XXH64; algorithm <= MBWALK_SUPERFASTHASH32; algorithm++) {
		/* Compaction may move them while we look. */
		for (int i = 0;; i++) {
			walk_all(fd, algorithm, 0, &w);
			if (plant_look(&p))
				break;
			if (i == 5)
				fail("planted pages do not stay where they are");
		}
		plant_check(&p, &w, algorithm);
		check_huge(&p, &w);
		check_zero(&w, algorithm, zero);
	}
	if (hugetlb_before < 2)
		file_put(HUGETLB, "0");
	return 0;
}
