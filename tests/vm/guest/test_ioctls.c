// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 100,000 ioctls of which most are wrong in some way, from 64- and 32-bit callers. Each must give
 * what mbwalk.h says, and write nowhere but where it was asked to:
 *
 *	| no access | arena: struct, records, bitmap | no access | read only |
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util_content.h"
#include "util_frame.h"
#include "util_int80.h"
#include "util_plant.h"
#include "util_test.h"
#include "util_walk.h"

enum {
	CALLS = 100000,
	ARENA = 2 * PAGE,
	RECORD = sizeof(struct mbwalk_record),
	RANGE = sizeof(struct mbwalk_range)
};

static uint64_t seed;
static unsigned char *arena, *read_only;
static unsigned char before[ARENA];
static uint64_t end_frame;
static struct mbwalk_range ranges[64]; /* as they were at first: nothing is plugged in here */
static uint64_t n_ranges;

static uint64_t dice(uint64_t sides)
{
	return random64(&seed) % sides;
}

static void make_arena(void)
{
	unsigned char *at = memory32(5 * PAGE);

	mprotect(at, PAGE, PROT_NONE);
	mprotect(at + 3 * PAGE, PAGE, PROT_NONE);
	mprotect(at + 4 * PAGE, PAGE, PROT_READ);
	arena = at + PAGE;
	read_only = at + 4 * PAGE;
}

static bool in_arena(uint64_t at, uint64_t n)
{
	uint64_t start = (uintptr_t)arena;

	return at >= start && n <= ARENA && at - start <= ARENA - n;
}

static uint64_t bad_pointer(void)
{
	static const uint64_t bad[] = {
		0,
		1,
		8,
		0x00007ffffffff000,
		0x0000800000000000, /* in no address space */
		0x8000000000000000,
		0xffff888000000000, /* the kernel's map of memory */
		0xffff888000100000,
		0xffffc90000000000,
		0xffffffff81000000, /* its code */
		0xfffffffffffff000,
		0xffffffffffffffff,
		0xfffffffffffffff0,
	};
	uint64_t kind = dice(sizeof bad / sizeof *bad + 3);

	switch (kind) {
	case 0:
		return (uintptr_t)arena - 1 - dice(PAGE);
	case 1:
		return (uintptr_t)arena + ARENA + dice(PAGE);
	case 2:
		return (uintptr_t)read_only + dice(PAGE - RECORD);
	default:
		return bad[kind - 3];
	}
}

static uint64_t pointer(void)
{
	switch (dice(16)) {
	case 0:
		return bad_pointer();
	case 1: /* crosses the end */
		return (uintptr_t)arena + ARENA - dice(200);
	default:
		return (uintptr_t)arena + dice(ARENA);
	}
}

static uint64_t some_n(void)
{
	switch (dice(16)) {
	case 0:
		return dice(1 << 12);
	case 1:
		return random64(&seed) >> dice(64);
	default:
		return dice(20);
	}
}

static void random_scan(struct mbwalk_scan *a)
{
	memset(a, 0, sizeof *a);
	a->size = dice(20) ? sizeof *a : dice(1000);
	a->flags = dice(20) ? dice(4) : random64(&seed);
	a->algorithm = dice(20) ? 1 + dice(2) : dice(5);
	a->parts = dice(2) ? 0 : dice(20) ? 1u << dice(6) : dice(10) ? dice(100) : random64(&seed);
	a->first = dice(20) ? dice(end_frame + 100) : random64(&seed);
	a->n = some_n();
	/* Few of those that go through all memory: they take long. */
	if (a->n > 1 << 12 && a->first < end_frame && a->first + a->n >= a->first && dice(50))
		a->n %= 1 << 12;
	a->records = pointer();
	a->cap_records = dice(20) ? 1 + dice(8) : dice(2) ? dice(300) : random64(&seed);
	if (dice(2)) {
		a->bitmap = pointer();
		a->bitmap_first = dice(20) ? a->first - dice(64) : random64(&seed);
	}
	if (a->bitmap ? dice(2) : !dice(40))
		a->known = pointer();
	if (a->parts ? dice(30) : !dice(30))
		a->digests = pointer();
	if (dice(30) == 0)
		a->reserved = 1 + dice(1000);
	if (dice(50) == 0)
		for (size_t i = 0; i < sizeof *a / 8; i++)
			((uint64_t *)a)[i] = random64(&seed);
	a->next = a->n_records = 0xdddddddd; /* out only: whatever is in there */
}

