// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * 100,000 ioctls of which most are wrong in some way, from 64- and 32-bit
 *callers. Each must give what mbwalk.h says, and write nowhere but where it was
 *asked to:
 *
 *	| no access | arena: struct, records, bitmap | no access | read only |
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util_int80.h"
#include "util_test.h"
#include "util_walk.h"

enum { CALLS = 100000, ARENA = 2 * PAGE, RECORD = sizeof(struct mbwalk_record) };

static uint64_t seed;
static unsigned char *arena, *read_only;
static unsigned char before[ARENA];
static uint64_t end_frame;

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
	a->reserved0 = dice(30) ? 0 : dice(1000);
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
	if (dice(30) == 0)
		a->reserved[dice(2)] = 1 + dice(1000);
	if (dice(50) == 0)
		for (size_t i = 0; i < sizeof *a / 8; i++)
			((uint64_t *)a)[i] = random64(&seed);
	a->next = a->n_records = 0xdddddddd; /* out only: whatever is in there */
}

static bool scan_is_valid(const struct mbwalk_scan *a)
{
	return a->size == sizeof *a && !(a->flags & ~1u) && !a->reserved0 &&
	       (a->algorithm == MBWALK_XXH64 || a->algorithm == MBWALK_SUPERFASTHASH32) &&
	       a->first + a->n >= a->first && a->cap_records &&
	       !(a->bitmap ? a->bitmap_first > a->first : a->known) && !a->reserved[0] &&
	       !a->reserved[1];
}

/* All of its pointers, for as much as it could want. */
static bool scan_is_reachable(const struct mbwalk_scan *a)
{
	uint64_t reach = a->first - a->bitmap_first + a->n;

	return a->cap_records <= ARENA / RECORD && in_arena(a->records, a->cap_records * RECORD) &&
	       a->first - a->bitmap_first < 1 << 20 && a->n < 1 << 20 &&
	       (!a->bitmap || in_arena(a->bitmap, (reach + 63) / 64 * 8)) &&
	       (!a->known || in_arena(a->known, reach));
}

static _Noreturn void bad_scan(int call, const struct mbwalk_scan *a, const char *what)
{
	say("size %u flags %#x algorithm %u first %#llx n %#llx bitmap %#llx, known %#llx from "
	    "%#llx",
	    a->size, a->flags, a->algorithm, a->first, a->n, a->bitmap, a->known,
	    a->bitmap_first);
	say("records %#llx[%#llx]; arena [%#llx, +%#x)", a->records, a->cap_records,
	    (unsigned long long)(uintptr_t)arena, ARENA);
	fail("call %d: %s (errno %d)", call, what, errno);
}

static void check_scan(int call, const struct mbwalk_scan *a, const struct mbwalk_scan *out, int r)
{
	bool overlap = in_arena(a->bitmap, 8) && in_arena(a->records, 8);
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
	if (out->n_records && !in_arena(a->records, out->n_records * RECORD))
		bad_scan(call, a, "records were written where they cannot be");
}

/* What differs from before must be among the records, or be the struct itself.
 */
static void check_arena(int call, const struct mbwalk_scan *a, uint64_t n, size_t at, size_t size)
{
	uint64_t first = a->records - (uintptr_t)arena, end;

	if (memcmp(arena, before, ARENA) == 0)
		return;
	if (!n || n > ARENA)
		n = n ? ARENA : 0;
	end = first + n * RECORD;
	for (size_t i = 0; i < ARENA; i++) {
		if (arena[i] == before[i])
			continue;
		if ((i < at || i >= at + size) &&
		    (a->records < (uintptr_t)arena || i < first || i >= end))
			bad_scan(call, a, "wrote where it was not asked to");
		before[i] = arena[i];
	}
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
		check_arena(call, &a, 0, 0, 0);
	else
		check_arena(call, &a, r < 0 ? a.cap_records : out.n_records, at,
			    r < 0 ? 0 : sizeof a);
	*good += r == 0;
}

static void one_info(int call, int fd, bool narrow, unsigned int *good)
{
	struct mbwalk_info *info = (struct mbwalk_info *)arena, in;
	struct mbwalk_scan a = { 0 };
	bool valid;
	int r;

	memset(&in, 0, sizeof in);
	in.size = dice(10) ? sizeof in : dice(1000);
	in.ranges = dice(4) ? 0 : pointer();
	in.cap_ranges = dice(20) ? dice(10) : random64(&seed);
	if (dice(20) == 0)
		in.reserved[dice(4)] = 1;
	valid = in.size == sizeof in && !in.reserved[0] && !in.reserved[1] && !in.reserved[2] &&
		!in.reserved[3];
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
	/* A range is shorter than a record. */
	a.records = in.ranges;
	check_arena(call, &a, valid ? in.cap_ranges : 0, 0, r < 0 ? 0 : sizeof in);
	*good += r == 0;
}

/* A struct that is not there, is not all there, or cannot be written. */
static void one_bad_struct(int call, int fd, bool narrow)
{
	unsigned long request = dice(2) ? MBWALK_SCAN : MBWALK_INFO;
	void *arg = (void *)(uintptr_t)bad_pointer();
	int r;

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

/* The same answers as in 64 bits. */
static void check_narrow(int fd)
{
	struct mbwalk_scan *a = memory32(sizeof *a), b;
	struct mbwalk_info *info = memory32(sizeof *info), wide;
	struct mbwalk_record narrow[64], *r = memory32(sizeof narrow);

	walk_info(fd, &wide);
	info->size = sizeof *info;
	if (int80_ioctl(fd, MBWALK_INFO, info) < 0 || memcmp(info, &wide, sizeof wide) != 0)
		fail("MBWALK_INFO differs in a 32-bit call");
	*a = walk_args(fd, MBWALK_XXH64, 0);
	a->first = 0x1000; /* the kernel's own code, which does not change */
	a->records = (uintptr_t)r;
	a->cap_records = a->n = 64;
	b = *a;
	if (int80_ioctl(fd, MBWALK_SCAN, a) < 0)
		fail_errno("MBWALK_SCAN in a 32-bit call");
	memcpy(narrow, r, sizeof narrow);
	if (ioctl(fd, MBWALK_SCAN, &b) < 0)
		fail_errno("MBWALK_SCAN");
	CHECK(a->n_records == b.n_records && a->next == b.next);
	if (memcmp(narrow, r, a->n_records * RECORD) != 0)
		say("records of the first %llu frames differ between two scans", a->n_records);
	say("32-bit calls: %llu records", a->n_records);
}

int main(int argc, char **argv)
{
	int fd = walk_open();
	struct mbwalk_info info;
	unsigned int good = 0;
	struct walk w = { 0 };
	bool narrow;

	/* By hand: the seed of a run that failed. */
	seed = random_seed();
	if (argc > 1)
		sscanf(argv[1], "%llx", (unsigned long long *)&seed);
	say("seed %#llx", (unsigned long long)seed);
	walk_info(fd, &info);
	CHECK(ioctl(fd, MBWALK_GET_VERSION) == MBWALK_VERSION);
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
