// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "util_test.h"

/* The layout is the same for all callers, 32-bit ones too. */
_Static_assert(sizeof(struct mbwalk_record) == 24, "record");
_Static_assert(sizeof(struct mbwalk_range) == 16, "range");
_Static_assert(sizeof(struct mbwalk_info) == 120, "info");
_Static_assert(sizeof(struct mbwalk_scan) == 240, "scan");
_Static_assert(offsetof(struct mbwalk_record, digest) == 8, "record.digest");
_Static_assert(offsetof(struct mbwalk_record, flags) == 16, "record.flags");
_Static_assert(offsetof(struct mbwalk_record, cls) == 18, "record.cls");
_Static_assert(offsetof(struct mbwalk_info, generation) == 24, "info.generation");
_Static_assert(offsetof(struct mbwalk_info, ranges) == 64, "info.ranges");
_Static_assert(offsetof(struct mbwalk_record, zero_parts) == 20, "record.zero_parts");
_Static_assert(offsetof(struct mbwalk_info, parts_max) == 88, "info.parts_max");
_Static_assert(offsetof(struct mbwalk_info, reserved) == 96, "info.reserved");
_Static_assert(offsetof(struct mbwalk_scan, parts) == 12, "scan.parts");
_Static_assert(offsetof(struct mbwalk_scan, first) == 16, "scan.first");
_Static_assert(offsetof(struct mbwalk_scan, bitmap) == 32, "scan.bitmap");
_Static_assert(offsetof(struct mbwalk_scan, known) == 48, "scan.known");
_Static_assert(offsetof(struct mbwalk_scan, records) == 56, "scan.records");
_Static_assert(offsetof(struct mbwalk_scan, next) == 72, "scan.next");
_Static_assert(offsetof(struct mbwalk_scan, counts) == 88, "scan.counts");
_Static_assert(offsetof(struct mbwalk_scan, generation) == 216, "scan.generation");
_Static_assert(offsetof(struct mbwalk_scan, digests) == 224, "scan.digests");

enum {
	KNOWN_FLAGS = MBWALK_ZERO | MBWALK_UNSTABLE | MBWALK_PINNED | MBWALK_HUGE_HEAD |
		      MBWALK_HUGE_TAIL | MBWALK_KSM
};