static bool parts_are_valid(const struct mbwalk_scan *a)
{
	switch (a->parts) {
	case 0:
		return !a->digests;
	case 2:
	case 4:
	case 8:
	case 16:
	case 32:
		return a->digests;
	default:
		return false;
	}
}

static bool scan_is_valid(const struct mbwalk_scan *a)
{
	return a->size == sizeof *a && !(a->flags & ~1u) && parts_are_valid(a) &&
	       (a->algorithm == MBWALK_XXH64 || a->algorithm == MBWALK_SUPERFASTHASH32) &&
	       a->first + a->n >= a->first && a->cap_records &&
	       !(a->bitmap ? a->bitmap_first > a->first : a->known) && !a->reserved;
}

/* All of its pointers, for as much as it could want. */
static bool scan_is_reachable(const struct mbwalk_scan *a)
{
	uint64_t reach = a->first - a->bitmap_first + a->n;

	return a->cap_records <= ARENA / RECORD && in_arena(a->records, a->cap_records * RECORD) &&
	       (!a->parts || in_arena(a->digests, a->cap_records * a->parts * 8)) &&
	       a->first - a->bitmap_first < 1 << 20 && a->n < 1 << 20 &&
	       (!a->bitmap || in_arena(a->bitmap, (reach + 63) / 64 * 8)) &&
	       (!a->known || in_arena(a->known, reach));
}

static _Noreturn void bad_scan(int call, const struct mbwalk_scan *a, const char *what)
{
	say("size %u flags %#x algorithm %u first %#llx n %#llx bitmap %#llx, known %#llx from "
	    "%#llx",
	    a->size, a->flags, a->algorithm, a->first, a->n, a->bitmap, a->known, a->bitmap_first);
	say("records %#llx[%#llx], digests %#llx, %u parts; arena [%#llx, +%#x)", a->records,
	    a->cap_records, a->digests, a->parts, (unsigned long long)(uintptr_t)arena, ARENA);
	fail("call %d: %s (errno %d)", call, what, errno);
}

static void check_scan(int call, const struct mbwalk_scan *a, const struct mbwalk_scan *out, int r)
{
	bool overlap =
		in_arena(a->bitmap, 8) && (in_arena(a->records, 8) || in_arena(a->digests, 8));
	uint64_t sum = 0, looked;

	if (!scan_is_valid(a)) {
		if (r == 0 || errno != EINVAL)
			bad_scan(call, a, "not refused with EINVAL");
		return;
	}
	if (r < 0) {
		if (errno != EFAULT && errno != ENOMEM && !(errno == EINVAL && !a->records))
			bad_scan(call, a, "fails as it should not");
		/* Records may overwrite the bitmap: that is its caller's business. */
		if (errno == EFAULT && scan_is_reachable(a) && !overlap)
			bad_scan(call, a, "fails, and has no reason to");
		return;
	}
	if (out->next < a->first || out->next > a->first + a->n ||
	    out->n_records > a->cap_records || (a->n && out->next == a->first))
		bad_scan(call, a, "next or n_records is wrong");
	for (size_t i = 0; i < MBWALK_COUNTS; i++)
		sum += out->counts[i];
	looked = out->next - a->first;
	/* Those that are gone have a record and are counted. */
	if (a->known ? sum > looked || sum + out->n_records < looked :
		       sum + out->n_records != looked)
		bad_scan(call, a, "frames are missing");
	if (out->n_records && (!in_arena(a->records, out->n_records * RECORD) ||
			       (a->parts && !in_arena(a->digests, out->n_records * a->parts * 8))))
		bad_scan(call, a, "records or digests were written where they cannot be");
}

/* What may be written: [at, at + bytes) of user space. */
struct target {
	uint64_t at, bytes;
};

