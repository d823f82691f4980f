// SPDX-License-Identifier: GPL-2.0-or-later
/* All memory of the machine that the agent runs on, hashed by the module mbwalk (kmod/). */
#include "agent/source.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/mbwalk.h"
#include "agent/parts.h"
#include "proto/base/cleanup.h"

enum {
	DIGESTS = 1 << 16, /* of one call: so many records, or fewer with parts */
	/* Looked at by one call: a GiB that has no records at all is soon done. */
	SCAN_FRAMES = 1 << 18,
};

/* The numbers are the same: nothing is translated. */
_Static_assert((int)MBWALK_ANON == MB_CLASS_ANON && (int)MBWALK_FILE == MB_CLASS_FILE &&
		       (int)MBWALK_SLAB == MB_CLASS_SLAB &&
		       (int)MBWALK_PAGE_TABLE == MB_CLASS_PAGE_TABLE &&
		       (int)MBWALK_KERNEL == MB_CLASS_KERNEL &&
		       (int)MBWALK_HUGETLB == MB_CLASS_HUGETLB &&
		       (int)MBWALK_RESERVED == MB_CLASS_RESERVED &&
		       (int)MBWALK_FREE == MB_CLASS_FREE && (int)MBWALK_BUFFER == MB_CLASS_BUFFER,
	       "classes");
_Static_assert((int)MBWALK_ZERO == MB_PAGE_ZERO && (int)MBWALK_UNSTABLE == MB_PAGE_UNSTABLE &&
		       (int)MBWALK_PINNED == MB_PAGE_PINNED &&
		       (int)MBWALK_HUGE_HEAD == MB_PAGE_HUGE_HEAD &&
		       (int)MBWALK_HUGE_TAIL == MB_PAGE_HUGE_TAIL && (int)MBWALK_KSM == MB_PAGE_KSM,
	       "flags");
_Static_assert((int)MBWALK_XXH64 == MB_XXH64 && (int)MBWALK_SUPERFASTHASH32 == MB_SUPERFASTHASH32,
	       "algorithms");
enum {
	FLAGS_KNOWN = MB_PAGE_ZERO | MB_PAGE_UNSTABLE | MB_PAGE_PINNED | MB_PAGE_HUGE_HEAD |
		      MB_PAGE_HUGE_TAIL | MB_PAGE_KSM,
};

struct kmod {
	struct mb_source base;
	int fd;
	bool free_frames; /* those too that are nobody's */
	struct mb_parts parts;
	struct mbwalk_info info;     /* as of begin() */
	struct mbwalk_range *ranges; /* info.n_ranges; owned */

	/* The epoch */
	const struct mb_frame_set *only;
	size_t range;
	uint64_t next; /* frame of that range, not looked at yet */
	uint64_t passed_frames;
	uint64_t unread[MB_UNREAD_REASONS];
	struct mbwalk_record *records; /* DIGESTS / parts; owned */
	uint64_t *digests;	       /* DIGESTS, beside the records; NULL: in them. Owned */
	size_t i, n;
	uint32_t part; /* of record i, the next one */
};

static struct kmod *to_kmod(struct mb_source *s)
{
	return (struct kmod *)s; /* embedded first */
}

/* --- this machine ----------------------------------------------------------------------------- */

static void put_info(char ret[MB_FOUND_MAX], const struct mbwalk_info *info)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} knows[] = {
		{ MBWALK_KNOWS_PINNED, "pinned pages" },
		{ MBWALK_KNOWS_PAGE_TABLE, "page tables" },
		{ MBWALK_KNOWS_BALLOON, "the balloon" },
		{ MBWALK_KNOWS_ONLINE, "offline memory" },
	};
	char sees[100] = "", hidden[100] = "";

	for (size_t i = 0; i < MB_ARRAY_LEN(knows); i++) {
		char *list = info->knows & knows[i].bit ? sees : hidden;
		size_t n = strlen(list);

		snprintf(list + n, sizeof(sees) - n, "%s%s", n ? ", " : "", knows[i].name);
	}
	snprintf(ret, MB_FOUND_MAX,
		 "module version %" PRIu32 ", %" PRIu64 " MiB of RAM in %" PRIu64
		 " ranges; sees %s%s%s here",
		 info->version, (uint64_t)(info->ram_frames * info->page_bytes) >> 20,
		 (uint64_t)info->n_ranges, *sees ? sees : "no more than pages",
		 *hidden ? ", but not " : "", hidden);
}

static int kmod_check(char ret_found[MB_FOUND_MAX], struct mb_err *err)
{
	mb_autofree struct mbwalk_range *ranges = NULL;
	struct mbwalk_info info;
	char path[PATH_MAX];
	int fd, r = mb_mbwalk_open(&fd, err);

	if (r == -ENODEV) {
		r = mb_mbwalk_machine.insert_check(NULL, path, err);
		if (r == 0)
			snprintf(ret_found, MB_FOUND_MAX, "not loaded yet; %.200s fits this kernel",
				 path);
		return r;
	}
	if (r < 0)
		return r;
	r = mb_mbwalk_info(fd, &info, &ranges, err);
	mb_mbwalk_close(fd);
	if (r == 0)
		put_info(ret_found, &info);
	return r;
}

