// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Parts of pages: planted pages whose parts are equal, differ or are zero must come with the
 * digests that user space computes of the same bytes, by the ioctl and by the agent's source.
 *
 *	what is planted		| quarter 0 | 1 | 2 | 3 |
 *	random			  a	      b   c   d
 *	equal halves		  a	      b   a   b
 *	another quarter		  a	      b   x   d
 *	zero parts		  a	      0   c   0
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/source.h"
#include "util_content.h"
#include "util_frame.h"
#include "util_plant.h"
#include "util_test.h"
#include "util_walk.h"

#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447
#endif

enum { RANDOM, HALVES, QUARTER, ZEROS, LAST_BYTE, ALL_ZERO, KINDS, COPIES = 4, MOST = 32 };

static const char *const kinds[KINDS] = { "random",	"equal halves", "another quarter",
					  "zero parts", "last byte",	"all zero" };
static int fd;
static unsigned char *pages; /* of each kind, COPIES times */

static unsigned char *page_at(int kind, int copy)
{
	return pages + (copy * KINDS + kind) * PAGE;
}

static void plant(uint64_t content)
{
	pages = plant_memory(KINDS * COPIES);
	for (int i = 0; i < COPIES; i++) {
		unsigned char *random = page_at(RANDOM, i);

		content_fill(random, content + i);
		for (int kind = HALVES; kind <= ZEROS; kind++)
			memcpy(page_at(kind, i), random, PAGE);
		memcpy(page_at(HALVES, i) + PAGE / 2, random, PAGE / 2);
		page_at(QUARTER, i)[PAGE / 2 + 100 * i] ^= 1;
		memset(page_at(ZEROS, i) + PAGE / 4, 0, PAGE / 4);
		memset(page_at(ZEROS, i) + PAGE / 4 * 3, 0, PAGE / 4);
		/* Written, or it were the page that all zero memory shares. */
		memset(page_at(LAST_BYTE, i), 0, PAGE);
		page_at(LAST_BYTE, i)[PAGE - 1] = 1;
		memset(page_at(ALL_ZERO, i), 1, PAGE);
		memset(page_at(ALL_ZERO, i), 0, PAGE);
	}
}

static bool is_zero(const unsigned char *at, size_t bytes)
{
	return at[0] == 0 && memcmp(at, at + 1, bytes - 1) == 0;
}

/* --- one frame --------------------------------------------------------------------------------
 */

struct look {
	struct mbwalk_record record;
	uint64_t digests[MOST];
};

/* False: it has no record. */
static bool look_at(uint64_t frame, enum mbwalk_algorithm algorithm, uint32_t parts,
		    struct look *ret)
{
	struct mbwalk_scan a = { .size = sizeof a,
				 .algorithm = algorithm,
				 .parts = parts,
				 .first = frame,
				 .n = 1,
				 .records = (uintptr_t)&ret->record,
				 .cap_records = 1,
				 .digests = parts ? (uintptr_t)ret->digests : 0 };

	memset(ret, 0xa5, sizeof *ret);
	if (ioctl(fd, MBWALK_SCAN, &a) < 0)
		fail_errno("MBWALK_SCAN of %u parts", parts);
	return a.n_records == 1;
}

/* Looks until the page has not moved meanwhile. */
static void look_at_page(const void *page, enum mbwalk_algorithm algorithm, uint32_t parts,
			 struct look *ret)
{
	uint64_t before, after;

	for (int i = 0; i < 100; i++) {
		bool seen;

		frames_of(page, 1, &before);
		seen = before != NO_FRAME && look_at(before, algorithm, parts, ret);
		frames_of(page, 1, &after);
		if (seen && before == after)
			return;
	}
	fail("a planted page does not stay where it is");
}