static bool hits(struct target t, const unsigned char *byte)
{
	/* Before the arena is what nobody can write: nothing comes from there on. */
	return t.at >= (uintptr_t)arena && (uintptr_t)byte - t.at < t.bytes;
}

/* Beside as many records. */
static struct target digests_of(const struct mbwalk_scan *a, struct target records)
{
	if (!a || !a->parts)
		return (struct target){ 0 };
	return (struct target){ a->digests, records.bytes / RECORD * a->parts * 8 };
}

/* What differs from before must be in one of them. `a`: what was asked for, or NULL for INFO. */
static void check_arena(int call, const struct mbwalk_scan *a, struct target array,
			struct target self)
{
	struct target digests = digests_of(a, array);

	if (memcmp(arena, before, ARENA) == 0)
		return;
	for (size_t i = 0; i < ARENA; i++) {
		if (arena[i] == before[i])
			continue;
		if (!hits(array, arena + i) && !hits(digests, arena + i) &&
		    !hits(self, arena + i)) {
			if (a)
				bad_scan(call, a, "wrote where it was not asked to");
			fail("call %d: MBWALK_INFO wrote byte %zu; asked for: %llu at %zd", call, i,
			     (unsigned long long)array.bytes,
			     (ssize_t)(array.at - (uintptr_t)arena));
		}
		before[i] = arena[i];
	}
}

static struct target records_of(const struct mbwalk_scan *a, uint64_t n)
{
	return (struct target){ a->records, n > ARENA ? ARENA : n * RECORD };
}

static int call_it(bool narrow, int fd, unsigned long request, void *arg)
{
	errno = 0;
	return narrow ? int80_ioctl(fd, request, arg) : ioctl(fd, request, arg);
}

static bool fits32(const void *at)
{
	return (uintptr_t)at >> 32 == 0;
}

static void one_scan(int call, int fd, bool narrow, unsigned int *good)
{
	size_t at = dice(ARENA / 8) * 8;
	struct mbwalk_scan a, out;
	int r;

	if (at > ARENA - sizeof a)
		at = ARENA - sizeof a;
	random_scan(&a);
	memcpy(arena + at, &a, sizeof a);
	memcpy(before + at, &a, sizeof a);
	r = call_it(narrow, fd, MBWALK_SCAN, arena + at);
	memcpy(&out, arena + at, sizeof out);
	check_scan(call, &a, &out, r);
	if (r < 0 && errno == EINVAL)
		check_arena(call, &a, (struct target){ 0 }, (struct target){ 0 });
	else if (r < 0)
		check_arena(call, &a, records_of(&a, a.cap_records), (struct target){ 0 });
	else
		check_arena(call, &a, records_of(&a, out.n_records),
			    (struct target){ (uintptr_t)arena + at, sizeof a });
	*good += r == 0;
}

static void one_info(int call, int fd, bool narrow, unsigned int *good)
{
	struct mbwalk_info *info = (struct mbwalk_info *)arena, in;
	struct target array = { 0 }, self = { 0 };
	bool valid;
	int r;

	memset(&in, 0, sizeof in);
	in.size = dice(10) ? sizeof in : dice(1000);
	in.ranges = dice(4) ? 0 : pointer();
	in.cap_ranges = dice(20) ? dice(10) : random64(&seed);
	in.parts_max = dice(2) * 32; /* out only */
	if (dice(20) == 0)
		in.reserved[dice(3)] = 1;
	if (dice(40) == 0)
		in.reserved0 = 1;
	valid = in.size == sizeof in && !in.reserved0 && !in.reserved[0] && !in.reserved[1] &&
		!in.reserved[2];
	*info = in;
	memcpy(before, info, sizeof in);
	r = call_it(narrow, fd, MBWALK_INFO, info);
	if (!valid && (r == 0 || errno != EINVAL))
		fail("call %d: MBWALK_INFO is not refused: errno %d", call, errno);
	if (valid && r < 0 && errno != EFAULT && errno != ENOMEM)
		fail("call %d: MBWALK_INFO: errno %d", call, errno);
	if (valid && r < 0 && !in.ranges)
		fail("call %d: MBWALK_INFO without ranges: errno %d", call, errno);
	if (r == 0 && in.ranges && in.cap_ranges &&
	    !in_arena(in.ranges, sizeof(struct mbwalk_range)))
		fail("call %d: ranges were written where they cannot be", call);
	if (valid && in.ranges) {
		array.at = in.ranges;
		array.bytes = (in.cap_ranges < n_ranges ? in.cap_ranges : n_ranges) * RANGE;
	}
	if (r == 0) {
		self = (struct target){ (uintptr_t)info, sizeof in };
		if (in.ranges >= self.at + self.bytes &&
		    memcmp((void *)(uintptr_t)in.ranges, ranges, array.bytes) != 0)
			fail("call %d: not the ranges that there are", call);
	}
	check_arena(call, NULL, array, self);
	*good += r == 0;
}