/* --- open ------------------------------------------------------------------------------------- */

static void kmod_close(struct mb_source *s)
{
	struct kmod *k = to_kmod(s);

	mb_mbwalk_close(k->fd);
	free(k->ranges);
	free(k->records);
	free(k->digests);
	free(k);
}

static int get_info(struct kmod *k, struct mb_err *err)
{
	struct mbwalk_range *ranges;
	struct mbwalk_info info;
	int r = mb_mbwalk_info(k->fd, &info, &ranges, err);

	if (r < 0)
		return r;
	free(k->ranges);
	k->ranges = ranges;
	k->info = info;
	return 0;
}

static int check_parts(const struct kmod *k, uint32_t parts, struct mb_err *err)
{
	if (parts <= 1 || parts <= k->info.parts_max)
		return 0;
	if (!k->info.parts_max)
		return mb_fail(err, ENOTSUP,
			       "the module mbwalk that is loaded hashes whole pages, not parts of "
			       "them: `rmmod mbwalk`, and load the one that came with the agent");
	return mb_fail(err, ENOTSUP,
		       "%" PRIu32 " parts per page: the module mbwalk hashes up to %" PRIu32, parts,
		       (uint32_t)k->info.parts_max);
}

static int open_device(struct kmod *k, const struct mb_source_options *options, struct mb_err *err)
{
	int r = mb_mbwalk_open_loaded(options->module, &k->fd, err);

	if (r < 0 || (r = get_info(k, err)) < 0)
		return r;
	if (!(k->info.algorithms >> options->algorithm & 1))
		return mb_fail(err, ENOTSUP, "the module mbwalk has no %s",
			       mb_algorithm_name(options->algorithm));
	r = mb_parts_init(&k->parts, options->algorithm, k->info.page_bytes, options->parts, err);
	if (r < 0 || (r = check_parts(k, k->parts.n, err)) < 0)
		return r;
	k->records = calloc(DIGESTS / k->parts.n, sizeof(*k->records));
	if (k->parts.n > 1)
		k->digests = calloc(DIGESTS, sizeof(*k->digests));
	return k->records && (k->digests || k->parts.n == 1) ? 0 :
							       mb_fail_mem(err, "records of pages");
}

static int kmod_open(const char *arg, const struct mb_source_options *options,
		     struct mb_source **ret, struct mb_err *err)
{
	struct kmod *k;
	int r;

	if (*arg && strcmp(arg, "free") != 0)
		return mb_fail(err, EINVAL, "\"%.40s\" is not free", arg);
	k = calloc(1, sizeof(*k));
	if (!k)
		return mb_fail_mem(err, "a source");
	k->base.ops = &mb_source_kmod;
	k->fd = -1;
	k->free_frames = *arg;
	r = open_device(k, options, err);
	if (r < 0) {
		kmod_close(&k->base);
		return r;
	}
	k->range = k->info.n_ranges;
	*ret = &k->base;
	return 0;
}

static void kmod_describe(struct mb_source *s, struct mb_source_info *ret)
{
	struct kmod *k = to_kmod(s);

	*ret = (struct mb_source_info){
		.memory_bytes = k->info.ram_frames * k->info.page_bytes,
		.stable_frames = true,
		/* Trackers know page frames, not parts of them. */
		.this_machine = k->parts.n == 1,
		.live = true,
		.identity = k->parts.identity,
	};
	snprintf(ret->text, sizeof(ret->text), "this machine, %" PRIu64 " MiB%s",
		 ret->memory_bytes >> 20, k->free_frames ? ", free memory included" : "");
}

/* --- an epoch --------------------------------------------------------------------------------- */

static int kmod_begin(struct mb_source *s, const struct mb_frame_set *only, struct mb_err *err)
{
	struct kmod *k = to_kmod(s);
	uint64_t generation = k->info.generation;
	int r;

	k->only = only;
	k->range = k->info.n_ranges;
	k->i = k->n = k->part = 0;
	k->passed_frames = 0;
	memset(k->unread, 0, sizeof(k->unread));
	r = get_info(k, err);
	if (r < 0)
		return r;
	k->range = k->info.n_ranges;
	if (only && k->parts.n > 1)
		return mb_fail(err, EAGAIN, "parts of pages are read all at once");
	/* What is plugged in the middle of an epoch is seen by the next one's begin. */
	if (only && k->info.generation != generation)
		return mb_fail(err, EAGAIN, "memory was plugged or unplugged");
	k->range = 0;
	k->next = k->info.n_ranges ? k->ranges[0].first : 0;
	return 0;
}

