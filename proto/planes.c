// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/planes.h"

#include <inttypes.h>

#include "proto/digest.h"

/* One plane: `width` <= 8 bits of every gap, from bit `low` up. */
struct plane {
	uint32_t low, width;
};

/* Fills planes[]; returns how many. At most 9: a split inside a byte makes one more. */
static uint32_t layout(uint32_t bits, uint32_t shift, struct plane planes[9])
{
	uint32_t n = 0;

	for (uint32_t low = 0, width; low < bits; low += width) {
		uint32_t end = low < shift ? shift : bits;

		width = end - low < 8 ? end - low : 8;
		planes[n++] = (struct plane){ low, width };
	}
	return n;
}

/* Three bits below the mean gap: the upper part then has few values, and most fit one byte. */
static uint32_t choose_shift(uint64_t span, uint32_t n)
{
	uint64_t mean = span / n;
	uint32_t log2 = mean ? 63 - (uint32_t)__builtin_clzll(mean) : 0;

	return log2 > 3 ? log2 - 3 : 0;
}

void mb_planes_encode(const uint64_t *digests, uint32_t n, uint32_t bits, struct mb_buf *out)
{
	struct plane planes[9];
	uint32_t shift, n_planes;
	uint8_t *to;

	if (!n)
		return;
	shift = choose_shift(digests[n - 1], n);
	n_planes = layout(bits, shift, planes);
	mb_buf_put_u8(out, (uint8_t)shift);
	to = mb_buf_reserve(out, (size_t)n * n_planes);
	if (!to)
		return;
	for (uint32_t p = 0; p < n_planes; p++) {
		uint64_t previous = 0, mask = ((uint64_t)1 << planes[p].width) - 1;

		for (uint32_t i = 0; i < n; i++) {
			*to++ = (uint8_t)((digests[i] - previous) >> planes[p].low & mask);
			previous = digests[i];
		}
	}
	out->len += (size_t)n * n_planes;
}

int mb_planes_decode(struct mb_slice in, uint32_t n, uint32_t bits, uint64_t *ret_digests,
		     struct mb_err *err)
{
	uint64_t previous = 0, max = mb_digest_max(bits);
	struct plane planes[9];
	uint32_t n_planes;
	const uint8_t *from;

	if (!n)
		return in.len ? mb_fail(err, EBADMSG, "%zu bytes for no digest", in.len) : 0;
	if (!in.len || in.data[0] > bits)
		return mb_fail(err, EBADMSG, "split at bit %d of %" PRIu32,
			       in.len ? in.data[0] : -1, bits);
	n_planes = layout(bits, in.data[0], planes);
	if (in.len != 1 + (uint64_t)n * n_planes)
		return mb_fail(err, EBADMSG, "%zu bytes, but %" PRIu32 " digests take %" PRIu64,
			       in.len, n, 1 + (uint64_t)n * n_planes);
	from = in.data + 1;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t gap = 0;

		for (uint32_t p = 0; p < n_planes; p++) {
			uint64_t part = from[(size_t)p * n + i];

			if (part >> planes[p].width)
				return mb_fail(err, EBADMSG,
					       "digest %" PRIu32 ": bits outside its plane", i);
			gap |= part << planes[p].low;
		}
		if ((i && !gap) || gap > max - previous)
			return mb_fail(err, EBADMSG,
				       "digest %" PRIu32 " is not above the one before", i);
		previous += gap;
		ret_digests[i] = previous;
	}
	return 0;
}
