// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The frames in tests/golden/: good ones must be read, bad ones refused, by this version and all
 * later ones. Files that are missing are made with MB_GOLDEN_WRITE=1 in the environment; those that
 * are there are the format, and are never made again.
 */
#include "tests/unit/util_wire.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/frame.h"
#include "proto/trace.h"

static const char dir[] = "tests/golden";

/* --- the whole way of one frame --------------------------------------------------------------- */

/* A Delta all the way to the fingerprint; any other message to its struct. */
static int read_message(struct mb_slice bytes, struct mb_buf *raw, struct mb_msg *ret,
			struct mb_err *err)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint base = { 0 }, got = { 0 };
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	int r = mb_frame_take(&bytes, 1 << 20, raw, err);

	if (r < 0)
		return r;
	if (bytes.len)
		return mb_fail(err, EBADMSG, "more than one frame");
	r = mb_msg_unpack(mb_buf_slice(raw), ret, err);
	if (r < 0 || ret->type != MB_MSG_DELTA)
		return r;
	if (ret->delta.base_epoch)
		sample_base(&base);
	r = mb_delta_decode(&ret->delta.fields, mb_small_bits(&ret->delta.sample, 64), &d, err);
	if (r == 0)
		r = mb_delta_apply(&base, &d, &got, err);
	return r;
}

static int read_trace(struct mb_slice bytes, struct mb_err *err)
{
	struct memory m = { .data = bytes };
	struct mb_reader reader = memory_reader(&m);
	struct mb_trace_epoch epoch;
	const struct mb_page *pages;
	struct mb_trace *t;
	size_t n;
	int r = mb_trace_open(&reader, &t, err);

	if (r < 0)
		return r;
	do
		r = mb_trace_next(t, &pages, &n, &epoch, err);
	while (r == 0);
	mb_trace_close(t);
	return r == -ENODATA ? 0 : r;
}

/* --- how each is made ------------------------------------------------------------------------- */

static void frame_of(const struct mb_buf *raw, struct mb_buf *out)
{
	struct mb_err err = { 0 };

	assert_ok(mb_frame_encode(mb_buf_slice(raw), out, &err), &err);
}

static void put_msg(const struct mb_msg *msg, struct mb_buf *out)
{
	struct mb_err err = { 0 };

	assert_ok(mb_msg_to_frame(msg, out, &err), &err);
}

static void put_sample(enum mb_msg_type type, struct mb_buf *out)
{
	struct mb_msg msg;

	sample_msg(type, &msg);
	put_msg(&msg, out);
}

static void snapshot_msg(struct mb_msg *ret)
{
	static const uint8_t planes[] = { 0,	0x11, 0x44, 0x55, 0x11, 0x44, 0x55, 0x11, 0x44,
					  0x55, 0x11, 0x44, 0x55, 0x11, 0x44, 0x55, 0x11, 0x44,
					  0x55, 0x11, 0x44, 0x55, 0x11, 0x44, 0x55 };
	static const uint8_t copies[] = { 1, 1, 1 };
	struct mb_fingerprint base;

	sample_msg(MB_MSG_DELTA, ret);
	sample_base(&base);
	ret->delta.base_epoch = 0;
	ret->delta.fields = (struct mb_delta_fields){ .result = mb_fingerprint_id(&base),
						      .n_added = 3,
						      .added = { planes, sizeof(planes) },
						      .added_copies = { copies, sizeof(copies) } };
	mb_fingerprint_deinit(&base);
}

/* The sample Delta, its removed rank by gap instead of bitmap. */
static void ranks_msg(struct mb_msg *ret)
{
	sample_msg(MB_MSG_DELTA, ret);
	ret->delta.fields.removed = (struct mb_slice){ (const uint8_t *)"\0\0", 2 };
}

static void hello_sample_msg(struct mb_msg *ret)
{
	sample_sampled_msg(MB_MSG_HELLO, ret);
}

static void welcome_sample_msg(struct mb_msg *ret)
{
	sample_sampled_msg(MB_MSG_WELCOME, ret);
}

static void delta_sample_msg(struct mb_msg *ret)
{
	sample_sampled_msg(MB_MSG_DELTA, ret);
}

