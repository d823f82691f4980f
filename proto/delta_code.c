// SPDX-License-Identifier: GPL-2.0-or-later
/* The delta's byte fields; FORMAT.md, "Delta", is the norm. */
#include <inttypes.h>

#include "proto/delta.h"
#include "proto/planes.h"

enum { REMOVED_RANKS = 0, REMOVED_BITMAP = 1 };

/* From one removed digest in five on, a bit per digest of the base is shorter than a rank each. */
static bool bitmap_is_shorter(uint32_t n_removed, uint32_t base_distinct)
{
	return (uint64_t)n_removed * 5 >= base_distinct;
}

static void put_gap(struct mb_buf *b, uint32_t value, uint32_t *next)
{
	mb_buf_put_varint(b, value - *next);
	*next = value + 1;
}

/* A rank in [*next, end), coded as its distance from *next. */
static bool get_gap(struct mb_slice *s, uint32_t end, uint32_t *next, uint32_t *ret)
{
	uint64_t gap;

	if (!mb_slice_get_varint(s, &gap) || *next >= end || gap >= end - *next)
		return false;
	*ret = *next + (uint32_t)gap;
	*next = *ret + 1;
	return true;
}

/* All ranks, then all copies (less `min`): each kind compresses better among its own. */
static void put_copies(struct mb_buf *b, const struct mb_copies *c, uint32_t n, uint32_t min)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < n; i++)
		put_gap(b, c[i].rank, &next);
	for (uint32_t i = 0; i < n; i++)
		mb_buf_put_varint(b, c[i].copies - min);
}

static bool get_copies(struct mb_slice s, uint32_t end, struct mb_copies *ret, uint32_t n,
		       uint32_t min)
{
	uint32_t next = 0;

	for (uint32_t i = 0; i < n; i++)
		if (!get_gap(&s, end, &next, &ret[i].rank))
			return false;
	for (uint32_t i = 0; i < n; i++) {
		uint64_t v;

		if (!mb_slice_get_varint(&s, &v) || v > UINT32_MAX - min)
			return false;
		ret[i].copies = (uint32_t)v + min;
	}
	return s.len == 0;
}

static void put_removed(const struct mb_delta *d, struct mb_buf *buf)
{
	uint32_t next = 0;
	uint8_t *bitmap;
	size_t bytes;

	if (!d->n_removed)
		return;
	if (!bitmap_is_shorter(d->n_removed, d->base.distinct)) {
		mb_buf_put_u8(buf, REMOVED_RANKS);
		for (uint32_t i = 0; i < d->n_removed; i++)
			put_gap(buf, d->removed[i], &next);
		return;
	}
	mb_buf_put_u8(buf, REMOVED_BITMAP);
	bytes = ((size_t)d->base.distinct + 7) / 8;
	bitmap = mb_buf_reserve(buf, bytes);
	if (!bitmap)
		return;
	memset(bitmap, 0, bytes);
	for (uint32_t i = 0; i < d->n_removed; i++)
		bitmap[d->removed[i] / 8] |= (uint8_t)(1 << d->removed[i] % 8);
	buf->len += bytes;
}

int mb_delta_encode(const struct mb_delta *d, uint32_t bits, struct mb_buf *buf,
		    struct mb_delta_fields *ret, struct mb_err *err)
{
	size_t ends[4];
	int r;

	*ret = (struct mb_delta_fields){ 0 };
	mb_buf_clear(buf);
	/* The fields of an empty delta point somewhere, too. */
	mb_buf_reserve(buf, 1);
	mb_planes_encode(d->added, d->n_added, bits, buf);
	ends[0] = buf->len;
	/*
	 * The number of entries stands first: unlike the others it is in no field of the message.
	 */
	if (d->n_added_multi) {
		mb_buf_put_varint(buf, d->n_added_multi);
		put_copies(buf, d->added_multi, d->n_added_multi, 2);
	}
	ends[1] = buf->len;
	put_removed(d, buf);
	ends[2] = buf->len;
	put_copies(buf, d->changed, d->n_changed, 1);
	ends[3] = buf->len;
	r = mb_buf_check(buf, "an encoded delta", err);
	if (r < 0)
		return r;
	*ret = (struct mb_delta_fields){
		.base = d->base,
		.result = d->result,
		.n_added = d->n_added,
		.n_removed = d->n_removed,
		.n_changed = d->n_changed,
		.added = { buf->data, ends[0] },
		.added_copies = { buf->data + ends[0], ends[1] - ends[0] },
		.removed = { buf->data + ends[1], ends[2] - ends[1] },
		.changed = { buf->data + ends[2], ends[3] - ends[2] },
	};
	return 0;
}