int walk_open(void)
{
	int fd = open(MBWALK_PATH, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		fail_errno(MBWALK_PATH);
	return fd;
}

void walk_info(int fd, struct mbwalk_info *info)
{
	memset(info, 0, sizeof *info);
	info->size = sizeof *info;
	if (ioctl(fd, MBWALK_INFO, info) < 0)
		fail_errno("MBWALK_INFO");
	CHECK(info->version == MBWALK_VERSION && info->page_bytes == PAGE);
	CHECK(info->ram_frames && info->ram_frames <= info->end_frame && info->n_ranges);
}

struct mbwalk_scan walk_args(int fd, enum mbwalk_algorithm algorithm, unsigned int flags)
{
	struct mbwalk_info info;

	walk_info(fd, &info);
	return (struct mbwalk_scan){ .size = sizeof(struct mbwalk_scan),
				     .flags = flags,
				     .algorithm = algorithm,
				     .n = info.end_frame };
}

static uint8_t known_class(const struct mbwalk_scan *args, uint64_t frame)
{
	return ((const uint8_t *)(uintptr_t)args->known)[frame - args->bitmap_first];
}

static void check_record(const struct mbwalk_record *r, const struct mbwalk_scan *args)
{
	uint64_t all_zero = (1ull << args->parts) - 1;

	if (r->cls > MBWALK_BUFFER || r->flags & ~KNOWN_FLAGS || r->reserved)
		fail("frame %llx: class %d, flags %#x", r->frame, r->cls, r->flags);
	if (args->parts && (r->digest || r->zero_parts & ~all_zero ||
			    !(r->flags & MBWALK_ZERO) != (r->zero_parts != all_zero)))
		fail("frame %llx: digest %llx, zero parts %#x, flags %#x", r->frame, r->digest,
		     r->zero_parts, r->flags);
	if (!args->parts && r->zero_parts)
		fail("frame %llx: zero parts, and none were asked for", r->frame);
	if (r->cls == MBWALK_GONE &&
	    (r->digest || r->flags || !args->known || !known_class(args, r->frame)))
		fail("frame %llx: gone, and nobody knew it", r->frame);
	if (r->cls == MBWALK_FREE && !(args->flags & MBWALK_SCAN_FREE))
		fail("frame %llx: free, and not asked for", r->frame);
	if (r->flags & MBWALK_HUGE_HEAD && r->flags & MBWALK_HUGE_TAIL)
		fail("frame %llx: head and tail", r->frame);
}

/* What came of the frames [args->first, args->next). */
static void check_call(const struct mbwalk_scan *args, const struct mbwalk_record *records)
{
	uint64_t sum = 0, frame = args->first;

	if (args->next < args->first || args->next > args->first + args->n)
		fail("next %llx, not in [%llx, +%llx]", args->next, args->first, args->n);
	if (args->n_records > args->cap_records)
		fail("%llu records, room was for %llu", args->n_records, args->cap_records);
	for (size_t i = 0; i < MBWALK_COUNTS; i++) {
		sum += args->counts[i];
		if (i > MBWALK_COUNT_CLEAN && args->counts[i])
			fail("counts[%zu] is %llu", i, args->counts[i]);
	}
	for (size_t i = 0; i < args->n_records; i++) {
		if (records[i].frame < frame || records[i].frame >= args->next)
			fail("record %zu is of frame %llx, after %llx, before %llx", i,
			     records[i].frame, (unsigned long long)frame, args->next);
		frame = records[i].frame + 1;
		check_record(&records[i], args);
		sum += records[i].cls != MBWALK_GONE;
	}
	if (sum != args->next - args->first)
		fail("[%llx, %llx): %llu frames, but %llu with a record or counted", args->first,
		     args->next, args->next - args->first, (unsigned long long)sum);
}

/* Touched only where something comes; kept, so that walks do not change what
 * they look at. */
static void *map(size_t bytes)
{
	void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (at == MAP_FAILED)
		fail_errno("mmap of %zu bytes", bytes);
	/* Nor is it moved together behind our back. */
	madvise(at, bytes, MADV_NOHUGEPAGE);
	return at;
}

static size_t digests_bytes(size_t n)
{
	return n * MBWALK_PARTS_MAX * sizeof(uint64_t);
}

static void make_room(struct walk *w, size_t n)
{
	if (w->cap >= n)
		return;
	walk_release(w);
	w->records = map(n * sizeof *w->records);
	w->digests = map(digests_bytes(n));
	w->cap = n;
}

void walk(int fd, const struct mbwalk_scan *args, bool once, struct walk *w)
{
	struct mbwalk_scan a = *args;
	uint64_t end = args->first + args->n;

	make_room(w, args->n ? args->n : 1);
	w->n = w->calls = 0;
	memset(w->counts, 0, sizeof w->counts);
	a.next = a.first;
	do {
		a.first = a.next;
		a.n = end - a.first;
		a.records = (uintptr_t)(w->records + w->n);
		a.digests = a.parts ? (uintptr_t)(w->digests + w->n * a.parts) : 0;
		if (!args->cap_records)
			a.cap_records = w->cap - w->n;
		if (ioctl(fd, MBWALK_SCAN, &a) < 0) {
			if (errno == EINTR)
				continue;
			fail_errno("MBWALK_SCAN [%llx, +%llx)", a.first, a.n);
		}
		check_call(&a, w->records + w->n);
		w->n += a.n_records;
		for (size_t i = 0; i < MBWALK_COUNTS; i++)
			w->counts[i] += a.counts[i];
		w->calls++;
	} while (!once && a.next < end);
	w->next = a.next;
}

void walk_all(int fd, enum mbwalk_algorithm algorithm, unsigned int flags, struct walk *w)
{
	struct mbwalk_scan args = walk_args(fd, algorithm, flags);

	walk(fd, &args, false, w);
	CHECK(w->n + walk_counted(w) == args.n);
}

void walk_release(struct walk *w)
{
	if (w->records) {
		munmap(w->records, w->cap * sizeof *w->records);
		munmap(w->digests, digests_bytes(w->cap));
	}
	memset(w, 0, sizeof *w);
}

static int compare_frame(const void *key, const void *record)
{
	uint64_t a = *(const uint64_t *)key, b = ((const struct mbwalk_record *)record)->frame;

	return a < b ? -1 : a > b;
}

const struct mbwalk_record *walk_find(const struct walk *w, uint64_t frame)
{
	return bsearch(&frame, w->records, w->n, sizeof *w->records, compare_frame);
}

uint64_t walk_counted(const struct walk *w)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < MBWALK_COUNTS; i++)
		sum += w->counts[i];
	return sum;
}

size_t walk_of_class(const struct walk *w, enum mbwalk_class cls)
{
	size_t sum = 0;

	for (size_t i = 0; i < w->n; i++)
		sum += w->records[i].cls == cls;
	return sum;
}

const char *class_name(unsigned int cls)
{
	static const char *const names[] = { "gone",   "anon",	  "file",     "slab", "page_table",
					     "kernel", "hugetlb", "reserved", "free", "buffer" };

	return names[cls < sizeof names / sizeof *names ? cls : 0];
}

const char *count_name(unsigned int count)
{
	static const char *const names[] = { "hole",	"not_ram",    "offline", "hwpoison",
					     "balloon", "unreadable", "free",	 "clean" };

	return count < sizeof names / sizeof *names ? names[count] : "?";
}
