/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The messages as plain structs. Only msg.c knows the generated protobuf-c code.
 *
 * Strings and slices of a message that is packed are borrowed from the caller; those of an unpacked
 * one belong to the message and live until mb_msg_deinit(). Unpacking checks what every user would
 * otherwise have to: lengths, ranges, the hash identity, missing parts. FORMAT.md is the norm.
 */
#ifndef MB_MSG_H
#define MB_MSG_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/audit.h"
#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/delta.h"
#include "proto/digest.h"
#include "proto/small.h"

#define MB_PROTOCOL_VERSION 1 /* the newest that this program speaks */
#define MB_PROTOCOL_OLDEST  1
#define MB_BOOT_BYTES	    16
#define MB_NAME_MAX	    128 /* VM and host names, with the closing NUL */

enum mb_msg_type {
	MB_MSG_HELLO = 1,
	MB_MSG_WELCOME,
	MB_MSG_DELTA,
	MB_MSG_ACK,
	MB_MSG_RESYNC,
	MB_MSG_REFUSAL,
	MB_MSG_TRACE_HEADER = 16,
	MB_MSG_TRACE_PAGES,
	MB_MSG_TRACE_EPOCH,
};

/* Why the server will not talk on; numbers are part of the format. */
enum mb_refusal {
	MB_REFUSED_VERSION = 1,	 /* no protocol version in common */
	MB_REFUSED_IDENTITY = 2, /* another hash identity or key than the trust domain's */
	MB_REFUSED_BUSY = 3,	 /* another agent is connected for this VM; try later */
	MB_REFUSED_MESSAGE = 4,	 /* a frame or message that is not understood */
	MB_REFUSED_SERVER = 5,	 /* the server cannot keep it (disk full ...); try later */
	MB_REFUSED_RIGHT = 6,	 /* the agent's certificate does not give it this VM */
};

/* Identifies one numbering of epochs: made anew by every agent that opens a source. */
struct mb_boot {
	uint8_t id[MB_BOOT_BYTES];
};

struct mb_hello {
	uint32_t version; /* the oldest that the agent speaks, and of this message */
	const char *agent;
	const char *vm;
	const char *host; /* "" when the agent does not know */
	struct mb_boot boot;
	struct mb_identity identity;
	uint64_t memory_bytes;
	const char *source;
	uint32_t newest_version; /* that it speaks; 0: `version`, and never below that unpacked */
	/* Offers to send a sample (sample.h), or cut digests (cut.h), not both; 0: all. */
	uint32_t sample_shift, cut_bits;
};

struct mb_welcome {
	uint32_t version; /* that is spoken from now on */
	const char *server;
	struct mb_boot boot; /* of what the server holds; all zero when it holds nothing */
	uint64_t epoch;
	struct mb_fingerprint_id fingerprint;
	uint32_t max_frame_bytes;	 /* largest raw length it takes */
	uint32_t sample_shift, cut_bits; /* as offered, or 0: all is to be sent */
};

/* How the epoch was taken; sums over the passes since the base epoch, but for what is dated. */
/* How short of memory the guest itself is, as its kernel says. */
struct mb_guest {
	bool known;
	uint64_t available_bytes, free_bytes;
	uint64_t swapped_bytes; /* in and out, within ... */
	uint64_t swapped_ns;	/* 0: not known */
	bool has_stalls;	/* its kernel counts them (PSI) */
	/* Of the last minute, in hundredths of a percent: some task, all tasks waited for memory.
	 */
	uint32_t some_per_myriad, full_per_myriad;
};

struct mb_pass_info {
	uint64_t taken_unix_ns;
	uint64_t duration_ns, cpu_ns;
	uint64_t pages_read;	/* hashed in this pass */
	uint64_t pages_changed; /* whose digest changed since the pass before: churn */
	uint64_t pages_unread;	/* present, but could not be read */
	uint32_t epochs;	/* passes that the delta sums up */
	bool full;		/* full walk, not an incremental pass */
	const char *tracker;
	struct mb_audit audit;
	struct mb_slice who; /* who.h, encoded; empty: not counted */
	struct mb_guest guest;
};

struct mb_delta_msg {
	uint64_t base_epoch, epoch; /* base 0: from the empty fingerprint */
	struct mb_pass_info pass;
	struct mb_delta_fields fields;
	struct mb_sample_of sample; /* how the result was made smaller, and what of (small.h) */
};

struct mb_ack {
	uint64_t epoch;
	struct mb_fingerprint_id fingerprint;
};

struct mb_refusal_msg {
	uint32_t code;
	const char *reason;
	uint32_t retry_after_ms; /* 0: whenever the agent likes */
};

struct mb_trace_header {
	uint32_t version;
	const char *agent;
	const char *vm;
	const char *source;
	struct mb_boot boot;
	struct mb_identity identity;
	uint64_t memory_bytes;
	bool stable_frames; /* a frame number names the same place in every epoch */
};

struct mb_trace_pages {
	uint32_t n_pages;
	struct mb_slice frames, classes, flags, digests;
};

struct mb_trace_epoch {
	uint64_t epoch;
	struct mb_pass_info pass;
	struct mb_fingerprint_id fingerprint;
};

struct mb_msg {
	enum mb_msg_type type;
	union {
		struct mb_hello hello;
		struct mb_welcome welcome;
		struct mb_delta_msg delta;
		struct mb_ack ack;
		const char *resync_reason;
		struct mb_refusal_msg refusal;
		struct mb_trace_header trace_header;
		struct mb_trace_pages trace_pages;
		struct mb_trace_epoch trace_epoch;
	};
	void *unpacked; /* what an unpacked message's pointers point into */
};

/* Appends the protobuf bytes. */
int mb_msg_pack(const struct mb_msg *msg, struct mb_buf *out, struct mb_err *err);
/* -EBADMSG names the field. `raw` is copied. Memory is bounded by a small multiple of raw.len. */
int mb_msg_unpack(struct mb_slice raw, struct mb_msg *ret, struct mb_err *err);
void mb_msg_deinit(struct mb_msg *msg);
const char *mb_msg_type_name(enum mb_msg_type type);

/* The newest version that is in both ranges (both ends included); 0: there is none. */
uint32_t mb_version_common(uint32_t oldest, uint32_t newest, uint32_t our_oldest,
			   uint32_t our_newest);

/* The flags that its frame must have (frame.h). */
uint8_t mb_msg_must_understand(const struct mb_msg *msg);
/* Message to frame and back, in one go. */
int mb_msg_to_frame(const struct mb_msg *msg, struct mb_buf *out, struct mb_err *err);

/*
 * A VM or host name: 1 to 127 printable ASCII bytes without spaces. `what` names it in the error.
 */
int mb_name_check(const char *name, const char *what, struct mb_err *err);

#endif
