// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_wire.h"

#include <zstd.h>

#include "proto/base/cleanup.h"

const enum mb_msg_type wire_types[WIRE_TYPES] = {
	MB_MSG_HELLO,	MB_MSG_WELCOME,	     MB_MSG_DELTA,	 MB_MSG_ACK,	     MB_MSG_RESYNC,
	MB_MSG_REFUSAL, MB_MSG_TRACE_HEADER, MB_MSG_TRACE_PAGES, MB_MSG_TRACE_EPOCH,
};

static const struct mb_boot boot = { { 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18, 0x19,
				       0x1a, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f } };

static const struct mb_pass_info pass = {
	.taken_unix_ns = 1700000000123456789u,
	.duration_ns = 250000000,
	.cpu_ns = 1000000,
	.pages_read = 10,
	.pages_changed = 4,
	.pages_unread = 1,
	.epochs = 2,
	.full = true,
	.tracker = "none",
};

static const struct mb_identity identity = {
	.algorithm = MB_XXH64,
	.page_bytes = 4096,
	.bits = 64,
	.keyed = true,
	.domain = "tenant-a",
	.zero_digest = 0x0123456789abcdefu,
};

void sample_base(struct mb_fingerprint *ret)
{
	assert_int_equal(mb_fingerprint_init(ret, 3, 1, NULL), 0);
	mb_fingerprint_push(ret, 0x1111111111111111u, 1);
	mb_fingerprint_push(ret, 0x5555555555555555u, 3);
	mb_fingerprint_push(ret, 0xaaaaaaaaaaaaaaaau, 1);
}

void sample_result(struct mb_fingerprint *ret)
{
	assert_int_equal(mb_fingerprint_init(ret, 3, 2, NULL), 0);
	mb_fingerprint_push(ret, 0x123456789abcdef0u, 2);
	mb_fingerprint_push(ret, 0x5555555555555555u, 7);
	mb_fingerprint_push(ret, 0xaaaaaaaaaaaaaaaau, 1);
}

static struct mb_fingerprint_id id_of(void (*sample)(struct mb_fingerprint *))
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint fp;

	sample(&fp);
	return mb_fingerprint_id(&fp);
}

static void sample_delta_fields(struct mb_delta_fields *ret)
{
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint base, result;
	mb_cleanup(mb_delta_deinit) struct mb_delta d;
	static struct mb_buf buf;
	struct mb_err err = { 0 };

	sample_base(&base);
	sample_result(&result);
	assert_ok(mb_delta_make(&base, &result, &d, &err), &err);
	assert_ok(mb_delta_encode(&d, 64, &buf, ret, &err), &err);
}

static struct mb_trace_pages sample_trace_pages(void)
{
	/* Frames 5, 6, 7 and 100; a run is {distance, length}. */
	static const uint8_t frames[] = { 5, 3, 92, 1 };
	static const uint8_t classes[] = { 1, 2, 2, 2 }, flags[] = { 0, 3, 1, 1 };
	static uint8_t digests[4 * 8];

	for (uint64_t i = 0; i < 4; i++)
		mb_put_le64(digests + 8 * i, 0x0101010101010101u * (i + 1));
	return (struct mb_trace_pages){ 4,
					{ frames, sizeof(frames) },
					{ classes, sizeof(classes) },
					{ flags, sizeof(flags) },
					{ digests, sizeof(digests) } };
}

static struct mb_fingerprint_id sample_trace_id(void)
{
	struct mb_fingerprint_id id = { .pages = 4, .distinct = 4 };

	for (uint64_t i = 0; i < 4; i++)
		mb_multiset_hash_add(&id.hash, 0x0101010101010101u * (i + 1), 1);
	return id;
}

