/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which frames to read: a bitmap over [first, first + n). Frames outside it are in the set too:
 * what nobody vouches for is read again (a false dirty is allowed, a missed dirty is not).
 */
#ifndef MB_FRAME_SET_H
#define MB_FRAME_SET_H

#include <stdbool.h>
#include <stdint.h>

struct mb_frame_set {
	uint64_t *words; /* bit i of the bitmap is frame first + i; owned */
	uint64_t first, n;
	/*
	 * [n]: the class that frame first + i had at the last epoch (enum mb_page_class), 0: it was
	 * not there. NULL: not said. Owned.
	 */
	uint8_t *known;
};

static inline void mb_frame_set_add(struct mb_frame_set *s, uint64_t frame)
{
	uint64_t i = frame - s->first;

	if (frame >= s->first && i < s->n)
		s->words[i / 64] |= 1ull << (i % 64);
}

/* One that the bitmap tells of, and that is in it. */
static inline bool mb_frame_set_marks(const struct mb_frame_set *s, uint64_t frame)
{
	uint64_t i = frame - s->first;

	return frame >= s->first && i < s->n && s->words[i / 64] >> (i % 64) & 1;
}

/* NULL is the set of all frames. */
static inline bool mb_frame_set_has(const struct mb_frame_set *s, uint64_t frame)
{
	uint64_t i;

	if (!s || frame < s->first || frame - s->first >= s->n)
		return true;
	i = frame - s->first;
	return s->words[i / 64] >> (i % 64) & 1;
}

#endif
