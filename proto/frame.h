/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A frame: one message on the wire, in a trace file, in the server's store.
 *
 *	0       4   5   6   7   8             12          16
 *	| magic | v | M | m | 0 | payload len | raw len   | payload ...
 *
 * The payload is one zstd frame with a content checksum, raw is what it decompresses to. Both
 * lengths are held against a cap before anything is allocated. FORMAT.md is the norm.
 */
#ifndef MB_FRAME_H
#define MB_FRAME_H

#include <stdint.h>

#include "proto/base/buf.h"
#include "proto/base/err.h"

#define MB_FRAME_HEADER_BYTES 16
#define MB_FRAME_VERSION      1
/* Largest raw length anyone accepts: a snapshot of about 40 million distinct pages. */
#define MB_FRAME_RAW_MAX (256u << 20)

/* Must-understand flags; 0x01 stays unknown for good. */
enum {
	MB_FRAME_SAMPLE = 0x02, /* a Delta of a sample: not of all that the VM has */
	MB_FRAME_CUT = 0x04,	/* a Delta of cut digests */
	MB_FRAME_FLAGS = MB_FRAME_SAMPLE | MB_FRAME_CUT
};

struct mb_frame_header {
	uint32_t payload_bytes, raw_bytes;
};

/* Appends a whole frame to `out`. -EMSGSIZE above MB_FRAME_RAW_MAX. */
int mb_frame_encode(struct mb_slice raw, struct mb_buf *out, struct mb_err *err);
/* The same with must-understand flags. */
int mb_frame_encode_flags(struct mb_slice raw, uint8_t must_understand, struct mb_buf *out,
			  struct mb_err *err);
/*
 * Reads the 16 bytes at `data`. -EBADMSG for another magic, -EPROTONOSUPPORT for a version or a
 * must-understand flag that is not known, -EMSGSIZE above `raw_max`.
 */
int mb_frame_header_decode(const uint8_t data[MB_FRAME_HEADER_BYTES], uint32_t raw_max,
			   struct mb_frame_header *ret, struct mb_err *err);
/* Decompresses `payload` (h->payload_bytes long) to `raw` (cleared first). -EBADMSG. */
int mb_frame_decode(const struct mb_frame_header *h, struct mb_slice payload, struct mb_buf *raw,
		    struct mb_err *err);

/* Takes one whole frame off the front of `in`; -ENODATA when `in` ends inside it. */
int mb_frame_take(struct mb_slice *in, uint32_t raw_max, struct mb_buf *raw, struct mb_err *err);

#endif
