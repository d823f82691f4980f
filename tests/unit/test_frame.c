// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_wire.h"

#include "proto/base/cleanup.h"
#include "proto/frame.h"

static int take(struct mb_buf *frame, struct mb_buf *raw, struct mb_err *err)
{
	struct mb_slice s = mb_buf_slice(frame);
	int r;

	err->text[0] = 0;
	r = mb_frame_take(&s, MB_FRAME_RAW_MAX, raw, err);
	if (r < 0) {
		assert_ptr_equal(s.data, frame->data);
		assert_int_equal(s.len, frame->len);
		assert_true(err->text[0]);
	}
	return r;
}

/* Around the pieces and blocks that the encoder cuts, of noise, of zeros, and of both. */
static void test_round_trip(void **state)
{
	static const size_t sizes[] = { 0,     1,     2,      15,     8191,   8192,   8193,
					16384, 65537, 131072, 131073, 400001, 1048576 };
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 }, raw = { 0 };
	uint8_t *in = calloc(1, 1048576);
	struct mb_err err = { 0 };
	struct rng rng = { 5 };

	(void)state;
	assert_non_null(in);
	for (int kind = 0; kind < 3; kind++) {
		for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
			for (size_t i = 0; kind && i < sizes[k]; i++)
				in[i] = (uint8_t)(kind == 2 && i % 3 ? 0 : rng_next(&rng));
			mb_buf_clear(&frame);
			assert_ok(mb_frame_encode((struct mb_slice){ in, sizes[k] }, &frame, &err),
				  &err);
			assert_int_equal(mb_get_le32(frame.data + 12), sizes[k]);
			assert_int_equal(mb_get_le32(frame.data + 8), frame.len - 16);
			assert_ok(take(&frame, &raw, &err), &err);
			assert_int_equal(raw.len, sizes[k]);
			assert_memory_equal(raw.data, in, raw.len);
		}
	}
	free(in);
}

static void test_one_after_the_other(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 }, raw = { 0 };
	struct mb_err err = { 0 };
	struct mb_slice s;
	char text[32];

	(void)state;
	for (int i = 0; i < 100; i++) {
		int n = snprintf(text, sizeof(text), "message %d", i);

		assert_ok(mb_frame_encode((struct mb_slice){ (uint8_t *)text, (size_t)n }, &frame,
					  &err),
			  &err);
	}
	s = mb_buf_slice(&frame);
	for (int i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "message %d", i);
		assert_ok(mb_frame_take(&s, 100, &raw, &err), &err);
		assert_int_equal(raw.len, strlen(text));
		assert_memory_equal(raw.data, text, raw.len);
	}
	assert_int_equal(s.len, 0);
	assert_fails(mb_frame_take(&s, 100, &raw, &err), ENODATA, &err, "header");
}

static void test_every_truncation(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 }, raw = { 0 };
	struct mb_err err = { 0 };
	size_t whole;

	(void)state;
	assert_ok(
		mb_frame_encode((struct mb_slice){ (const uint8_t *)"some text", 9 }, &frame, &err),
		&err);
	whole = frame.len;
	for (frame.len = 0; frame.len < whole; frame.len++) {
		/* In a block of its exact size, so that a read past the end is seen. */
		struct mb_buf cut = { .data = malloc(frame.len + !frame.len), .len = frame.len };

		assert_non_null(cut.data);
		memcpy(cut.data, frame.data, frame.len);
		assert_fails(take(&cut, &raw, &err), ENODATA, &err, "ends inside");
		/* The same cut, with a header that agrees with it. */
		if (cut.len >= 16) {
			mb_put_le32(cut.data + 8, (uint32_t)cut.len - 16);
			assert_int_equal(take(&cut, &raw, &err), -EBADMSG);
			assert_int_equal(raw.len, 0);
		}
		mb_buf_deinit(&cut);
	}
}

/* Never taken for anything but what it was: content, lengths and checksum hold each other. */
static void test_every_bit_flip(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf in = { 0 }, frame = { 0 }, raw = { 0 };
	struct mb_err err = { 0 };
	size_t accepted = 0;

	(void)state;
	for (int t = 0; t < WIRE_TYPES; t++) {
		mb_buf_clear(&in);
		mb_buf_clear(&frame);
		sample_raw(wire_types[t], &in);
		assert_ok(mb_frame_encode(mb_buf_slice(&in), &frame, &err), &err);
		accepted = 0;
		for (size_t bit = 0; bit < 8 * frame.len; bit++) {
			frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (take(&frame, &raw, &err) == 0) {
				assert_int_equal(raw.len, in.len);
				assert_memory_equal(raw.data, in.data, in.len);
				accepted++;
			}
			frame.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		/* The may-ignore flags, the reserved byte; zstd has unused bits of its own. */
		assert_in_range(accepted, 16, 24);
	}
}

static void test_header(void **state)
{
	uint8_t h[16] = { 'M', 'B', 'F', '1', 1, 0, 0, 0, 20, 0, 0, 0, 10, 0, 0, 0 };
	struct mb_frame_header ret;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_frame_header_decode(h, 10, &ret, &err), &err);
	assert_int_equal(ret.payload_bytes, 20);
	assert_int_equal(ret.raw_bytes, 10);
	assert_fails(mb_frame_header_decode(h, 9, &ret, &err), EMSGSIZE, &err, "at most 9");
	h[6] = h[7] = 0xff;
	assert_ok(mb_frame_header_decode(h, 10, &ret, &err), &err);
	h[5] = 0x80;
	assert_fails(mb_frame_header_decode(h, 10, &ret, &err), EPROTONOSUPPORT, &err,
		     "must-understand flags 0x80");
	h[5] = 0;
	h[4] = 2;
	assert_fails(mb_frame_header_decode(h, 10, &ret, &err), EPROTONOSUPPORT, &err, "version 2");
	h[4] = 1;
	h[3] = '2';
	assert_fails(mb_frame_header_decode(h, 10, &ret, &err), EBADMSG, &err, "4d 42 46 32");
	h[3] = '1';
	/* 4 GiB in either length: refused before anyone asks for memory. */
	mb_put_le32(h + 8, UINT32_MAX);
	assert_fails(mb_frame_header_decode(h, MB_FRAME_RAW_MAX, &ret, &err), EMSGSIZE, &err,
		     "payload");
	mb_put_le32(h + 12, UINT32_MAX);
	assert_fails(mb_frame_header_decode(h, MB_FRAME_RAW_MAX, &ret, &err), EMSGSIZE, &err,
		     "4294967295");
	assert_fails(mb_frame_encode((struct mb_slice){ h, MB_FRAME_RAW_MAX + 1ul },
				     &(struct mb_buf){ 0 }, &err),
		     EMSGSIZE, &err, "268435457");
}

