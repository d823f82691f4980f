// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The walk against the kernel's own word, /proc/kpageflags and
 * /proc/kpagecount: which frames are in use, and as what. The kernel is asked
 *before and after the walk; frames of which it has changed its mind are left
 *out. What is in use for whom:
 *
 *	the kernel says		the walk may say
 *	nopage, hwpoison	no record
 *	offline			no record; the kernel's own where ballooned
 *frames are not told reserved, slab, anon	the same pgtable
 *the same; the kernel's own where page tables are not told huge
 *hugetlb; free while it waits in its pool, where nobody refers to it buddy
 *free lru, mapped		file, buffer nothing of these	the kernel's
 *own, or free: on their way from and to the allocator (per-CPU lists) pages
 *have no mark. Before 4.6 only the first page of a free block has one. A
 *file's, before it is on a list or when the filesystem keeps it off them;
 *hugetlb and shadow memory of drivers
 *
 * Free frames have no record where they are not in the kernel's map. Old kernels (4.1) say what a
 * compound page is of its first frame only.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "util_frame.h"
#include "util_plant.h"
#include "util_test.h"
#include "util_walk.h"

enum word { NOPAGE, HWPOISON, OFFLINE, RESERVED, SLAB, PGTABLE, HUGE, ANON, BUDDY, LRU, OTHER };
enum { WORDS = OTHER + 1, NO_RECORD = 0, CLASSES = MBWALK_BUFFER + 1 };

static const char *const word_names[WORDS] = { "nopage", "hwpoison", "offline", "reserved",
					       "slab",	 "pgtable",  "huge",	"anon",
					       "buddy",	 "lru",	     "other" };

static const uint64_t matters = KPF(NOPAGE) | KPF(HWPOISON) | KPF(OFFLINE) | KPF(RESERVED) |
				KPF(SLAB) | KPF(PGTABLE) | KPF(HUGE) | KPF(ANON) | KPF(BUDDY) |
				KPF(LRU) | KPF(MMAP) | KPF(KSM) | KPF(COMPOUND_HEAD) |
				KPF(COMPOUND_TAIL);

static enum word word_of(uint64_t flags)
{
	static const struct {
		uint64_t flag;
		enum word word;
	} order[] = {
		{ KPF(NOPAGE), NOPAGE },     { KPF(HWPOISON), HWPOISON }, { KPF(OFFLINE), OFFLINE },
		{ KPF(RESERVED), RESERVED }, { KPF(SLAB), SLAB },	  { KPF(PGTABLE), PGTABLE },
		{ KPF(HUGE), HUGE },	     { KPF(ANON), ANON },	  { KPF(BUDDY), BUDDY },
		{ KPF(LRU), LRU },	     { KPF(MMAP), LRU },
	};

	for (size_t i = 0; i < sizeof order / sizeof *order; i++)
		if (flags & order[i].flag)
			return order[i].word;
	return OTHER;
}

static void allow(bool (*may)[CLASSES], unsigned int knows, bool unmapped)
{
	may[NOPAGE][NO_RECORD] = may[HWPOISON][NO_RECORD] = true;
	may[OFFLINE][knows & MBWALK_KNOWS_BALLOON ? NO_RECORD : MBWALK_KERNEL] = true;
	may[RESERVED][MBWALK_RESERVED] = true;
	may[SLAB][MBWALK_SLAB] = true;
	may[PGTABLE][knows & MBWALK_KNOWS_PAGE_TABLE ? MBWALK_PAGE_TABLE : MBWALK_KERNEL] = true;
	may[HUGE][MBWALK_HUGETLB] = may[HUGE][MBWALK_FREE] = true;
	may[ANON][MBWALK_ANON] = true;
	may[BUDDY][MBWALK_FREE] = true;
	may[LRU][MBWALK_FILE] = may[LRU][MBWALK_BUFFER] = true;
	may[OTHER][MBWALK_KERNEL] = may[OTHER][MBWALK_FREE] = true;
	may[OTHER][MBWALK_FILE] = may[OTHER][MBWALK_BUFFER] = true;
	/* Of the kernel's image that is what it has freed. */
	may[RESERVED][NO_RECORD] = may[BUDDY][NO_RECORD] = may[OTHER][NO_RECORD] = unmapped;
}

/* What the kernel says of [0, n). */
struct view {
	uint64_t *flags, *count;
};

/* Touched, so that to look does not change what is looked at. */
static struct view new_view(size_t n)
{
	struct view v = { malloc(n * sizeof *v.flags), malloc(n * sizeof *v.count) };

	if (!v.flags || !v.count)
		fail("no memory");
	memset(v.flags, 1, n * sizeof *v.flags);
	memset(v.count, 1, n * sizeof *v.count);
	return v;
}

static void look(struct view v, size_t n)
{
	kpage_words("/proc/kpageflags", 0, n, KPF(NOPAGE), v.flags);
	kpage_words("/proc/kpagecount", 0, n, 0, v.count);
}

