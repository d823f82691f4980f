// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every frame that is looked at has a record or is counted, whatever the range
 * and however little room for records there is (util_walk.c checks each call);
 * and what the pieces tell is what the whole does.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util_test.h"
#include "util_walk.h"

static uint64_t seed;

static void scan(int fd, uint64_t first, uint64_t n, uint64_t cap, bool once, struct walk *w)
{
	struct mbwalk_scan args = walk_args(fd, MBWALK_XXH64, MBWALK_SCAN_FREE);

	args.first = first;
	args.n = n;
	args.cap_records = cap;
	walk(fd, &args, once, w);
}

/* Of frames that do not exist: all of them, in one call. */
static void check_hole(int fd, uint64_t first, uint64_t n)
{
	struct walk w = { 0 };

	scan(fd, first, n, 4, true, &w);
	if (w.n || w.counts[MBWALK_COUNT_HOLE] != n || w.next != first + n)
		fail("[%#llx, +%#llx): %zu records, %llu in a hole", (unsigned long long)first,
		     (unsigned long long)n, w.n, (unsigned long long)w.counts[MBWALK_COUNT_HOLE]);
	walk_release(&w);
}

static void check_refused(int fd, uint64_t first, uint64_t n)
{
	struct mbwalk_scan args = walk_args(fd, MBWALK_XXH64, 0);
	struct mbwalk_record r;

	args.first = first;
	args.n = n;
	args.records = (uintptr_t)&r;
	args.cap_records = 1;
	if (ioctl(fd, MBWALK_SCAN, &args) == 0 || errno != EINVAL)
		fail("[%#llx, +%#llx) is not refused", (unsigned long long)first,
		     (unsigned long long)n);
}

/* The RAM that the info tells is where records are. */
static void check_ranges(int fd, const struct walk *all)
{
	struct mbwalk_range ranges[64] = { 0 };
	struct mbwalk_info info = { .size = sizeof info,
				    .ranges = (uintptr_t)ranges,
				    .cap_ranges = 64 };
	uint64_t end = 0, frames = 0;
	size_t i, r = 0;

	if (ioctl(fd, MBWALK_INFO, &info) < 0)
		fail_errno("MBWALK_INFO");
	for (i = 0; i < info.n_ranges && i < 64; i++) {
		if (!ranges[i].n || (i && ranges[i].first <= end))
			fail("range %zu [%#llx, +%#llx) after %#llx", i, ranges[i].first,
			     ranges[i].n, (unsigned long long)end);
		end = ranges[i].first + ranges[i].n;
		frames += ranges[i].n;
		say("RAM [%#llx, %#llx)", ranges[i].first, (unsigned long long)end);
		for (; r < all->n && all->records[r].frame < end; r++)
			if (all->records[r].frame < ranges[i].first)
				fail("frame %#llx is in no range", all->records[r].frame);
	}
	CHECK(end == info.end_frame && frames == info.ram_frames && r == all->n);
	CHECK(frames ==
	      all->n + all->counts[MBWALK_COUNT_OFFLINE] + all->counts[MBWALK_COUNT_HWPOISON] +
		      all->counts[MBWALK_COUNT_BALLOON] + all->counts[MBWALK_COUNT_UNREADABLE]);
	/* Fewer than there are: as many as asked for, and not a byte more. */
	memset(ranges, 0xee, sizeof ranges);
	info.cap_ranges = 1;
	if (ioctl(fd, MBWALK_INFO, &info) < 0)
		fail_errno("MBWALK_INFO");
	CHECK(info.n_ranges && ranges[0].n && ranges[1].first == 0xeeeeeeeeeeeeeeee);
}

/* Frames in, records or counts out; 95 of 100 with the class that the whole
 * walk saw. */
static void check_pieces(int fd, const struct walk *all, uint64_t end)
{
	size_t same = 0, records = 0;
	struct walk w = { 0 };

	for (int i = 0; i < 300; i++) {
		uint64_t first = random64(&seed) % (end + 64), n = random64(&seed) % 1500,
			 k = first;

		scan(fd, first, n, i % 3 ? 0 : 1 + random64(&seed) % 300, false, &w);
		CHECK(w.n + walk_counted(&w) == n && w.next == first + n);
		records += w.n;
		for (size_t j = 0; j < w.n; j++) {
			const struct mbwalk_record *r = walk_find(all, w.records[j].frame);

			CHECK(w.records[j].frame >= k);
			k = w.records[j].frame + 1;
			same += r && r->cls == w.records[j].cls;
		}
	}
	say("300 pieces: %zu records, %zu of the same class as in one walk of all", records, same);
	CHECK(records && same * 100 > records * 95);
	walk_release(&w);
}

/* One call each: as many frames as could all have records. */
static void check_caps(int fd, uint64_t end)
{
	static const uint64_t caps[] = { 1, 7, 63, 64, 65, 128, 1000 };
	struct walk w = { 0 };

	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
		uint64_t first = random64(&seed) % (end / 2), n = caps[i] * 20;

		scan(fd, first, n, caps[i], true, &w);
		if (!w.next || w.n > caps[i])
			fail("room for %llu: next %llx, %zu records", (unsigned long long)caps[i],
			     (unsigned long long)w.next, w.n);
		CHECK(w.next > first);
		scan(fd, first, n, caps[i], false, &w);
		CHECK(w.n + walk_counted(&w) == n);
	}
	walk_release(&w);
}

int main(void)
{
	struct mbwalk_info info;
	struct walk all = { 0 };
	int fd = walk_open();

	seed = random_seed();
	say("seed %#llx", (unsigned long long)seed);
	walk_info(fd, &info);
	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &all);
	for (unsigned int i = 0; i < MBWALK_COUNTS; i++)
		if (all.counts[i])
			say("%-10s %llu", count_name(i), (unsigned long long)all.counts[i]);
	say("%zu records + %llu counted = %llu = end_frame", all.n,
	    (unsigned long long)walk_counted(&all), info.end_frame);
	check_ranges(fd, &all);
	check_pieces(fd, &all, info.end_frame);
	check_caps(fd, info.end_frame);
	check_hole(fd, 0, 0);
	check_hole(fd, info.end_frame, 0);
	check_hole(fd, info.end_frame, 1);
	check_hole(fd, info.end_frame + 12345, 1 << 20);
	check_hole(fd, 1ull << 60, 1 << 20);
	check_hole(fd, UINT64_MAX - 5, 5);
	check_refused(fd, UINT64_MAX, 1 + 1);
	check_refused(fd, 2, UINT64_MAX);
	check_refused(fd, 1ull << 63, 1ull << 63);
	return 0;
}