static void count_unread(struct kmod *k, const __u64 *counts)
{
	/* Not in use, no memory, or not asked for. Whatever else there may be counts as failed. */
	static const uint64_t ignored = 1 << MBWALK_COUNT_HOLE | 1 << MBWALK_COUNT_NOT_RAM |
					1 << MBWALK_COUNT_FREE | 1 << MBWALK_COUNT_CLEAN;
	static const uint8_t reasons[MBWALK_COUNTS] = {
		[MBWALK_COUNT_OFFLINE] = MB_UNREAD_OFFLINE,
		[MBWALK_COUNT_HWPOISON] = MB_UNREAD_HWPOISON,
		[MBWALK_COUNT_BALLOON] = MB_UNREAD_BALLOON,
	};

	for (int i = 0; i < MBWALK_COUNTS; i++)
		if (!(ignored >> i & 1))
			k->unread[reasons[i] ? reasons[i] : MB_UNREAD_FAILED] += counts[i];
}

/* How far the frames from `first` on are alike: all in the bitmap, or none. */
static uint64_t piece_end(const struct mb_frame_set *only, uint64_t first, uint64_t end,
			  bool *ret_mapped)
{
	uint64_t set_end = only ? only->first + only->n : 0;

	*ret_mapped = only && first >= only->first && first < set_end;
	if (*ret_mapped)
		return MB_MIN(end, set_end);
	return only && first < only->first ? MB_MIN(end, only->first) : end;
}

/* The records of the next frames; there may be none of them. */
static int scan(struct kmod *k, struct mb_err *err)
{
	const struct mbwalk_range *range = &k->ranges[k->range];
	uint64_t end = MB_MIN(range->first + range->n, k->next + SCAN_FRAMES);
	struct mbwalk_scan args = {
		.flags = k->free_frames ? MBWALK_SCAN_FREE : 0,
		.algorithm = k->parts.identity.algorithm,
		.parts = k->digests ? k->parts.n : 0,
		.first = k->next,
		.records = (uintptr_t)k->records,
		.cap_records = DIGESTS / k->parts.n,
		.digests = (uintptr_t)k->digests,
	};
	bool mapped;
	int r;

	args.n = piece_end(k->only, k->next, end, &mapped) - k->next;
	if (mapped) {
		args.bitmap = (uintptr_t)k->only->words;
		args.bitmap_first = k->only->first;
		args.known = (uintptr_t)k->only->known;
	}
	r = mb_mbwalk_scan(k->fd, &args, err);
	if (r < 0)
		return r;
	count_unread(k, args.counts);
	k->i = 0;
	k->n = args.n_records;
	k->passed_frames += args.next - args.first;
	k->next = args.next;
	if (k->next == range->first + range->n && ++k->range < k->info.n_ranges)
		k->next = k->ranges[k->range].first;
	return 0;
}

static struct mb_page page_of(const struct mbwalk_record *from)
{
	return (struct mb_page){
		.frame = from->frame,
		.digest = from->digest,
		/* A newer module may tell more than we know. */
		.cls = from->cls < MB_CLASS_END ? from->cls : MB_CLASS_UNKNOWN,
		.flags = from->flags & FLAGS_KNOWN,
		.gone = from->cls == MBWALK_GONE,
	};
}

/* The next page, or part of one. */
static struct mb_page take(struct kmod *k)
{
	const struct mbwalk_record *record = &k->records[k->i];
	struct mb_page page = page_of(record);
	uint32_t part = k->part;

	if (k->digests)
		page = mb_parts_page(&k->parts, &page, part, k->digests[k->i * k->parts.n + part],
				     record->zero_parts >> part & 1);
	if (++k->part == k->parts.n) {
		k->part = 0;
		k->i++;
	}
	return page;
}

static int kmod_read(struct mb_source *s, struct mb_page *pages, size_t cap, size_t *ret_n,
		     struct mb_err *err)
{
	struct kmod *k = to_kmod(s);
	int r;

	*ret_n = 0;
	while (k->i == k->n) {
		if (k->range == k->info.n_ranges)
			return 0;
		r = scan(k, err);
		if (r < 0)
			return r;
	}
	while (k->i < k->n && *ret_n < cap)
		pages[(*ret_n)++] = take(k);
	return 0;
}

static void kmod_unread(struct mb_source *s, uint64_t ret[MB_UNREAD_REASONS])
{
	memcpy(ret, to_kmod(s)->unread, sizeof(to_kmod(s)->unread));
}

static double kmod_progress(struct mb_source *s)
{
	struct kmod *k = to_kmod(s);

	if (k->range == k->info.n_ranges && k->i == k->n)
		return 1;
	return (double)(k->passed_frames - (k->n - k->i)) / (double)k->info.ram_frames;
}

const struct mb_source_ops mb_source_kmod = {
	.scheme = "kmod",
	.syntax = "kmod[:free]",
	.summary =
		"all memory of this machine, by the module mbwalk; with free: unused memory, too",
	.bare = true,
	.check = kmod_check,
	.open = kmod_open,
	.close = kmod_close,
	.describe = kmod_describe,
	.begin = kmod_begin,
	.read = kmod_read,
	.unread = kmod_unread,
	.progress = kmod_progress,
};