void sample_msg(enum mb_msg_type type, struct mb_msg *ret)
{
	*ret = (struct mb_msg){ .type = type };
	switch (type) {
	case MB_MSG_HELLO:
		ret->hello = (struct mb_hello){ 1,	  "mbagent 1.0", "web-1", "rack2", boot,
						identity, 4294967296u,	 "kmod",  1,	   0,
						0 };
		break;
	case MB_MSG_WELCOME:
		ret->welcome = (struct mb_welcome){
			1, "mbserver 1.0", boot, 41, id_of(sample_base), 1048576, 0, 0
		};
		break;
	case MB_MSG_DELTA:
		ret->delta = (struct mb_delta_msg){ .base_epoch = 41, .epoch = 43, .pass = pass };
		sample_delta_fields(&ret->delta.fields);
		break;
	case MB_MSG_ACK:
		ret->ack = (struct mb_ack){ 43, id_of(sample_result) };
		break;
	case MB_MSG_RESYNC:
		ret->resync_reason = "epoch 41 is not held";
		break;
	case MB_MSG_REFUSAL:
		ret->refusal = (struct mb_refusal_msg){ MB_REFUSED_BUSY, "web-1 is connected", 0 };
		break;
	case MB_MSG_TRACE_HEADER:
		ret->trace_header =
			(struct mb_trace_header){ 1,	"mbagent 1.0", "web-1",	    "kmod",
						  boot, identity,      4294967296u, true };
		break;
	case MB_MSG_TRACE_PAGES:
		ret->trace_pages = sample_trace_pages();
		break;
	case MB_MSG_TRACE_EPOCH:
		ret->trace_epoch = (struct mb_trace_epoch){ 43, pass, sample_trace_id() };
		break;
	}
}

void sample_audited_msg(struct mb_msg *ret)
{
	sample_msg(MB_MSG_DELTA, ret);
	ret->delta.pass.tracker = "bpf";
	ret->delta.pass.audit = (struct mb_audit){
		.audits = 2,
		.follows = 1 << MB_CLASS_ANON | 1 << MB_CLASS_FILE,
		.changed = { [MB_CLASS_ANON] = 1000, [MB_CLASS_FILE] = 20, [MB_CLASS_SLAB] = 300 },
		.stale = { [MB_CLASS_FILE] = 1, [MB_CLASS_SLAB] = 200 },
		.flagged = 1300,
		.flagged_changed = 1100,
	};
}

void sample_doubted_msg(struct mb_msg *ret)
{
	sample_audited_msg(ret);
	ret->delta.pass.audit.doubted = 2;
}

void sample_who_msg(struct mb_msg *ret)
{
	/* 5 frames of others allocated; sh touched 300 and copied 7, a dæmon rewrote one. */
	static const uint8_t who[] = "\0\0\2\0\5"
				     "\2sh\15/user.slice/a\5\0\0\0\xac\2\7"
				     "\6d?mon1\2?9\6\0\0\0\0\0\1";

	sample_audited_msg(ret);
	ret->delta.pass.who = (struct mb_slice){ who, sizeof(who) - 1 };
}

void sample_guest_msg(struct mb_msg *ret)
{
	sample_msg(MB_MSG_DELTA, ret);
	ret->delta.pass.guest = (struct mb_guest){ .known = true,
						   .available_bytes = 52428800,
						   .free_bytes = 8388608,
						   .swapped_bytes = 40960000,
						   .swapped_ns = 10000000000,
						   .has_stalls = true,
						   .some_per_myriad = 1250,
						   .full_per_myriad = 310 };
}

/* Two digests of the first sixteenth, and a heavy one. */
static void sample_sampled(struct mb_fingerprint *ret)
{
	assert_int_equal(mb_fingerprint_init(ret, 3, 2, NULL), 0);
	mb_fingerprint_push(ret, 0x0123456789abcdefu, 70);
	mb_fingerprint_push(ret, 0x0fedcba987654321u, 1);
	mb_fingerprint_push(ret, 0x5555555555555555u, 64);
}

static void sampled_delta(struct mb_delta_msg *ret)
{
	const struct mb_fingerprint empty = { 0 };
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint result;
	mb_cleanup(mb_delta_deinit) struct mb_delta d;
	static struct mb_buf buf;

	sample_sampled(&result);
	ret->base_epoch = 0;
	ret->sample = (struct mb_sample_of){ 4, 1000, 37, 70, 0 };
	assert_ok(mb_sample_check(&result, &ret->sample, 64, identity.zero_digest, NULL), NULL);
	assert_ok(mb_delta_make(&empty, &result, &d, NULL), NULL);
	assert_ok(mb_delta_encode(&d, 64, &buf, &ret->fields, NULL), NULL);
}

