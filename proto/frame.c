// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/frame.h"

#include <inttypes.h>
#include <zstd.h>

#include "proto/base/cleanup.h"

static const uint8_t magic[4] = { 'M', 'B', 'F', '1' };

enum {
	ZSTD_LEVEL = 1,
	/*
	 * One zstd block at most: a message is a row of fields and byte planes of very different
	 * entropy, and blocks of 128 KiB would code several of them with one table.
	 */
	PIECE_BYTES = 8192,
	ZSTD_CHECKSUM_FLAG = 1 << 2, /* in the frame header descriptor, RFC 8878 3.1.1.1.1 */
};

static void free_cctx(ZSTD_CCtx **c)
{
	ZSTD_freeCCtx(*c);
}

/* `raw` as one zstd frame at `to`; returns its length or a zstd error code. */
static size_t compress(ZSTD_CCtx *ctx, struct mb_slice raw, uint8_t *to, size_t room)
{
	ZSTD_outBuffer out = { to, room, 0 };
	ZSTD_inBuffer in = { raw.data, 0, 0 };
	size_t left;

	ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, ZSTD_LEVEL);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
	left = ZSTD_CCtx_setPledgedSrcSize(ctx, raw.len);
	do {
		if (ZSTD_isError(left))
			return left;
		in.size = MB_MIN(in.pos + PIECE_BYTES, raw.len);
		left = ZSTD_compressStream2(ctx, &out, &in,
					    in.size == raw.len ? ZSTD_e_end : ZSTD_e_flush);
	} while (in.pos < raw.len || left);
	return out.pos;
}

/* Room for it, with the flushes: a header of 3 bytes a piece beyond zstd's own bound. */
static size_t compress_bound(size_t raw_bytes)
{
	return ZSTD_compressBound(raw_bytes) + 8 * (raw_bytes / PIECE_BYTES + 1);
}

int mb_frame_encode_flags(struct mb_slice raw, uint8_t must_understand, struct mb_buf *out,
			  struct mb_err *err)
{
	mb_cleanup(free_cctx) ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t bound, n;
	uint8_t *to;

	if (raw.len > MB_FRAME_RAW_MAX)
		return mb_fail(err, EMSGSIZE, "message of %zu bytes; a frame holds %u", raw.len,
			       MB_FRAME_RAW_MAX);
	bound = compress_bound(raw.len);
	to = mb_buf_reserve(out, MB_FRAME_HEADER_BYTES + bound);
	if (!to || !ctx)
		return mb_fail_mem(err, "a frame");
	n = compress(ctx, raw, to + MB_FRAME_HEADER_BYTES, bound);
	if (ZSTD_isError(n))
		return mb_fail(err, EIO, "zstd: %s", ZSTD_getErrorName(n));
	memcpy(to, magic, sizeof(magic));
	to[4] = MB_FRAME_VERSION;
	to[5] = must_understand;
	to[6] = to[7] = 0;
	mb_put_le32(to + 8, (uint32_t)n);
	mb_put_le32(to + 12, (uint32_t)raw.len);
	out->len += MB_FRAME_HEADER_BYTES + n;
	return 0;
}

int mb_frame_encode(struct mb_slice raw, struct mb_buf *out, struct mb_err *err)
{
	return mb_frame_encode_flags(raw, 0, out, err);
}

int mb_frame_header_decode(const uint8_t data[MB_FRAME_HEADER_BYTES], uint32_t raw_max,
			   struct mb_frame_header *ret, struct mb_err *err)
{
	if (memcmp(data, magic, sizeof(magic)) != 0)
		return mb_fail(err, EBADMSG,
			       "not a Memory Buddies frame: starts with %02x %02x %02x %02x",
			       data[0], data[1], data[2], data[3]);
	if (data[4] != MB_FRAME_VERSION)
		return mb_fail(err, EPROTONOSUPPORT, "frame version %u; this program knows %u",
			       data[4], MB_FRAME_VERSION);
	if (data[5] & ~MB_FRAME_FLAGS)
		return mb_fail(err, EPROTONOSUPPORT,
			       "frame has unknown must-understand flags 0x%02x",
			       data[5] & ~MB_FRAME_FLAGS);
	ret->payload_bytes = mb_get_le32(data + 8);
	ret->raw_bytes = mb_get_le32(data + 12);
	if (ret->raw_bytes > raw_max)
		return mb_fail(err, EMSGSIZE,
			       "frame of %" PRIu32 " bytes; at most %" PRIu32 " are taken",
			       ret->raw_bytes, raw_max);
	/* Incompressible input grows a little; a payload longer than that is no frame of ours. */
	if (ret->payload_bytes > compress_bound(ret->raw_bytes))
		return mb_fail(err, EMSGSIZE,
			       "frame payload of %" PRIu32 " bytes for %" PRIu32 " raw bytes",
			       ret->payload_bytes, ret->raw_bytes);
	return 0;
}