static bool *ram_map(int fd, size_t n)
{
	struct mbwalk_range ranges[256];
	struct mbwalk_info info = { .size = sizeof info,
				    .ranges = (uintptr_t)ranges,
				    .cap_ranges = 256 };
	bool *map = calloc(n, 1);

	if (!map || ioctl(fd, MBWALK_INFO, &info) < 0)
		fail_errno("MBWALK_INFO");
	CHECK(info.n_ranges <= 256);
	for (size_t i = 0; i < info.n_ranges; i++)
		memset(map + ranges[i].first, 1, ranges[i].n);
	return map;
}

/* Some kernels see KSM in pages of slabs: it means something in anonymous pages
 * only. */
static uint16_t flags_of(uint64_t kernel)
{
	return (kernel & KPF(COMPOUND_HEAD) ? MBWALK_HUGE_HEAD : 0) |
	       (kernel & KPF(COMPOUND_TAIL) ? MBWALK_HUGE_TAIL : 0) |
	       (kernel & KPF(KSM) && word_of(kernel) == ANON ? MBWALK_KSM : 0);
}

/* A page that nobody merges: 6.12 says KSM of every anonymous page. */
static bool ksm_is_told(void)
{
	volatile unsigned char *at = plant_memory(1);
	uint64_t frame;

	*at = 1;
	frames_of((void *)at, 1, &frame);
	if (!(kpage_flags(frame) & KPF(KSM)))
		return true;
	say("this kernel takes all anonymous pages for KSM's: that flag is not compared");
	return false;
}

int main(void)
{
	const uint16_t compared =
		MBWALK_HUGE_HEAD | MBWALK_HUGE_TAIL | (ksm_is_told() ? MBWALK_KSM : 0);
	size_t seen[WORDS][CLASSES] = { 0 }, moved = 0, used = 0, differ = 0, flags = 0, mapped = 0;
	bool may[WORDS][CLASSES] = { 0 }, unmapped = free_is_unmapped();
	int fd = walk_open();
	struct walk w = { 0 };
	struct mbwalk_info info;
	struct view before, after;
	size_t n, i, head = 0;
	bool *ram;

	walk_info(fd, &info);
	n = info.end_frame;
	ram = ram_map(fd, n);
	allow(may, info.knows, unmapped);
	before = new_view(n);
	after = new_view(n);
	/* Twice: the first one makes our own memory what it will be in the second. */
	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
	look(before, n);
	walk_all(fd, MBWALK_XXH64, MBWALK_SCAN_FREE, &w);
	look(after, n);
	for (i = 0; i < n; i++) {
		const struct mbwalk_record *r = walk_find(&w, i);
		unsigned int cls = r ? r->cls : NO_RECORD;
		unsigned int word = word_of(before.flags[i]);

		if (before.flags[i] & KPF(COMPOUND_HEAD))
			head = i;
		else if (before.flags[i] & KPF(COMPOUND_TAIL) && word == OTHER)
			word = word_of(before.flags[head]);
		if (!ram[i]) {
			if (r)
				fail("frame %zx is not RAM, and has a record: %s", i,
				     class_name(cls));
			continue;
		}
		if ((before.flags[i] ^ after.flags[i]) & matters ||
		    before.count[i] != after.count[i]) {
			moved++;
			continue;
		}
		seen[word][cls]++;
		used += cls != NO_RECORD && cls != MBWALK_FREE;
		differ += !may[word][cls];
		/* Below 0: the mark of a free block, on 4.1. */
		mapped += (int64_t)before.count[i] > 0 && (cls == MBWALK_FREE || cls == NO_RECORD);
		if (r && cls != MBWALK_FREE &&
		    ((r->flags ^ flags_of(before.flags[i])) & compared)) {
			if (!flags++)
				say("frame %zx: flags %#x, the kernel has %#llx", i, r->flags,
				    (unsigned long long)before.flags[i]);
		}
	}
	for (unsigned int word = 0; word < WORDS; word++)
		for (unsigned int cls = 0; cls < CLASSES; cls++)
			if (seen[word][cls])
				say("%-8s  %-10s %7zu%s", word_names[word],
				    cls ? class_name(cls) : "no record", seen[word][cls],
				    may[word][cls] ? "" : "  differ");
	say("%llu frames of RAM, %zu in use; %zu changed meanwhile; of the others "
	    "%zu differ in "
	    "what "
	    "they are, %zu in flags, %zu are mapped and not in use",
	    info.ram_frames, used, moved, differ, flags, mapped);
	/*
	 * None has been seen to differ. A few may: what was freed and taken again
	 * between the looks is the same for the kernel, and was not for the walk.
	 */
	if (differ + flags + mapped > 16)
		fail("more than 16");
	if (moved > info.ram_frames / 20)
		fail("too many changed to tell");
	CHECK(seen[RESERVED][MBWALK_RESERVED] && seen[SLAB][MBWALK_SLAB] &&
	      seen[ANON][MBWALK_ANON] && seen[LRU][MBWALK_FILE] &&
	      seen[BUDDY][unmapped ? NO_RECORD : MBWALK_FREE]);
	return 0;
}