void sample_sampled_msg(enum mb_msg_type type, struct mb_msg *ret)
{
	sample_msg(type, ret);
	if (type == MB_MSG_HELLO)
		ret->hello.sample_shift = 4;
	else if (type == MB_MSG_WELCOME)
		ret->welcome.sample_shift = 4;
	else
		sampled_delta(&ret->delta);
}

static void cut_delta(struct mb_delta_msg *ret)
{
	const struct mb_fingerprint empty = { 0 };
	mb_cleanup(mb_fingerprint_deinit) struct mb_fingerprint whole, result;
	mb_cleanup(mb_delta_deinit) struct mb_delta d;
	static struct mb_buf buf;

	sample_result(&whole);
	assert_ok(mb_small_make(&whole, &identity, &(struct mb_sample_of){ .cut_bits = 16 },
				&result, &ret->sample, NULL),
		  NULL);
	ret->base_epoch = 0;
	assert_ok(mb_delta_make(&empty, &result, &d, NULL), NULL);
	assert_ok(mb_delta_encode(&d, 16, &buf, &ret->fields, NULL), NULL);
}

void sample_cut_msg(enum mb_msg_type type, struct mb_msg *ret)
{
	sample_msg(type, ret);
	if (type == MB_MSG_HELLO)
		ret->hello.cut_bits = 16;
	else if (type == MB_MSG_WELCOME)
		ret->welcome.cut_bits = 16;
	else
		cut_delta(&ret->delta);
}

void sample_raw(enum mb_msg_type type, struct mb_buf *out)
{
	struct mb_err err = { 0 };
	struct mb_msg msg;

	sample_msg(type, &msg);
	assert_ok(mb_msg_pack(&msg, out, &err), &err);
}

/* --- comparing -------------------------------------------------------------------------------- */

static void assert_slice_equal(struct mb_slice a, struct mb_slice b)
{
	assert_int_equal(a.len, b.len);
	if (a.len)
		assert_memory_equal(a.data, b.data, a.len);
}

static void assert_id_equal(struct mb_fingerprint_id a, struct mb_fingerprint_id b)
{
	assert_true(mb_fingerprint_id_equal(&a, &b));
}

static void assert_identity_equal(const struct mb_identity *a, const struct mb_identity *b)
{
	struct mb_err err = { 0 };

	assert_ok(mb_identity_compare(a, b, &err), &err);
}

static void assert_boot_equal(struct mb_boot a, struct mb_boot b)
{
	assert_memory_equal(a.id, b.id, MB_BOOT_BYTES);
}

void assert_audit_equal(const struct mb_audit *a, const struct mb_audit *b)
{
	assert_int_equal(a->audits, b->audits);
	assert_int_equal(a->doubted, b->doubted);
	assert_int_equal(a->follows, b->follows);
	assert_memory_equal(a->changed, b->changed, sizeof(a->changed));
	assert_memory_equal(a->stale, b->stale, sizeof(a->stale));
	assert_true(a->flagged == b->flagged);
	assert_true(a->flagged_changed == b->flagged_changed);
}

static void assert_pass_equal(const struct mb_pass_info *a, const struct mb_pass_info *b)
{
	assert_true(a->taken_unix_ns == b->taken_unix_ns);
	assert_true(a->duration_ns == b->duration_ns);
	assert_true(a->cpu_ns == b->cpu_ns);
	assert_true(a->pages_read == b->pages_read);
	assert_true(a->pages_changed == b->pages_changed);
	assert_true(a->pages_unread == b->pages_unread);
	assert_true(a->epochs == b->epochs);
	assert_true(a->full == b->full);
	assert_string_equal(a->tracker, b->tracker);
	assert_audit_equal(&a->audit, &b->audit);
	assert_int_equal(a->guest.known, b->guest.known);
	assert_int_equal(a->guest.available_bytes, b->guest.available_bytes);
	assert_int_equal(a->guest.free_bytes, b->guest.free_bytes);
	assert_int_equal(a->guest.swapped_bytes, b->guest.swapped_bytes);
	assert_int_equal(a->guest.swapped_ns, b->guest.swapped_ns);
	assert_int_equal(a->guest.has_stalls, b->guest.has_stalls);
	assert_int_equal(a->guest.some_per_myriad, b->guest.some_per_myriad);
	assert_int_equal(a->guest.full_per_myriad, b->guest.full_per_myriad);
	assert_slice_equal(a->who, b->who);
}