static void hello_cut_msg(struct mb_msg *ret)
{
	sample_cut_msg(MB_MSG_HELLO, ret);
}

static void welcome_cut_msg(struct mb_msg *ret)
{
	sample_cut_msg(MB_MSG_WELCOME, ret);
}

static void delta_cut_msg(struct mb_msg *ret)
{
	sample_cut_msg(MB_MSG_DELTA, ret);
}

static void welcome_nothing_msg(struct mb_msg *ret)
{
	*ret = (struct mb_msg){
		.type = MB_MSG_WELCOME,
		.welcome = { .version = 1, .server = "mbserver 1.0", .max_frame_bytes = 1048576 }
	};
}

/* A Hello from later: fields that are not known yet, may-ignore flags. */
static void put_future_hello(struct mb_buf *out)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

	sample_raw(MB_MSG_HELLO, &raw);
	/* Field 111 at the end of the Hello, whose length is the second byte. */
	pb_text(&raw, 111, "more");
	raw.data[1] += 7;
	assert_true(raw.data[1] < 0x80);
	pb_fixed64(&raw, 900, 1);
	frame_of(&raw, out);
	out->data[6] = 0xff;
}

static void put_trace(struct mb_buf *out)
{
	put_sample(MB_MSG_TRACE_HEADER, out);
	put_sample(MB_MSG_TRACE_PAGES, out);
	put_sample(MB_MSG_TRACE_EPOCH, out);
}

static void put_bad_delta(struct mb_buf *out, void (*spoil)(struct mb_delta_msg *))
{
	struct mb_msg msg;

	sample_msg(MB_MSG_DELTA, &msg);
	spoil(&msg.delta);
	put_msg(&msg, out);
}

#define BYTES(s) ((struct mb_slice){ (const uint8_t *)(s), sizeof(s) - 1 })

static void spoil_base(struct mb_delta_msg *d)
{
	d->fields.base.hash.lo ^= 1;
}

static void spoil_result(struct mb_delta_msg *d)
{
	d->fields.result.hash.lo ^= 1;
}

static void spoil_epoch(struct mb_delta_msg *d)
{
	d->epoch = d->base_epoch;
}

static void spoil_count(struct mb_delta_msg *d)
{
	d->fields.n_added = UINT32_MAX;
}

static void spoil_gap(struct mb_delta_msg *d)
{
	/* 2^64 - 1, and on by one. */
	d->fields.n_added = 2;
	d->fields.added = BYTES("\0\xff\1\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0");
}

static void spoil_rank(struct mb_delta_msg *d)
{
	d->fields.removed = BYTES("\0\3");
}

static void spoil_bitmap(struct mb_delta_msg *d)
{
	d->fields.removed = BYTES("\1\x11");
}

static void spoil_both(struct mb_delta_msg *d)
{
	d->fields.changed = BYTES("\0\6");
}

static void spoil_pages(struct mb_delta_msg *d)
{
	d->fields.result.pages = 1ull << 32;
}

static void spoil_stale(struct mb_delta_msg *d)
{
	d->pass.audit = (struct mb_audit){ .audits = 1, .changed = { 4 }, .stale = { 5 } };
}

static void spoil_flagged(struct mb_delta_msg *d)
{
	d->pass.audit = (struct mb_audit){ .audits = 1, .flagged = 4, .flagged_changed = 5 };
}

static void spoil_doubted(struct mb_delta_msg *d)
{
	d->pass.audit = (struct mb_audit){ .audits = 4, .doubted = 5 };
}

static void spoil_stalls(struct mb_delta_msg *d)
{
	d->pass.guest = (struct mb_guest){ .known = true, .full_per_myriad = 10001 };
}

static void spoil_who_name(struct mb_delta_msg *d)
{
	d->pass.who = BYTES("\0\0\0\4s\033[m\0\0");
}

static void spoil_who_length(struct mb_delta_msg *d)
{
	d->pass.who = BYTES("\0\0\0\1p\0\1\1\xff\xff\xff\xff\x0f");
}