static void check_page(int kind, const unsigned char *page, enum mbwalk_algorithm algorithm,
		       uint32_t parts)
{
	const size_t bytes = PAGE / parts;
	struct look whole, look;
	uint32_t zero = 0;

	look_at_page(page, algorithm, 0, &whole);
	look_at_page(page, algorithm, parts, &look);
	if (whole.record.digest != content_digest(algorithm, page) || look.record.digest)
		fail("%s: digests %llx and, with parts, %llx", kinds[kind], whole.record.digest,
		     look.record.digest);
	for (uint32_t i = 0; i < parts; i++) {
		uint64_t digest = content_part(algorithm, page + i * bytes, bytes);

		if (look.digests[i] != digest)
			fail("%s: part %u of %u has digest %llx, not %llx", kinds[kind], i, parts,
			     (unsigned long long)look.digests[i], (unsigned long long)digest);
		zero |= is_zero(page + i * bytes, bytes) ? 1u << i : 0;
	}
	/* Beyond them nothing is written. */
	for (uint32_t i = parts; i < MOST; i++)
		CHECK(look.digests[i] == 0xa5a5a5a5a5a5a5a5);
	if (look.record.zero_parts != zero)
		fail("%s: zero parts %#x of %u, not %#x", kinds[kind], look.record.zero_parts,
		     parts, zero);
	CHECK(look.record.cls == MBWALK_ANON && whole.record.cls == MBWALK_ANON);
	CHECK((look.record.flags & MBWALK_ZERO) == (whole.record.flags & MBWALK_ZERO));
	CHECK(!(look.record.flags & MBWALK_ZERO) == (kind != ALL_ZERO));
	CHECK(whole.record.zero_parts == 0 && look.record.reserved == 0);
}

/* What was planted as equal is equal, and what differs differs, whatever the hash may be. */
static void check_quarters(void)
{
	struct look random, other;

	look_at_page(page_at(RANDOM, 1), MBWALK_XXH64, 4, &random);
	look_at_page(page_at(HALVES, 1), MBWALK_XXH64, 2, &other);
	CHECK(other.digests[0] == other.digests[1]);
	look_at_page(page_at(HALVES, 1), MBWALK_XXH64, 4, &other);
	CHECK(other.digests[0] == random.digests[0] && other.digests[1] == random.digests[1]);
	CHECK(other.digests[2] == random.digests[0] && other.digests[3] == random.digests[1]);
	look_at_page(page_at(QUARTER, 1), MBWALK_XXH64, 4, &other);
	CHECK(other.digests[0] == random.digests[0] && other.digests[1] == random.digests[1]);
	CHECK(other.digests[2] != random.digests[2] && other.digests[3] == random.digests[3]);
	look_at_page(page_at(ZEROS, 1), MBWALK_XXH64, 4, &other);
	CHECK(other.record.zero_parts == 10 && other.digests[1] == other.digests[3]);
	look_at_page(page_at(LAST_BYTE, 1), MBWALK_XXH64, 32, &other);
	CHECK(other.record.zero_parts == UINT32_MAX >> 1);
}

/* --- what is refused -------------------------------------------------------------------------- */

static void refused(const struct mbwalk_scan *good, uint32_t parts, uint64_t digests, int code)
{
	struct mbwalk_scan a = *good;

	a.parts = parts;
	a.digests = digests;
	if (ioctl(fd, MBWALK_SCAN, &a) == 0 || errno != code)
		fail("%u parts, digests at %llx: errno %d", parts, (unsigned long long)digests,
		     errno);
}

static void check_refused(void)
{
	static const uint32_t bad[] = { 1, 3, 5, 6, 7, 12, 31, 33, 64, 128, 1u << 31, UINT32_MAX };
	struct look look;
	struct mbwalk_scan good = { .size = sizeof good,
				    .algorithm = MBWALK_XXH64,
				    .n = 1,
				    .records = (uintptr_t)&look.record,
				    .cap_records = 1 };
	uint64_t to = (uintptr_t)look.digests;

	frames_of(pages, 1, (uint64_t *)&good.first);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		refused(&good, bad[i], to, EINVAL);
	refused(&good, 0, to, EINVAL);
	refused(&good, 4, 0, EINVAL);
	refused(&good, 4, 8, EFAULT);
	refused(&good, 4, 0xffff888000000000, EFAULT);
	good.reserved = 1;
	refused(&good, 4, to, EINVAL);
	refused(&good, 0, 0, EINVAL);
}

/* --- many frames ------------------------------------------------------------------------------ */