static void assert_delta_equal(const struct mb_delta_msg *a, const struct mb_delta_msg *b)
{
	assert_true(a->base_epoch == b->base_epoch && a->epoch == b->epoch);
	assert_pass_equal(&a->pass, &b->pass);
	assert_id_equal(a->fields.base, b->fields.base);
	assert_id_equal(a->fields.result, b->fields.result);
	assert_int_equal(a->fields.n_added, b->fields.n_added);
	assert_int_equal(a->fields.n_removed, b->fields.n_removed);
	assert_int_equal(a->fields.n_changed, b->fields.n_changed);
	assert_slice_equal(a->fields.added, b->fields.added);
	assert_slice_equal(a->fields.added_copies, b->fields.added_copies);
	assert_slice_equal(a->fields.removed, b->fields.removed);
	assert_slice_equal(a->fields.changed, b->fields.changed);
	assert_int_equal(a->sample.shift, b->sample.shift);
	assert_int_equal(a->sample.cut_bits, b->sample.cut_bits);
	assert_int_equal(a->sample.pages, b->sample.pages);
	assert_int_equal(a->sample.distinct, b->sample.distinct);
	assert_int_equal(a->sample.zero, b->sample.zero);
}

void assert_msg_equal(const struct mb_msg *a, const struct mb_msg *b)
{
	assert_int_equal(a->type, b->type);
	switch (a->type) {
	case MB_MSG_HELLO:
		assert_int_equal(a->hello.version, b->hello.version);
		assert_int_equal(MB_MAX(a->hello.version, a->hello.newest_version),
				 MB_MAX(b->hello.version, b->hello.newest_version));
		assert_string_equal(a->hello.agent, b->hello.agent);
		assert_string_equal(a->hello.vm, b->hello.vm);
		assert_string_equal(a->hello.host, b->hello.host);
		assert_boot_equal(a->hello.boot, b->hello.boot);
		assert_identity_equal(&a->hello.identity, &b->hello.identity);
		assert_true(a->hello.memory_bytes == b->hello.memory_bytes);
		assert_string_equal(a->hello.source, b->hello.source);
		assert_int_equal(a->hello.sample_shift, b->hello.sample_shift);
		assert_int_equal(a->hello.cut_bits, b->hello.cut_bits);
		break;
	case MB_MSG_WELCOME:
		assert_int_equal(a->welcome.version, b->welcome.version);
		assert_string_equal(a->welcome.server, b->welcome.server);
		assert_boot_equal(a->welcome.boot, b->welcome.boot);
		assert_true(a->welcome.epoch == b->welcome.epoch);
		assert_id_equal(a->welcome.fingerprint, b->welcome.fingerprint);
		assert_int_equal(a->welcome.max_frame_bytes, b->welcome.max_frame_bytes);
		assert_int_equal(a->welcome.sample_shift, b->welcome.sample_shift);
		assert_int_equal(a->welcome.cut_bits, b->welcome.cut_bits);
		break;
	case MB_MSG_DELTA:
		assert_delta_equal(&a->delta, &b->delta);
		break;
	case MB_MSG_ACK:
		assert_true(a->ack.epoch == b->ack.epoch);
		assert_id_equal(a->ack.fingerprint, b->ack.fingerprint);
		break;
	case MB_MSG_RESYNC:
		assert_string_equal(a->resync_reason, b->resync_reason);
		break;
	case MB_MSG_REFUSAL:
		assert_int_equal(a->refusal.code, b->refusal.code);
		assert_string_equal(a->refusal.reason, b->refusal.reason);
		assert_int_equal(a->refusal.retry_after_ms, b->refusal.retry_after_ms);
		break;
	case MB_MSG_TRACE_HEADER:
		assert_int_equal(a->trace_header.version, b->trace_header.version);
		assert_string_equal(a->trace_header.agent, b->trace_header.agent);
		assert_string_equal(a->trace_header.vm, b->trace_header.vm);
		assert_string_equal(a->trace_header.source, b->trace_header.source);
		assert_boot_equal(a->trace_header.boot, b->trace_header.boot);
		assert_identity_equal(&a->trace_header.identity, &b->trace_header.identity);
		assert_true(a->trace_header.memory_bytes == b->trace_header.memory_bytes);
		assert_true(a->trace_header.stable_frames == b->trace_header.stable_frames);
		break;
	case MB_MSG_TRACE_PAGES:
		assert_int_equal(a->trace_pages.n_pages, b->trace_pages.n_pages);
		assert_slice_equal(a->trace_pages.frames, b->trace_pages.frames);
		assert_slice_equal(a->trace_pages.classes, b->trace_pages.classes);
		assert_slice_equal(a->trace_pages.flags, b->trace_pages.flags);
		assert_slice_equal(a->trace_pages.digests, b->trace_pages.digests);
		break;
	case MB_MSG_TRACE_EPOCH:
		assert_true(a->trace_epoch.epoch == b->trace_epoch.epoch);
		assert_pass_equal(&a->trace_epoch.pass, &b->trace_epoch.pass);
		assert_id_equal(a->trace_epoch.fingerprint, b->trace_epoch.fingerprint);
		break;
	}
}