static void spoil_who_sum(struct mb_delta_msg *d)
{
	d->pass.who = BYTES("\0\0\1\x80\x80\x80\x80\x80\x80\x10\1p\0\1\1");
}

static void put_bad_hello(struct mb_buf *out, const char *vm, bool identity)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_msg msg;
	struct mb_buf body = { 0 };

	if (identity) {
		sample_msg(MB_MSG_HELLO, &msg);
		msg.hello.vm = vm;
		put_msg(&msg, out);
		return;
	}
	pb_uint(&body, 1, 1);
	pb_text(&body, 3, vm);
	pb_bytes(&body, 5, "0123456789abcdef", 16);
	pb_message(&raw, 1, &body);
	frame_of(&raw, out);
}

static void put_payload(struct mb_buf *out, bool size, bool checksum, bool twice, uint32_t lie)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 }, payload = { 0 };

	sample_raw(MB_MSG_ACK, &raw);
	put_zstd(&payload, raw.data, raw.len, size, checksum);
	if (twice)
		put_zstd(&payload, "", 0, size, checksum);
	put_frame(out, (uint32_t)raw.len + lie, payload.data, payload.len);
}

static void put_flood(struct mb_buf *out)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

	for (int i = 0; i < 100000; i++)
		mb_buf_put(&raw, "\x1a\x00", 2);
	frame_of(&raw, out);
}

static void put_bad_trace(struct mb_buf *out, const char *frames)
{
	struct mb_msg msg;

	put_sample(MB_MSG_TRACE_HEADER, out);
	sample_msg(MB_MSG_TRACE_PAGES, &msg);
	if (frames)
		msg.trace_pages.frames =
			(struct mb_slice){ (const uint8_t *)frames, strlen(frames) };
	put_msg(&msg, out);
	if (frames)
		put_sample(MB_MSG_TRACE_EPOCH, out);
}

/* A good Ack with one byte of its header changed. */
static void put_header_byte(struct mb_buf *out, size_t at, uint8_t v)
{
	put_sample(MB_MSG_ACK, out);
	out->data[at] = v;
}

/* --- the bad ones ----------------------------------------------------------------------------- */

enum bad {
	MAGIC,
	VERSION,
	MUST,
	CAP,
	CUT,
	NO_SIZE,
	NO_CHECKSUM,
	CHECKSUM,
	TWICE,
	LIE,
	FLOOD,
	NO_BODY,
	VM_SPACE,
	VM_UTF8,
	NO_IDENTITY,
	EPOCH,
	BASE,
	RESULT,
	COUNT,
	GAP,
	RANK,
	BITMAP,
	BOTH,
	PAGES,
	STALE,
	FLAGGED,
	DOUBTED,
	STALLS,
	WHO_NAME,
	WHO_LENGTH,
	WHO_SUM,
	SAMPLE_SHIFT,
	SAMPLE_SIZE,
	SAMPLE_BOTH,
	TRACE_CUT,
	TRACE_WRAP,
	TRACE_SEED,
};