static int get_removed(const struct mb_delta_fields *f, uint32_t *ret, struct mb_err *err)
{
	struct mb_slice s = f->removed;
	uint32_t next = 0, n = 0;
	uint8_t mode;

	if (!f->n_removed)
		return s.len ? mb_fail(err, EBADMSG, "field removed: bytes for no rank") : 0;
	if (!mb_slice_get_u8(&s, &mode))
		return mb_fail(err, EBADMSG, "field removed: empty");
	if (mode == REMOVED_RANKS) {
		for (uint32_t i = 0; i < f->n_removed; i++)
			if (!get_gap(&s, f->base.distinct, &next, &ret[i]))
				return mb_fail(err, EBADMSG,
					       "field removed: bad rank at entry %" PRIu32, i);
		if (s.len)
			return mb_fail(err, EBADMSG, "field removed: %zu bytes too many", s.len);
		return 0;
	}
	if (mode != REMOVED_BITMAP)
		return mb_fail(err, EBADMSG, "field removed: unknown mode %u", mode);
	if (s.len != ((uint64_t)f->base.distinct + 7) / 8)
		return mb_fail(err, EBADMSG,
			       "field removed: bitmap of %zu bytes for %" PRIu32 " digests", s.len,
			       f->base.distinct);
	for (size_t i = 0; i < s.len; i++) {
		for (unsigned int v = s.data[i]; v; v &= v - 1) {
			uint64_t rank = 8 * (uint64_t)i + (unsigned int)__builtin_ctz(v);

			if (rank >= f->base.distinct || n == f->n_removed)
				return mb_fail(err, EBADMSG,
					       "field removed: bitmap and count disagree");
			ret[n++] = (uint32_t)rank;
		}
	}
	return n == f->n_removed ?
		       0 :
		       mb_fail(err, EBADMSG, "field removed: bitmap and count disagree");
}

/* Every count is held against the bytes that must carry it before anything is allocated. */
static int check_counts(const struct mb_delta_fields *f, uint32_t bits, uint64_t n_multi,
			struct mb_err *err)
{
	uint32_t min_planes = (bits + 7) / 8;
	/* A rank takes a byte, in a bitmap a bit. */
	bool bitmap = f->removed.len && f->removed.data[0] == REMOVED_BITMAP;
	uint64_t max_removed = f->removed.len * (bitmap ? 8 : 1);

	if ((uint64_t)f->n_added * min_planes > f->added.len)
		return mb_fail(err, EBADMSG, "field added: %zu bytes for %" PRIu32 " digests",
			       f->added.len, f->n_added);
	if (n_multi > f->n_added || n_multi * 2 > f->added_copies.len)
		return mb_fail(err, EBADMSG,
			       "field added_copies: %zu bytes for %" PRIu64 " entries",
			       f->added_copies.len, n_multi);
	if (f->n_removed > f->base.distinct || f->n_removed > max_removed)
		return mb_fail(err, EBADMSG, "field removed: %zu bytes for %" PRIu32 " ranks",
			       f->removed.len, f->n_removed);
	if (f->n_changed > f->base.distinct || (uint64_t)f->n_changed * 2 > f->changed.len)
		return mb_fail(err, EBADMSG, "field changed: %zu bytes for %" PRIu32 " entries",
			       f->changed.len, f->n_changed);
	return 0;
}

int mb_delta_decode(const struct mb_delta_fields *f, uint32_t bits, struct mb_delta *ret,
		    struct mb_err *err)
{
	struct mb_slice multi = f->added_copies;
	uint64_t n_multi = 0;
	int r;

	*ret = (struct mb_delta){ 0 };
	if (multi.len && (!mb_slice_get_varint(&multi, &n_multi) || !n_multi))
		return mb_fail(err, EBADMSG, "field added_copies: no count");
	r = check_counts(f, bits, n_multi, err);
	if (r < 0)
		return r;
	r = mb_delta_init(ret, f->n_added, n_multi, f->n_removed, f->n_changed, err);
	if (r < 0)
		return r;
	ret->base = f->base;
	ret->result = f->result;
	ret->n_added = f->n_added;
	ret->n_added_multi = (uint32_t)n_multi;
	ret->n_removed = f->n_removed;
	ret->n_changed = f->n_changed;

	r = mb_planes_decode(f->added, f->n_added, bits, ret->added, err);
	if (r < 0) {
		mb_fail_in(err, r, "field added");
		goto failed;
	}
	if (!get_copies(multi, f->n_added, ret->added_multi, ret->n_added_multi, 2)) {
		r = mb_fail(err, EBADMSG, "field added_copies: not %" PRIu64 " entries", n_multi);
		goto failed;
	}
	r = get_removed(f, ret->removed, err);
	if (r < 0)
		goto failed;
	if (!get_copies(f->changed, f->base.distinct, ret->changed, f->n_changed, 1)) {
		r = mb_fail(err, EBADMSG, "field changed: not %" PRIu32 " entries", f->n_changed);
		goto failed;
	}
	return 0;
failed:
	mb_delta_deinit(ret);
	return r;
}
