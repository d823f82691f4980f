/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An uplink and the server it talks to, in one thread: they take turns. */
#ifndef MB_UTIL_UPLINK_H
#define MB_UTIL_UPLINK_H

#include "agent/uplink.h"
#include "proto/base/buf.h"
#include "proto/who.h"
#include "tests/unit/util_test.h"

#define MS 1000000ull

struct scene {
	struct mb_uplink *uplink;
	struct mb_uplink_config config;
	int result; /* of the last mb_uplink_run() */
	struct mb_err err;
	char said[600];
	enum mb_log_level level;
	uint64_t said_ns;
	int n_said, n_warnings, n_acked;
	uint64_t acked_epoch;
	size_t acked_bytes;

	char dir[64], path[100], uri[110];
	int listener, fd;
	int held; /* the agent's end of a serial line, kept from hanging up */
	uint64_t token;
	struct mb_buf in, raw;
	size_t frame_bytes; /* of the last message that came */
	/* What the server holds. */
	struct mb_fingerprint fp;
	uint64_t epoch;
	struct mb_boot boot;
	uint32_t max_frame_bytes;
	uint32_t sample_shift, cut_bits; /* that it agrees to */
};

struct came {
	uint64_t base_epoch, epoch;
	struct mb_pass_info pass;
	struct mb_who who;
	struct mb_sample_of sample;
};

/* What may be changed before mb_uplink_create(): `config`. */
void uplink_prepare(struct scene *s, uint64_t retry_min_ns, uint64_t retry_max_ns);
void uplink_open(struct scene *s, uint64_t retry_min_ns, uint64_t retry_max_ns); /* both */
/* A terminal is the line. */
void uplink_open_serial(struct scene *s);
void uplink_close(struct scene *s);
/* With an epoch that the server has acked. */
void open_with_epoch_acked(struct scene *s);

/* One step of the uplink; it may wait a moment. */
void uplink_turn(struct scene *s);
void must_turn(struct scene *s);
/* By its own decision: the server has not hung up, or has said something before. */
void assert_goes_away(struct scene *s, const char *word);
/* The whole conversation works from here on. */
void assert_works(struct scene *s, uint64_t first);

/* The server's side. */
void start_listening(struct scene *s);
void wait_for_agent(struct scene *s);
void hang_up(struct scene *s);
/* The next message from the agent; mb_msg_deinit() it. */
void receive(struct scene *s, enum mb_msg_type type, struct mb_msg *ret);
void take_hello(struct scene *s);
/* Takes a Delta; `keep`: as a server that has made it durable. */
struct came take_delta(struct scene *s, bool keep);
void server_sends(struct scene *s, const void *data, size_t n);
void send_msg(struct scene *s, const struct mb_msg *msg);
void welcome(struct scene *s);
/* Accepts, takes the Hello, and says what the server holds. */
void greet(struct scene *s);
void ack(struct scene *s);
void refuse(struct scene *s, uint32_t code);

/* The agent has an epoch of digests first .. first + n - 1, what it may know of it besides. */
void offer_with(struct scene *s, uint64_t first, size_t n, const struct mb_audit *audit,
		const struct mb_who *who);
void offer_audited(struct scene *s, uint64_t first, size_t n, const struct mb_audit *audit);
void offer(struct scene *s, uint64_t first, size_t n);

#endif