static const struct {
	const char *name;
	enum bad what;
	int code;
	const char *word;
} bads[] = {
	{ "bad-frame-magic", MAGIC, EBADMSG, "not a Memory Buddies frame" },
	{ "bad-frame-version", VERSION, EPROTONOSUPPORT, "frame version 2" },
	{ "bad-frame-must-understand", MUST, EPROTONOSUPPORT, "must-understand flags 0x01" },
	{ "bad-frame-above-cap", CAP, EMSGSIZE, "bytes; at most" },
	{ "bad-frame-cut", CUT, ENODATA, "ends inside a frame" },
	{ "bad-zstd-no-content-size", NO_SIZE, EBADMSG, "zstd header does not" },
	{ "bad-zstd-no-checksum", NO_CHECKSUM, EBADMSG, "without a checksum" },
	{ "bad-zstd-wrong-checksum", CHECKSUM, EBADMSG, "checksum" },
	{ "bad-zstd-two-frames", TWICE, EBADMSG, "after the zstd frame" },
	{ "bad-zstd-other-size", LIE, EBADMSG, "zstd header does not" },
	{ "bad-message-flood", FLOOD, EBADMSG, "no protobuf message" },
	{ "bad-message-without-body", NO_BODY, EBADMSG, "no known kind" },
	{ "bad-hello-vm-with-space", VM_SPACE, EBADMSG, "0x20" },
	{ "bad-hello-vm-not-ascii", VM_UTF8, EBADMSG, "0xff" },
	{ "bad-hello-without-identity", NO_IDENTITY, EBADMSG, "identity: missing" },
	{ "bad-delta-epoch-not-above-base", EPOCH, EBADMSG, "field epoch" },
	{ "bad-delta-other-base", BASE, ESTALE, "starts from" },
	{ "bad-delta-other-result", RESULT, EBADMSG, "but names" },
	{ "bad-delta-count-beyond-bytes", COUNT, EBADMSG, "field added" },
	{ "bad-delta-gap-overflows", GAP, EBADMSG, "digest 1 is not above" },
	{ "bad-delta-rank-beyond-base", RANK, EBADMSG, "bad rank" },
	{ "bad-delta-bitmap-beyond-base", BITMAP, EBADMSG, "bitmap and count" },
	{ "bad-delta-removed-and-changed", BOTH, EBADMSG, "both removes and changes" },
	{ "bad-delta-too-many-pages", PAGES, EBADMSG, "4294967296 pages" },
	{ "bad-delta-audit-stale-above-changed", STALE, EBADMSG, "stale: 5 of 4" },
	{ "bad-delta-audit-flagged", FLAGGED, EBADMSG, "flagged_changed: 5 of 4" },
	{ "bad-delta-audit-doubted", DOUBTED, EBADMSG, "doubted: 5 of 4" },
	{ "bad-delta-guest-stalls", STALLS, EBADMSG, "full_per_myriad: 10001 of 10000" },
	{ "bad-delta-who-name", WHO_NAME, EBADMSG, "pass.who: row 1: process: a byte 0x1b" },
	{ "bad-delta-who-length", WHO_LENGTH, EBADMSG, "row 2: process: a name of" },
	{ "bad-delta-who-sum", WHO_SUM, EBADMSG, "row 1: more than 2^46 frames" },
	{ "bad-delta-sample-shift", SAMPLE_SHIFT, EBADMSG, "field sample: a sample's shift of 17" },
	{ "bad-delta-sample-size", SAMPLE_SIZE, EBADMSG, "1000 pages, 1001 distinct" },
	{ "bad-delta-sample-and-cut", SAMPLE_BOTH, EBADMSG, "a sample of cut digests" },
	{ "bad-trace-cut", TRACE_CUT, EBADMSG, "ends inside an epoch" },
	{ "bad-trace-frame-wraps", TRACE_WRAP, EBADMSG, "above 2^52" },
	{ "bad-trace-seed-letter", TRACE_SEED, EBADMSG, "line 2: 'x'" },
};

static void put_bad_sample(struct mb_buf *out, enum bad what)
{
	struct mb_msg msg;

	delta_sample_msg(&msg);
	if (what == SAMPLE_SHIFT)
		msg.delta.sample.shift = 17;
	else if (what == SAMPLE_SIZE)
		msg.delta.sample.distinct = 1001;
	else
		msg.delta.sample.cut_bits = 20;
	put_msg(&msg, out);
}

