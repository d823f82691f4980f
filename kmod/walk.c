// SPDX-License-Identifier: GPL-2.0
/*
 * A chunk is done in two rounds. First each struct page is looked at, which gives the records to be
 * made. Then page after page is copied to a bounce page and hashed there:
 *
 *	- by the kernel's no-fault copy, since any frame may be missing from the direct map (secret
 *	  memory, debug_pagealloc, passing holes on new kernels);
 *	- once, so that digests of all parts and the zero flag speak of the same bytes;
 *	- while the next page is on its way to the cache.
 */
#include "compat.h"
#include "walk.h"

#include <linux/bitops.h>
#include <linux/kernel.h>
#include <linux/mm.h>
#include <linux/prefetch.h>
#include <linux/string.h>

#include "page.h"
#include "superfasthash.h"
#include "xxh64.h"

u64 mbwalk_hash(u32 algorithm, const void *data, size_t bytes)
{
	return algorithm == MBWALK_XXH64 ? mbwalk_xxh64(data, bytes) :
					   mb_superfasthash(data, bytes);
}

static void add_record(struct mbwalk_chunk *c, unsigned int i, u8 cls, u16 flags)
{
	struct mbwalk_record *record = &c->records[c->n_records++];

	memset(record, 0, sizeof(*record));
	record->frame = c->first + i;
	record->cls = cls;
	record->flags = flags;
}

/* Has no record, for that reason. The caller may have one of old. */
static void count(struct mbwalk_chunk *c, unsigned int i, enum mbwalk_count reason)
{
	c->counts[reason]++;
	if (c->has_known && c->known[i])
		add_record(c, i, MBWALK_GONE, 0);
}

static bool is_wanted(const struct mbwalk_chunk *c, unsigned int i, const struct mbwalk_look *look)
{
	if (c->dirty[i / 64] >> (i % 64) & 1)
		return true;
	return c->has_known && (look->cls != c->known[i] || look->flags & MBWALK_PINNED);
}

static void look_at(struct mbwalk_chunk *c, unsigned int i)
{
	struct page *page = mbwalk_online_page(c->first + i);
	struct mbwalk_look look;
	int r;

	if (!page) {
		count(c, i, MBWALK_COUNT_OFFLINE);
		return;
	}
	r = mbwalk_look(page, &look);
	if (r < 0)
		count(c, i, -1 - r);
	else if (look.cls == MBWALK_FREE && !(c->flags & MBWALK_SCAN_FREE))
		count(c, i, MBWALK_COUNT_FREE);
	else if (!is_wanted(c, i, &look))
		c->counts[MBWALK_COUNT_CLEAN]++;
	else
		add_record(c, i, look.cls, look.flags);
}

/* Only what is marked to be hashed is fetched; a prefetch of what is not mapped does nothing. */
static void prefetch_frame(const struct mbwalk_chunk *c, unsigned int i)
{
	const char *at;
	size_t offset;

	if (i >= c->n_records || c->records[i].cls == MBWALK_GONE)
		return;
	at = page_address(pfn_to_page(c->records[i].frame));
	for (offset = 0; offset < PAGE_SIZE; offset += L1_CACHE_BYTES)
		prefetch(at + offset);
}

/* Once more: the first look may be long ago, when this task had to wait in between. */
static int look_again(struct page *page, struct mbwalk_record *record)
{
	struct mbwalk_look now;
	int r = mbwalk_look(page, &now);

	if (r < 0 || now.cls != record->cls)
		record->flags |= MBWALK_UNSTABLE;
	else
		record->flags |= now.flags & MBWALK_UNSTABLE;
	return r;
}

/* What is in the bounce page. Bit i: part i is all zero. */
static u32 hash_parts(const struct mbwalk_chunk *c, u64 *digests)
{
	const size_t bytes = PAGE_SIZE / c->parts;
	unsigned int i;
	u32 zero = 0;

	for (i = 0; i < c->parts; i++) {
		const void *part = c->bounce + i * bytes;

		digests[i] = mbwalk_hash(c->algorithm, part, bytes);
		/* Others have the digest of zeros, too, when it is SuperFastHash's. */
		if (digests[i] == c->zero_digest && !memchr_inv(part, 0, bytes))
			zero |= BIT(i);
	}
	return zero;
}

static u64 *digests_of(const struct mbwalk_chunk *c, unsigned int i)
{
	return c->digests + (size_t)i * c->parts;
}

/* Its digests go to `digests`. False: it has been counted instead, and is gone if the caller knew
 * it. */
static bool hash_frame(struct mbwalk_chunk *c, unsigned int i, u64 *digests)
{
	struct mbwalk_record *record = &c->records[i];
	struct page *page = pfn_to_page(record->frame);
	int r = look_again(page, record);
	u32 zero;

	if (r < 0) {
		c->counts[-1 - r]++;
		return false;
	}
	/* Our own page would pass for a copy of the page before. */
	if (page_address(page) == c->bounce)
		memset(c->bounce, 0, PAGE_SIZE);
	if (mbwalk_read_nofault(c->bounce, page_address(page), PAGE_SIZE) < 0) {
		c->counts[MBWALK_COUNT_UNREADABLE]++;
		return false;
	}
	prefetch_frame(c, i + 1);
	zero = hash_parts(c, digests ? digests : &record->digest);
	if (zero == GENMASK(c->parts - 1, 0))
		record->flags |= MBWALK_ZERO;
	if (digests)
		record->zero_parts = zero;
	look_again(page, record);
	return true;
}

void mbwalk_chunk(struct mbwalk_chunk *c)
{
	unsigned int i, kept = 0;

	c->n_records = 0;
	for (i = 0; i < c->n; i++)
		look_at(c, i);
	prefetch_frame(c, 0);
	for (i = 0; i < c->n_records; i++) {
		struct mbwalk_record *record = &c->records[i];
		u64 *digests = c->digests ? digests_of(c, kept) : NULL;

		if (record->cls != MBWALK_GONE && !hash_frame(c, i, digests)) {
			if (!c->has_known || !c->known[record->frame - c->first])
				continue;
			record->cls = MBWALK_GONE;
			record->flags = 0;
		}
		if (record->cls == MBWALK_GONE && digests)
			memset(digests, 0, c->parts * sizeof(*digests));
		if (kept != i)
			c->records[kept] = *record;
		kept++;
	}
	c->n_records = kept;
}

u64 mbwalk_count_no_ram(u64 first, u64 end, u64 *counts)
{
	/* A gap of terabytes is looked at in 2 MiB steps (finer than that no page structs are
	 * made), and not too many of them at a time. */
	const u64 step = 512, limit = min(end, first + step * 65536);

	while (first < limit) {
		u64 next = min(limit, (first / step + 1) * step);

		counts[pfn_valid(first) ? MBWALK_COUNT_NOT_RAM : MBWALK_COUNT_HOLE] += next - first;
		first = next;
	}
	return first;
}