/* To the page that is read only, by the back door. */
static void set_read_only(const void *from, size_t n)
{
	if (mprotect(read_only, PAGE, PROT_READ | PROT_WRITE) < 0)
		fail_errno("mprotect");
	memset(read_only, 0, PAGE);
	memcpy(read_only, from, n);
	if (mprotect(read_only, PAGE, PROT_READ) < 0)
		fail_errno("mprotect");
}

/* All is well, but the result cannot be written. */
static void one_read_only(int call, int fd, bool narrow)
{
	struct mbwalk_info info = { .size = sizeof info };
	struct mbwalk_scan a;
	bool scan = dice(2), valid;
	const void *in = scan ? (void *)&a : &info;
	size_t size = scan ? sizeof a : sizeof info;
	int r;

	random_scan(&a);
	valid = !scan || (scan_is_valid(&a) && a.records);
	set_read_only(in, size);
	r = call_it(narrow, fd, scan ? MBWALK_SCAN : MBWALK_INFO, read_only);
	if (r == 0 || (valid ? errno != EFAULT && errno != ENOMEM : errno != EINVAL)) {
		if (scan)
			bad_scan(call, &a, "the struct is read only");
		fail("call %d: MBWALK_INFO, the struct is read only: errno %d", call, errno);
	}
	if (memcmp(read_only, in, size) != 0)
		fail("call %d: the read-only page was written", call);
	check_arena(call, &a, scan && valid ? records_of(&a, a.cap_records) : (struct target){ 0 },
		    (struct target){ 0 });
	set_read_only(in, 0);
}

/* A struct that is not there, is not all there, or cannot be written. */
static void one_bad_struct(int call, int fd, bool narrow)
{
	unsigned long request = dice(2) ? MBWALK_SCAN : MBWALK_INFO;
	void *arg = (void *)(uintptr_t)bad_pointer();
	int r;

	if (dice(4) == 0) {
		one_read_only(call, fd, narrow);
		return;
	}
	if (dice(3) == 0)
		arg = arena + ARENA - 1 - dice(sizeof(struct mbwalk_info) - 1);
	r = call_it(narrow && fits32(arg), fd, request, arg);
	/* What is read only is zero, which is no size. */
	if (r == 0 || (errno != EFAULT && errno != EINVAL))
		fail("call %d: struct at %p: result %d, errno %d", call, arg, r, errno);
}

/* Another size of a known struct is told from what is not known at all. */
static void one_bad_number(int call, int fd, bool narrow)
{
	unsigned int request = 0xbd00 | dice(256) | dice(1 << 14) << 16 | dice(4) << 30;
	bool known = _IOC_NR(request) == _IOC_NR(MBWALK_INFO) ||
		     _IOC_NR(request) == _IOC_NR(MBWALK_SCAN);
	void *arg = dice(2) ? arena : (void *)(uintptr_t)bad_pointer();

	if (request == MBWALK_INFO || request == MBWALK_SCAN || request == MBWALK_GET_VERSION)
		return;
	if (call_it(narrow && fits32(arg), fd, request, arg) == 0 ||
	    errno != (known ? EINVAL : ENOTTY))
		fail("call %d: request %#x: errno %d", call, request, errno);
}

/* One frame, by each way; false: there is no record. */
static bool scan_both(int fd, uint64_t frame, struct mbwalk_scan *a, struct mbwalk_record *r,
		      struct mbwalk_record *narrow, struct mbwalk_record *wide)
{
	struct mbwalk_scan b;