static void make_bad(enum bad what, struct mb_buf *out)
{
	static void (*const spoil[])(struct mb_delta_msg *) = {
		[EPOCH] = spoil_epoch,	     [BASE] = spoil_base,
		[RESULT] = spoil_result,     [COUNT] = spoil_count,
		[GAP] = spoil_gap,	     [RANK] = spoil_rank,
		[BITMAP] = spoil_bitmap,     [BOTH] = spoil_both,
		[PAGES] = spoil_pages,	     [STALE] = spoil_stale,
		[FLAGGED] = spoil_flagged,   [DOUBTED] = spoil_doubted,
		[WHO_NAME] = spoil_who_name, [WHO_LENGTH] = spoil_who_length,
		[WHO_SUM] = spoil_who_sum,   [STALLS] = spoil_stalls,
	};

	switch (what) {
	case SAMPLE_SHIFT:
	case SAMPLE_SIZE:
	case SAMPLE_BOTH:
		put_bad_sample(out, what);
		break;
	case MAGIC:
		put_header_byte(out, 3, '0');
		break;
	case VERSION:
		put_header_byte(out, 4, 2);
		break;
	case MUST:
		put_header_byte(out, 5, 1);
		break;
	case CAP:
		put_header_byte(out, 15, 0xff);
		break;
	case CUT:
		put_sample(MB_MSG_ACK, out);
		out->len--;
		break;
	case NO_SIZE:
	case NO_CHECKSUM:
	case TWICE:
	case LIE:
		put_payload(out, what != NO_SIZE, what != NO_CHECKSUM, what == TWICE, what == LIE);
		break;
	case CHECKSUM:
		put_sample(MB_MSG_ACK, out);
		out->data[out->len - 1] ^= 1;
		break;
	case FLOOD:
		put_flood(out);
		break;
	case NO_BODY:
		frame_of(&(struct mb_buf){ 0 }, out);
		break;
	case VM_SPACE:
		put_bad_hello(out, "web 1", true);
		break;
	case VM_UTF8:
		put_bad_hello(out, "web\xff", true);
		break;
	case NO_IDENTITY:
		put_bad_hello(out, "web-1", false);
		break;
	case TRACE_CUT:
		put_bad_trace(out, NULL);
		break;
	case TRACE_WRAP:
		put_bad_trace(out, "\x80\x80\x80\x80\x80\x80\x80\x08\x01"
				   "\xff\xff\xff\xff\xff\xff\xff\xf7\xff\x01\x03");
		break;
	case TRACE_SEED:
		mb_buf_put(out, "3051824092\n12x4\n", 16);
		break;
	default:
		put_bad_delta(out, spoil[what]);
		break;
	}
}

/* --- files ------------------------------------------------------------------------------------ */

/* The file's bytes, which are made when there is no such file and it is asked for. */
static void load(const char *name, const struct mb_buf *made, struct mb_buf *ret)
{
	struct mb_err err = { 0 };
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.bin", dir, name);
	if (getenv("MB_GOLDEN_WRITE") && access(path, F_OK) < 0) {
		int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);

		assert_true(fd >= 0);
		assert_ok(mb_write_all(fd, made->data, made->len, &err), &err);
		close(fd);
	}
	assert_ok(mb_file_read(path, 1023, ret, &err), &err);
}

static void check_good(const char *name, const struct mb_msg *expected, const struct mb_buf *made)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf bytes = { 0 }, raw = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_err err = { 0 };
	int r;

	load(name, made, &bytes);
	r = read_message(mb_buf_slice(&bytes), &raw, &msg, &err);
	if (r < 0)
		fail_msg("%s: %s", name, err.text);
	assert_msg_equal(&msg, expected);
}

static void later_msg(struct mb_msg *ret)
{
	*ret = (struct mb_msg){ .type = MB_MSG_REFUSAL,
				.refusal = { MB_REFUSED_SERVER,
					     "quota of 100 MB an hour is used up", 90000 } };
}

static void test_good_messages(void **state)
{
	static const struct {
		const char *name;
		enum mb_msg_type type; /* a sample, or: */
		void (*make)(struct mb_msg *ret);
	} goods[] = {
		{ "hello", MB_MSG_HELLO, NULL },
		{ "welcome", MB_MSG_WELCOME, NULL },
		{ "welcome-holding-nothing", 0, welcome_nothing_msg },
		{ "delta", MB_MSG_DELTA, NULL },
		{ "delta-removed-by-rank", 0, ranks_msg },
		{ "delta-snapshot", 0, snapshot_msg },
		{ "delta-audited", 0, sample_audited_msg },
		{ "delta-audited-doubted", 0, sample_doubted_msg },
		{ "delta-who", 0, sample_who_msg },
		{ "delta-guest", 0, sample_guest_msg },
		{ "hello-sample", 0, hello_sample_msg },
		{ "welcome-sample", 0, welcome_sample_msg },
		{ "delta-sample", 0, delta_sample_msg },
		{ "hello-cut", 0, hello_cut_msg },
		{ "welcome-cut", 0, welcome_cut_msg },
		{ "delta-cut", 0, delta_cut_msg },
		{ "ack", MB_MSG_ACK, NULL },
		{ "resync", MB_MSG_RESYNC, NULL },
		{ "refusal", MB_MSG_REFUSAL, NULL },
		{ "refusal-later", 0, later_msg },
		{ "trace-header", MB_MSG_TRACE_HEADER, NULL },
		{ "trace-pages", MB_MSG_TRACE_PAGES, NULL },
		{ "trace-epoch", MB_MSG_TRACE_EPOCH, NULL },
	};

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(goods); i++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf made = { 0 };
		struct mb_msg msg;

		if (goods[i].make)
			goods[i].make(&msg);
		else
			sample_msg(goods[i].type, &msg);
		put_msg(&msg, &made);
		check_good(goods[i].name, &msg, &made);
	}
}