/* One zstd frame that says its size and has a checksum, and nothing before or after it. */
static int check_payload(const struct mb_frame_header *h, struct mb_slice payload,
			 struct mb_err *err)
{
	size_t n = ZSTD_findFrameCompressedSize(payload.data, payload.len);

	/* zstd's own functions take its skippable frames for empty ones. */
	if (payload.len < 5 || mb_get_le32(payload.data) != ZSTD_MAGICNUMBER)
		return mb_fail(err, EBADMSG, "frame payload is no zstd frame");
	if (ZSTD_getFrameContentSize(payload.data, payload.len) != h->raw_bytes)
		return mb_fail(err, EBADMSG,
			       "frame says %" PRIu32 " raw bytes, its zstd header does not",
			       h->raw_bytes);
	if (ZSTD_isError(n))
		return mb_fail(err, EBADMSG, "zstd: %s", ZSTD_getErrorName(n));
	if (n != payload.len)
		return mb_fail(err, EBADMSG, "%zu bytes after the zstd frame", payload.len - n);
	if (!(payload.data[4] & ZSTD_CHECKSUM_FLAG))
		return mb_fail(err, EBADMSG, "zstd frame without a checksum");
	return 0;
}

int mb_frame_decode(const struct mb_frame_header *h, struct mb_slice payload, struct mb_buf *raw,
		    struct mb_err *err)
{
	uint8_t *to;
	size_t n;
	int r;

	mb_buf_clear(raw);
	r = check_payload(h, payload, err);
	if (r < 0)
		return r;
	to = mb_buf_reserve(raw, h->raw_bytes);
	if (!to)
		return mb_fail_mem(err, "a frame");
	n = ZSTD_decompress(to, h->raw_bytes, payload.data, payload.len);
	if (ZSTD_isError(n))
		return mb_fail(err, EBADMSG, "zstd: %s", ZSTD_getErrorName(n));
	if (n != h->raw_bytes)
		return mb_fail(err, EBADMSG, "frame gave %zu raw bytes of %" PRIu32, n,
			       h->raw_bytes);
	raw->len = n;
	return 0;
}

int mb_frame_take(struct mb_slice *in, uint32_t raw_max, struct mb_buf *raw, struct mb_err *err)
{
	struct mb_frame_header h;
	int r;

	if (in->len < MB_FRAME_HEADER_BYTES)
		return mb_fail(err, ENODATA, "ends inside a frame header (%zu of %d bytes)",
			       in->len, MB_FRAME_HEADER_BYTES);
	r = mb_frame_header_decode(in->data, raw_max, &h, err);
	if (r < 0)
		return r;
	if (in->len - MB_FRAME_HEADER_BYTES < h.payload_bytes)
		return mb_fail(err, ENODATA,
			       "ends inside a frame (%zu of %" PRIu32 " payload bytes)",
			       in->len - MB_FRAME_HEADER_BYTES, h.payload_bytes);
	r = mb_frame_decode(&h,
			    (struct mb_slice){ in->data + MB_FRAME_HEADER_BYTES, h.payload_bytes },
			    raw, err);
	if (r < 0)
		return r;
	in->data += MB_FRAME_HEADER_BYTES + h.payload_bytes;
	in->len -= MB_FRAME_HEADER_BYTES + h.payload_bytes;
	return 0;
}