	*a = walk_args(fd, MBWALK_XXH64, 0);
	a->first = frame;
	a->n = a->cap_records = 1;
	a->records = (uintptr_t)r;
	b = *a;
	if (int80_ioctl(fd, MBWALK_SCAN, a) < 0)
		fail_errno("MBWALK_SCAN in a 32-bit call");
	*narrow = *r;
	memset(r, 0, sizeof *r);
	if (ioctl(fd, MBWALK_SCAN, &b) < 0)
		fail_errno("MBWALK_SCAN");
	*wide = *r;
	return a->n_records && b.n_records;
}

/* The same answers as in 64 bits, of pages that stay what they are; some may move. */
static void check_narrow(int fd)
{
	enum { N = 64 };
	struct mbwalk_scan *a = memory32(sizeof *a);
	struct mbwalk_info *info = memory32(sizeof *info), wide_info;
	struct mbwalk_record narrow, wide, *r = memory32(sizeof *r);
	unsigned char *pages = plant_memory(N);
	uint64_t frame, again;
	size_t stayed = 0;

	walk_info(fd, &wide_info);
	info->size = sizeof *info;
	if (int80_ioctl(fd, MBWALK_INFO, info) < 0 || memcmp(info, &wide_info, sizeof *info) != 0)
		fail("MBWALK_INFO differs in a 32-bit call");
	for (size_t i = 0; i < N; i++) {
		unsigned char *page = pages + i * PAGE;
		bool both;

		content_fill(page, seed + i);
		frames_of(page, 1, &frame);
		both = scan_both(fd, frame, a, r, &narrow, &wide);
		frames_of(page, 1, &again);
		if (frame == NO_FRAME || frame != again)
			continue;
		stayed++;
		if (!both || narrow.frame != frame || narrow.cls != MBWALK_ANON ||
		    narrow.digest != content_digest(MBWALK_XXH64, page))
			fail("32-bit: frame %llx is %s, digest %llx", narrow.frame,
			     class_name(narrow.cls), narrow.digest);
		narrow.flags = wide.flags = 0; /* who looks at it now may come and go */
		if (memcmp(&narrow, &wide, sizeof wide) != 0)
			fail("frame %llx differs in a 32-bit call", narrow.frame);
	}
	say("32-bit calls: %zu records", stayed);
	CHECK(stayed > N / 2);
	munmap(pages, N * PAGE);
}

int main(int argc, char **argv)
{
	int fd = walk_open();
	struct mbwalk_info info = { .size = sizeof info,
				    .ranges = (uintptr_t)ranges,
				    .cap_ranges = sizeof ranges / sizeof *ranges };
	unsigned int good = 0;
	struct walk w = { 0 };
	bool narrow;

	/* By hand: the seed of a run that failed. */
	seed = random_seed();
	if (argc > 1)
		sscanf(argv[1], "%llx", (unsigned long long *)&seed);
	say("seed %#llx", (unsigned long long)seed);
	CHECK(ioctl(fd, MBWALK_GET_VERSION) == MBWALK_VERSION);
	if (ioctl(fd, MBWALK_INFO, &info) < 0)
		fail_errno("MBWALK_INFO");
	CHECK(info.n_ranges <= sizeof ranges / sizeof *ranges);
	n_ranges = info.n_ranges;
	end_frame = info.end_frame;
	make_arena();
	narrow = int80_works(fd);
	if (narrow)
		check_narrow(fd);
	else
		say("no 32-bit calls in this kernel");
	memset(arena, 0xa5, ARENA);
	memcpy(before, arena, ARENA);
	for (int i = 0; i < CALLS; i++) {
		bool thin = narrow && dice(4) == 0;

		switch (dice(16)) {
		case 0:
		case 1:
			one_info(i, fd, thin, &good);
			break;
		case 2:
			one_bad_struct(i, fd, thin);
			break;
		case 3:
			one_bad_number(i, fd, thin);
			break;
		default:
			one_scan(i, fd, thin, &good);
		}
	}
	say("%d ioctls, %u of them good", CALLS, good);
	CHECK(good > CALLS / 10);
	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
	CHECK(w.n > 0);
	return 0;
}