/* --- by hand ---------------------------------------------------------------------------------- */

void pb_uint(struct mb_buf *b, uint32_t field, uint64_t v)
{
	mb_buf_put_varint(b, (uint64_t)field << 3);
	mb_buf_put_varint(b, v);
}

void pb_fixed64(struct mb_buf *b, uint32_t field, uint64_t v)
{
	uint8_t p[8];

	mb_put_le64(p, v);
	mb_buf_put_varint(b, (uint64_t)field << 3 | 1);
	mb_buf_put(b, p, sizeof(p));
}

void pb_bytes(struct mb_buf *b, uint32_t field, const void *data, size_t n)
{
	mb_buf_put_varint(b, (uint64_t)field << 3 | 2);
	mb_buf_put_varint(b, n);
	mb_buf_put(b, data, n);
}

void pb_text(struct mb_buf *b, uint32_t field, const char *text)
{
	pb_bytes(b, field, text, strlen(text));
}

void pb_message(struct mb_buf *b, uint32_t field, struct mb_buf *inner)
{
	pb_bytes(b, field, inner->data, inner->len);
	mb_buf_deinit(inner);
}

void put_frame(struct mb_buf *out, uint32_t raw_bytes, const void *payload, size_t n)
{
	uint8_t header[16] = { 'M', 'B', 'F', '1', 1, 0, 0, 0 };

	mb_put_le32(header + 8, (uint32_t)n);
	mb_put_le32(header + 12, raw_bytes);
	mb_buf_put(out, header, sizeof(header));
	mb_buf_put(out, payload, n);
}

void put_zstd(struct mb_buf *out, const void *raw, size_t n, bool size, bool checksum)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(n);
	uint8_t *to = mb_buf_reserve(out, bound);

	assert_non_null(ctx);
	assert_non_null(to);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, 1);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_contentSizeFlag, size);
	ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, checksum);
	n = ZSTD_compress2(ctx, to, bound, raw, n);
	assert_false(ZSTD_isError(n));
	out->len += n;
	ZSTD_freeCCtx(ctx);
}

static int memory_read(void *ctx, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err)
{
	struct memory *m = ctx;

	(void)err;
	*ret_n = MB_MIN(n, m->data.len - m->at);
	if (*ret_n)
		memcpy(data, m->data.data + m->at, *ret_n);
	m->at += *ret_n;
	return 0;
}

struct mb_reader memory_reader(struct memory *m)
{
	return (struct mb_reader){ memory_read, m };
}