/* Digests end where memory ends: not a byte more may be written, however many calls it takes. */
static void check_room(void)
{
	enum { N = 40, PARTS = 32, BYTES = N * PARTS * 8 };
	size_t room = (BYTES + PAGE - 1) / PAGE * PAGE;
	unsigned char *at =
		mmap(NULL, room + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct mbwalk_record records[N];
	struct mbwalk_scan a = walk_args(fd, MBWALK_XXH64, MBWALK_SCAN_FREE);

	if (at == MAP_FAILED || mprotect(at + room, PAGE, PROT_NONE) < 0)
		fail_errno("mmap");
	a.parts = PARTS;
	a.records = (uintptr_t)records;
	a.cap_records = N;
	a.digests = (uintptr_t)at + room - BYTES;
	for (int i = 0; i < 200; i++) {
		a.n -= a.next > a.first ? a.next - a.first : 0;
		a.first = a.next > a.first ? a.next : a.first;
		if (ioctl(fd, MBWALK_SCAN, &a) < 0)
			fail_errno("MBWALK_SCAN of %u parts", PARTS);
		CHECK(a.n_records == N);
	}
	/* One more does not fit. */
	a.cap_records = N + 1;
	a.first = a.next;
	a.n = 4096;
	if (ioctl(fd, MBWALK_SCAN, &a) == 0 || errno != EFAULT)
		fail("digests beyond the end: errno %d", errno);
	munmap(at, room + PAGE);
}

/* A frame that is nobody's, and that the caller knew: gone, and all its digests are 0. */
static void check_gone(void)
{
	struct mbwalk_scan all = walk_args(fd, MBWALK_XXH64, 0);
	uint64_t bit = 1, tried = 0;
	uint8_t known = MBWALK_ANON;
	struct look look;

	for (uint64_t frame = all.n; frame && tried < 100000; frame--, tried++) {
		struct mbwalk_scan a = { .size = sizeof a,
					 .algorithm = MBWALK_XXH64,
					 .parts = 8,
					 .first = frame - 1,
					 .n = 1,
					 .bitmap = (uintptr_t)&bit,
					 .bitmap_first = frame - 1,
					 .known = (uintptr_t)&known,
					 .records = (uintptr_t)&look.record,
					 .cap_records = 1,
					 .digests = (uintptr_t)look.digests };

		memset(&look, 0xa5, sizeof look);
		if (ioctl(fd, MBWALK_SCAN, &a) < 0)
			fail_errno("MBWALK_SCAN");
		if (!a.n_records || look.record.cls != MBWALK_GONE)
			continue;
		for (int i = 0; i < 8; i++)
			CHECK(look.digests[i] == 0);
		CHECK(look.record.zero_parts == 0 && look.digests[8] == 0xa5a5a5a5a5a5a5a5);
		return;
	}
	fail("no free frame in %llu", (unsigned long long)tried);
}

/* Only frames that are marked, with the digests of their own. */
static void check_bitmap(void)
{
	struct mbwalk_scan a = walk_args(fd, MBWALK_XXH64, 0);
	uint64_t *words = calloc(a.n / 64 + 1, 8), frames[KINDS * COPIES], again[KINDS * COPIES];
	struct walk w = { 0 };

	CHECK(words);
	a.bitmap = (uintptr_t)words;
	a.parts = 16;
	for (int tries = 0;; tries++) {
		CHECK(tries < 100);
		memset(words, 0, (a.n / 64 + 1) * 8);
		frames_of(pages, KINDS * COPIES, frames);
		for (size_t i = 0; i < KINDS * COPIES; i++)
			words[frames[i] / 64] |= 1ull << frames[i] % 64;
		walk(fd, &a, false, &w);
		frames_of(pages, KINDS * COPIES, again);
		if (memcmp(frames, again, sizeof frames) == 0)
			break;
	}
	CHECK(w.n == KINDS * COPIES);
	for (size_t i = 0; i < KINDS * COPIES; i++) {
		const struct mbwalk_record *r = walk_find(&w, frames[i]);

		CHECK(r);
		for (int k = 0; k < 16; k++)
			CHECK(w.digests[(r - w.records) * 16 + k] ==
			      content_part(MBWALK_XXH64, pages + i * PAGE + k * 256, 256));
	}
	walk_release(&w);
	free(words);
}

/* --- a page that is written to ---------------------------------------------------------------- */

static atomic_bool stop;

static void *write_on(void *page)
{
	for (uint64_t content = 1; !stop; content++) {
		content_fill(page, content);
		memset(page, 0, PAGE);
	}
	return NULL;
}

/* Digests and zero parts speak of the same bytes, whoever writes meanwhile. */
static void check_race(void)
{
	static const unsigned char zero[PAGE];
	uint64_t zero_digest = content_part(MBWALK_XXH64, zero, 256);
	unsigned char *page = plant_memory(1);
	size_t some = 0;
	pthread_t thread;

	if (pthread_create(&thread, NULL, write_on, page) != 0)
		fail("no thread");
	for (int i = 0; i < 2000; i++) {
		struct look look;

		look_at_page(page, MBWALK_XXH64, 16, &look);
		for (int k = 0; k < 16; k++)
			CHECK((look.digests[k] == zero_digest) ==
			      (look.record.zero_parts >> k & 1));
		some += look.record.zero_parts && look.record.zero_parts != 0xffff;
	}
	stop = true;
	pthread_join(thread, NULL);
	say("%zu of 2000 looks at a page that is written to saw it half done", some);
}

/* --- all there is ----------------------------------------------------------------------------- */

/* Frames that cannot be read, where the kernel has that, among those that can. */
static void plant_secret(void)
{
	enum { N = 64 };
	int secret = syscall(SYS_memfd_secret, 0);
	unsigned char *at;

	if (secret < 0 || ftruncate(secret, N * PAGE) < 0) {
		say("no memfd_secret(): no frame is unreadable");
		return;
	}
	at = mmap(NULL, N * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, secret, 0);
	if (at == MAP_FAILED)
		fail_errno("mmap of secret memory");
	for (int i = 0; i < N; i++) {
		unsigned char *zero = plant_memory(1);

		at[i * PAGE] = 1;
		memset(zero, 1, PAGE);
		memset(zero, 0, PAGE);
	}
}

/* Records and digests stay side by side, whatever has no record. */
static void check_all(void)
{
	static const unsigned char none[PAGE];
	uint64_t zero_digest = content_part(MBWALK_XXH64, none, PAGE / 8);
	struct mbwalk_scan all = walk_args(fd, MBWALK_XXH64, 0);
	struct walk w = { 0 };

	all.parts = 8;
	walk(fd, &all, false, &w);
	CHECK(w.n + walk_counted(&w) == all.n);
	for (size_t i = 0; i < w.n; i++)
		for (int k = 0; k < 8; k++)
			if ((w.digests[i * 8 + k] == zero_digest) !=
			    (w.records[i].zero_parts >> k & 1))
				fail("frame %llx: part %d has digest %llx, zero parts are %#x",
				     w.records[i].frame, k,
				     (unsigned long long)w.digests[i * 8 + k],
				     w.records[i].zero_parts);
	say("%zu pages of 8 parts, %llu unreadable", w.n,
	    (unsigned long long)w.counts[MBWALK_COUNT_UNREADABLE]);
	walk_release(&w);
}

/* --- the agent's source ----------------------------------------------------------------------- */

static void check_source(uint32_t parts)
{
	struct mb_source_options options = { .algorithm = MB_XXH64, .parts = parts };
	const size_t bytes = PAGE / parts;
	uint64_t frames[KINDS * COPIES];
	struct mb_page got[512];
	struct mb_err err = { 0 };
	struct mb_source *s;
	size_t n, found = 0, all = 0;

	if (mb_source_open("kmod", &options, &s, &err) < 0 || s->ops->begin(s, NULL, &err) < 0)
		fail("%s", err.text);
	frames_of(pages, KINDS * COPIES, frames);
	do {
		if (s->ops->read(s, got, sizeof got / sizeof *got, &n, &err) < 0)
			fail("%s", err.text);
		all += n;
		for (size_t i = 0; i < n; i++)
			for (size_t k = 0; k < KINDS * COPIES; k++) {
				const unsigned char *part =
					pages + k * PAGE + got[i].frame % parts * bytes;

				if (got[i].frame / parts != frames[k])
					continue;
				found += got[i].digest == content_part(MBWALK_XXH64, part, bytes) &&
					 !(got[i].flags & MB_PAGE_ZERO) == !is_zero(part, bytes);
			}
	} while (n);
	s->ops->close(s);
	say("the agent has read %zu parts, %u a page", all, parts);
	/* What was moved meanwhile is not found: hardly ever any. */
	if (found + parts < KINDS * COPIES * parts)
		fail("%zu of %u planted parts are as they must be", found, KINDS * COPIES * parts);
}

int main(void)
{
	struct mbwalk_info info;

	fd = walk_open();
	walk_info(fd, &info);
	CHECK(info.parts_max == MBWALK_PARTS_MAX && MBWALK_PARTS_MAX == MOST);
	plant(random_seed());
	check_refused();
	for (int algorithm = MBWALK_XXH64; algorithm <= MBWALK_SUPERFASTHASH32; algorithm++)
		for (uint32_t parts = 2; parts <= MOST; parts *= 2)
			for (int i = 0; i < KINDS * COPIES; i++)
				check_page(i % KINDS, pages + i * PAGE, algorithm, parts);
	check_quarters();
	check_room();
	check_gone();
	check_bitmap();
	check_race();
	plant_secret();
	check_all();
	check_source(4);
	return 0;
}
