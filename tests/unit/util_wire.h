/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Small valid messages, and bytes made by hand as a stranger would make them. */
#ifndef MB_UTIL_WIRE_H
#define MB_UTIL_WIRE_H

#include "proto/base/buf.h"
#include "proto/base/reader.h"
#include "proto/msg.h"
#include "tests/unit/util_test.h"

enum { WIRE_TYPES = 9 };
extern const enum mb_msg_type wire_types[WIRE_TYPES];

/* What the sample Delta starts from and gives. */
void sample_base(struct mb_fingerprint *ret);
void sample_result(struct mb_fingerprint *ret);
/* A valid message with every field set; what it points to is static. */
void sample_msg(enum mb_msg_type type, struct mb_msg *ret);
/* The sample Delta, of passes two of which were audited. */
void sample_audited_msg(struct mb_msg *ret);
/* And the tracker had doubts after both. */
void sample_doubted_msg(struct mb_msg *ret);
/* A Delta that says who dirtied memory. */
void sample_who_msg(struct mb_msg *ret);
/* A Hello, Welcome or Delta about a sample of 1 in 16 of a VM (proto/sample.h). */
void sample_sampled_msg(enum mb_msg_type type, struct mb_msg *ret);
/* The same about digests cut to 16 bits. */
void sample_cut_msg(enum mb_msg_type type, struct mb_msg *ret);
/* A sample, packed to protobuf bytes (appended). */
void sample_raw(enum mb_msg_type type, struct mb_buf *out);

void assert_audit_equal(const struct mb_audit *a, const struct mb_audit *b);
void assert_msg_equal(const struct mb_msg *a, const struct mb_msg *b);

/* A Delta of a guest that swaps. */
void sample_guest_msg(struct mb_msg *ret);

/* One protobuf field each, appended. */
void pb_uint(struct mb_buf *b, uint32_t field, uint64_t v);
void pb_fixed64(struct mb_buf *b, uint32_t field, uint64_t v);
void pb_bytes(struct mb_buf *b, uint32_t field, const void *data, size_t n);
void pb_text(struct mb_buf *b, uint32_t field, const char *text);
/* `inner` as a sub-message; it is released. */
void pb_message(struct mb_buf *b, uint32_t field, struct mb_buf *inner);

/* A frame header that says `raw_bytes`, then the payload as it is. */
void put_frame(struct mb_buf *out, uint32_t raw_bytes, const void *payload, size_t n);
/* `raw` as a zstd frame; content size and checksum as told. */
void put_zstd(struct mb_buf *out, const void *raw, size_t n, bool size, bool checksum);

/* A reader over memory; reset `at` to read again. */
struct memory {
	struct mb_slice data;
	size_t at;
};
struct mb_reader memory_reader(struct memory *m);

#endif
