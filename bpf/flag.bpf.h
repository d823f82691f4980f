/* SPDX-License-Identifier: GPL-2.0 */
/* Flags frames as dirty; tells how many of them were not flagged before. */
#ifndef MB_FLAG_BPF_H
#define MB_FLAG_BPF_H

#include "bpf/compat.bpf.h"
#include "bpf/dirty.h"

const volatile struct mb_dirty_config mb_config SEC(MB_CONFIG_MAP) = { 0 };
struct mb_dirty_counters mb_counters SEC(MB_COUNTERS_MAP) = { 0 };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1); /* the agent sets it */
	__type(key, u32);
	__type(value, u64);
} mb_dirty SEC(".maps");

static __always_inline void mb_lost(enum mb_dirty_lost reason)
{
	__sync_fetch_and_add(&mb_counters.lost[reason], 1);
}

static __always_inline u32 mb_popcount(u64 x)
{
	x -= x >> 1 & 0x5555555555555555ull;
	x = (x & 0x3333333333333333ull) + (x >> 2 & 0x3333333333333333ull);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return x * 0x0101010101010101ull >> 56;
}

#ifdef MB_BYTES

/* Before 5.12 there is no atomic OR: a store of a byte cannot take away another frame's flag. */
enum { MB_WORD_FRAMES = 8 };

static __always_inline u32 mb_flag_whole(u64 *word)
{
	u64 was = *(volatile u64 *)word;

	*(volatile u64 *)word = 0x0101010101010101ull;
	return MB_WORD_FRAMES - mb_popcount(was);
}

static __always_inline u32 mb_flag_part(u64 *word, u32 from, u32 n)
{
	u64 was = *(volatile u64 *)word >> 8 * from;
	u8 *bytes = (u8 *)word;

	if (n == 1) {
		*(volatile u8 *)(bytes + (from & 7)) = 1;
		return !(was & 1);
	}
	if (n == 2) {
		*(volatile u16 *)(bytes + (from & 6)) = 0x0101;
		return 2 - mb_popcount(was & 0x0101);
	}
	*(volatile u32 *)(bytes + (from & 4)) = 0x01010101;
	return 4 - mb_popcount(was & 0x01010101);
}

#else

enum { MB_WORD_FRAMES = 64 };

/* Most of what is written to again is flagged: to look costs less than to write. */
static __always_inline u32 mb_flag_mask(u64 *word, u64 mask)
{
	if ((*(volatile u64 *)word & mask) == mask)
		return 0;
	return mb_popcount(mask & ~__sync_fetch_and_or(word, mask));
}

static __always_inline u32 mb_flag_one(u64 *word, u32 at)
{
	u64 mask = 1ull << (at & 63);

	if (*(volatile u64 *)word & mask)
		return 0;
	return !(__sync_fetch_and_or(word, mask) & mask);
}

static __always_inline u32 mb_flag_whole(u64 *word)
{
	return mb_flag_mask(word, ~0ull);
}

static __always_inline u32 mb_flag_part(u64 *word, u32 from, u32 n)
{
	if (n == 1)
		return mb_flag_one(word, from);
	return mb_flag_mask(word, ((1ull << (n & 63)) - 1) << (from & 63));
}

#endif

static __always_inline bool mb_is_flagged(u64 frame)
{
	u32 key = frame / MB_WORD_FRAMES;
	u64 *word = frame < mb_config.n_frames ? bpf_map_lookup_elem(&mb_dirty, &key) : NULL;

	return word && *(volatile u64 *)word >> frame % MB_WORD_FRAMES * (64 / MB_WORD_FRAMES) & 1;
}

/*
 * Frames [frame, frame + n): n = 2^k, at most 1 << MB_MAX_ORDER, frame a multiple of it, as the
 * page allocator has them.
 */
static __always_inline u32 mb_flag(u64 frame, u32 n)
{
	u32 fresh = 0, key = frame / MB_WORD_FRAMES;
	u64 *word;

	if (frame >= mb_config.n_frames) {
		__sync_fetch_and_add(&mb_counters.outside, n);
		return 0;
	}
	if (n < MB_WORD_FRAMES) {
		word = bpf_map_lookup_elem(&mb_dirty, &key);
		return word ? mb_flag_part(word, frame % MB_WORD_FRAMES, n) : 0;
	}
	for (u32 i = 0; i < (1 << MB_MAX_ORDER) / MB_WORD_FRAMES; i++, key++) {
		if (i * MB_WORD_FRAMES >= n)
			break;
		word = bpf_map_lookup_elem(&mb_dirty, &key);
		if (!word)
			break;
		fresh += mb_flag_whole(word);
	}
	return fresh;
}

/* The frame of a struct page; one that is not there where the address is no page's. */
static __always_inline u64 mb_frame(u64 page)
{
	u64 at = page - mb_config.vmemmap_base;

	if (page < mb_config.vmemmap_base) {
		mb_lost(MB_LOST_PAGE);
		return ~0ull;
	}
	/* Nearly always; and the kernel drops the other way, since it knows the constant. */
	if (mb_config.struct_page_bytes == 64)
		return at >> 6;
	return at / mb_config.struct_page_bytes;
}

static __always_inline u64 mb_page(u64 frame)
{
	return mb_config.vmemmap_base + frame * mb_config.struct_page_bytes;
}

/* The pages of a compound that begins at `head`, a number as `page`; one if there is none. */
static __always_inline u32 mb_n_pages(bool typed, u64 head, u64 page)
{
	u32 order = mb_is_head(typed, head) ? mb_order(page, mb_config.struct_page_bytes) : 0;

	return 1u << (order > MB_MAX_ORDER ? MB_MAX_ORDER : order);
}

#endif