static void test_a_hello_of_later(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf made = { 0 };
	struct mb_msg msg;

	(void)state;
	put_future_hello(&made);
	sample_msg(MB_MSG_HELLO, &msg);
	check_good("hello-with-unknown-fields-and-flags", &msg, &made);
}

static void test_a_trace(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf made = { 0 }, bytes = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	put_trace(&made);
	load("trace", &made, &bytes);
	assert_ok(read_trace(mb_buf_slice(&bytes), &err), &err);
}

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bads); i++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf made = { 0 }, bytes = { 0 }, raw = { 0 };
		struct mb_msg msg = { 0 };
		struct mb_err err = { 0 };
		int r;

		make_bad(bads[i].what, &made);
		load(bads[i].name, &made, &bytes);
		if (strncmp(bads[i].name, "bad-trace", 9) == 0)
			r = read_trace(mb_buf_slice(&bytes), &err);
		else
			r = read_message(mb_buf_slice(&bytes), &raw, &msg, &err);
		if (r != -bads[i].code || !strstr(err.text, bads[i].word))
			fail_msg("%s: expected %d with \"%s\", got %d: %s", bads[i].name,
				 -bads[i].code, bads[i].word, r, err.text);
		mb_msg_deinit(&msg);
	}
}

/* Every file in the folder cut at every byte, and with any bit turned: never a crash. */
static void test_cut_anywhere(void **state)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t files = 0;

	(void)state;
	assert_non_null(d);
	while ((e = readdir(d))) {
		mb_cleanup(mb_buf_deinit) struct mb_buf bytes = { 0 };
		bool whole = strncmp(e->d_name, "bad-", 4) != 0 && strcmp(e->d_name, "trace.bin");
		struct mb_err err = { 0 };
		char path[512];

		/* Whole sessions are test_golden_session.c's. */
		if (!strstr(e->d_name, ".bin") || strncmp(e->d_name, "session-", 8) == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		assert_ok(mb_file_read(path, 1023, &bytes, &err), &err);
		files++;
		for (size_t n = 0; n < 9 * bytes.len; n++) {
			mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
			mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
			size_t bit = n - bytes.len, len = n < bytes.len ? n : bytes.len;
			uint8_t *exact = malloc(len + 1);
			int r;

			assert_non_null(exact);
			memcpy(exact, bytes.data, len);
			if (n >= bytes.len)
				exact[bit / 8] ^= (uint8_t)(1 << bit % 8);
			r = read_message((struct mb_slice){ exact, len }, &raw, &msg, &err);
			assert_true(r == 0 || err.text[0]);
			assert_true(r < 0 || !whole || n >= bytes.len);
			free(exact);
		}
	}
	closedir(d);
	/* Each is named in a table above: nobody's file is forgotten. */
	assert_int_equal(files, 25 + MB_ARRAY_LEN(bads));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_messages), cmocka_unit_test(test_a_hello_of_later),
		cmocka_unit_test(test_a_trace),	      cmocka_unit_test(test_bad),
		cmocka_unit_test(test_cut_anywhere),
	};

	return cmocka_run_group_tests_name("golden", tests, NULL, NULL);
}