enum { LIE_RAW = 5000 };

static void assert_payload(const struct mb_buf *payload, uint32_t raw_bytes, int code,
			   const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 }, raw = { 0 };
	struct mb_err err = { 0 };

	put_frame(&frame, raw_bytes, payload->data, payload->len);
	assert_fails(take(&frame, &raw, &err), code, &err, word);
	assert_int_equal(raw.len, 0);
}

static void test_payloads_that_lie(void **state)
{
	static const uint8_t skippable[] = { 0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i' };
	/*
	 * Single segment, checksum flag, content size 10 (one byte); then an RLE block that says
	 * 2^17 bytes: the bomb behind an honest face.
	 */
	static const uint8_t bomb[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x24, 10, 0x03,
					0x00, 0x10, 'x',  1,	2,    3,  4 };
	/* Window 2^31, content size of 4 bytes: 10; one raw block of 10, a checksum to be wrong. */
	static const uint8_t window[] = { 0x28, 0xb5, 0x2f, 0xfd, 0x84, 21 << 3, 10,  0,   0,
					  0,	0x51, 0,    0,	  'a',	'b',	 'c', 'd', 'e',
					  'f',	'g',  'h',  'i',  'j',	0,	 0,   0,   0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf p = { 0 };
	uint8_t raw[LIE_RAW] = { 0 };
	size_t n;

	(void)state;
	put_zstd(&p, raw, sizeof(raw), true, true);
	n = p.len;
	assert_payload(&p, LIE_RAW - 1, EBADMSG, "header does not");
	assert_payload(&p, LIE_RAW + 1, EBADMSG, "header does not");
	assert_payload(&p, MB_FRAME_RAW_MAX, EBADMSG, "header does not");
	p.data[n - 1] ^= 1;
	assert_payload(&p, LIE_RAW, EBADMSG, "checksum");
	p.data[n - 1] ^= 1;
	mb_buf_put(&p, "x", 1);
	assert_payload(&p, LIE_RAW, EBADMSG, "1 bytes after");
	p.len = n;
	mb_buf_put(&p, skippable, sizeof(skippable));
	assert_payload(&p, LIE_RAW, EBADMSG, "10 bytes after");
	p.len = n;
	put_zstd(&p, "", 0, true, true);
	assert_payload(&p, LIE_RAW, EBADMSG, "after");

	mb_buf_clear(&p);
	put_zstd(&p, raw, sizeof(raw), false, true);
	assert_payload(&p, LIE_RAW, EBADMSG, "header does not");
	mb_buf_clear(&p);
	put_zstd(&p, raw, sizeof(raw), true, false);
	assert_payload(&p, LIE_RAW, EBADMSG, "without a checksum");
	mb_buf_clear(&p);
	assert_payload(&p, 0, EBADMSG, "no zstd frame");
	mb_buf_put(&p, skippable, sizeof(skippable));
	assert_payload(&p, 0, EBADMSG, "no zstd frame");
	mb_buf_clear(&p);
	mb_buf_put(&p, bomb, sizeof(bomb));
	assert_payload(&p, 10, EBADMSG, "zstd");
	mb_buf_clear(&p);
	mb_buf_put(&p, window, sizeof(window));
	assert_payload(&p, 10, EBADMSG, "zstd");
}

static void test_garbage(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf payload = { 0 };
	struct rng rng = { 6 };

	(void)state;
	for (int i = 0; i < 20000; i++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 }, raw = { 0 };
		uint32_t raw_bytes = (uint32_t)rng_below(&rng, 256);
		struct mb_err err = { 0 };

		/* A zstd magic and a plausible header, so that it gets past the first door. */
		mb_buf_clear(&payload);
		mb_buf_put(&payload, "\x28\xb5\x2f\xfd\x24", 5);
		mb_buf_put_u8(&payload, (uint8_t)raw_bytes);
		for (uint64_t n = rng_below(&rng, 60); n; n--)
			mb_buf_put_u8(&payload, (uint8_t)(rng_next(&rng) >> rng_below(&rng, 8)));
		put_frame(&frame, raw_bytes, payload.data, payload.len);
		assert_true(take(&frame, &raw, &err) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),	 cmocka_unit_test(test_one_after_the_other),
		cmocka_unit_test(test_every_truncation), cmocka_unit_test(test_every_bit_flip),
		cmocka_unit_test(test_header),		 cmocka_unit_test(test_payloads_that_lie),
		cmocka_unit_test(test_garbage),
	};

	return cmocka_run_group_tests_name("frame", tests, NULL, NULL);
}
