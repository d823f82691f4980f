// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_msg.h"

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/frame.h"

/*
 * Every kind, then Deltas with an audit, with who dirtied memory, and of a guest that swaps, and
 * all three about a sample or cut digests.
 */
enum { SAMPLES = WIRE_TYPES + 9 };

static void get_sample(uint64_t which, struct mb_msg *ret)
{
	if (which == WIRE_TYPES)
		sample_doubted_msg(ret);
	else if (which == WIRE_TYPES + 1)
		sample_who_msg(ret);
	else if (which == WIRE_TYPES + 2)
		sample_guest_msg(ret);
	else if (which > WIRE_TYPES + 5)
		sample_cut_msg(MB_MSG_HELLO + which - WIRE_TYPES - 6, ret);
	else if (which > WIRE_TYPES + 2)
		sample_sampled_msg(MB_MSG_HELLO + which - WIRE_TYPES - 3, ret);
	else
		sample_msg(wire_types[which], ret);
}

static void put_sample(uint64_t which, struct mb_buf *raw)
{
	struct mb_err err = { 0 };
	struct mb_msg msg;

	get_sample(which, &msg);
	assert_ok(mb_msg_pack(&msg, raw, &err), &err);
}

static void test_round_trip(void **state)
{
	(void)state;
	for (int t = 0; t < SAMPLES; t++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 }, frame = { 0 }, back = { 0 };
		struct mb_msg msg, got;
		struct mb_err err = { 0 };
		struct mb_slice s;

		get_sample(t, &msg);
		put_sample(t, &raw);
		assert_ok(unpack_exact(mb_buf_slice(&raw), &got, &err), &err);
		assert_msg_equal(&got, &msg);
		assert_string_not_equal(mb_msg_type_name(got.type), "unknown");
		mb_msg_deinit(&got);
		mb_msg_deinit(&got);

		assert_ok(mb_msg_to_frame(&msg, &frame, &err), &err);
		s = mb_buf_slice(&frame);
		assert_ok(mb_frame_take(&s, 1000, &back, &err), &err);
		assert_int_equal(back.len, raw.len);
		assert_memory_equal(back.data, raw.data, raw.len);
	}
	assert_string_equal(mb_msg_type_name((enum mb_msg_type)99), "unknown");
}

/* All zero travels as nothing, and comes back as zero. */
static void test_empty_parts(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA, .delta = { .epoch = 1 } }, got;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_msg_pack(&msg, &raw, &err), &err);
	assert_ok(unpack_exact(mb_buf_slice(&raw), &got, &err), &err);
	msg.delta.pass.tracker = "";
	assert_msg_equal(&got, &msg);
	mb_msg_deinit(&got);
}

static void test_every_truncation(void **state)
{
	(void)state;
	for (int t = 0; t < SAMPLES; t++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
		size_t whole;

		put_sample(t, &raw);
		whole = raw.len;
		for (raw.len = 0; raw.len < whole; raw.len++)
			assert_msg_refused(&raw, EBADMSG,
					   raw.len ? "no protobuf" : "no known kind");
	}
}

static void test_every_bit_flip(void **state)
{
	size_t accepted = 0;

	(void)state;
	for (int t = 0; t < SAMPLES; t++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

		put_sample(t, &raw);
		for (size_t bit = 0; bit < 8 * raw.len; bit++) {
			raw.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
			accepted += msg_survives(mb_buf_slice(&raw));
			raw.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
	}
	assert_true(accepted > 1000);
}

static void test_mutations(void **state)
{
	struct rng rng = { 16 };

	(void)state;
	for (int i = 0; i < 40000; i++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

		/* One message, or two in one, against the rule. */
		put_sample(rng_below(&rng, SAMPLES), &raw);
		if (i % 2)
			put_sample(rng_below(&rng, SAMPLES), &raw);
		for (uint64_t k = rng_below(&rng, 5); k; k--)
			raw.data[rng_below(&rng, raw.len)] =
				(uint8_t)(rng_next(&rng) >> rng_below(&rng, 8));
		if (i % 5 == 0)
			raw.len = rng_below(&rng, raw.len);
		msg_survives(mb_buf_slice(&raw));
	}
}

/* No writer may do that; the last one counts. */
static void test_two_bodies(void **state)
{
	(void)state;
	for (int a = 0; a < SAMPLES; a++)
		for (int b = 0; b < SAMPLES; b++) {
			mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
			struct mb_msg msg, expected;
			struct mb_err err = { 0 };

			put_sample(a, &raw);
			put_sample(b, &raw);
			assert_ok(unpack_exact(mb_buf_slice(&raw), &msg, &err), &err);
			get_sample(b, &expected);
			assert_msg_equal(&msg, &expected);
			mb_msg_deinit(&msg);
		}
}

static void test_garbage(void **state)
{
	struct rng rng = { 17 };
	uint8_t bytes[200];

	(void)state;
	for (int i = 0; i < 40000; i++) {
		size_t n = rng_below(&rng, sizeof(bytes));

		for (size_t k = 0; k < n; k++)
			bytes[k] = (uint8_t)(rng_next(&rng) >> rng_below(&rng, 8));
		msg_survives((struct mb_slice){ bytes, n });
	}
}

/*
 * A field of two bytes makes protobuf-c note down 20 times as much: that is paid from what the
 * input's length allows, and ends in a refusal.
 */
static void test_tiny_fields(void **state)
{
	enum { N = 1 << 20 };
	static const struct {
		uint32_t outer, inner; /* 0: not inside a body, a part of it */
		char field[3];
	} floods[] = {
		{ 0, 0, "\x0a\x00" }, /* an empty Hello */
		{ 0, 0, "\x1a\x00" }, /* an empty Delta */
		{ 1, 0, "\x08\x01" }, /* version */
		{ 1, 0, "\x12\x00" }, /* agent, empty */
		{ 1, 0, "\x32\x00" }, /* identity, empty */
		{ 3, 0, "\x62\x00" }, /* added, empty */
		{ 3, 0, "\x42\x00" }, /* pass, empty */
		{ 3, 8, "\x52\x00" }, /* audit, empty */
		{ 3, 0, "\x78\x01" }, /* a field not known */
	};
	uint64_t start = mb_cpu_ns();

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(floods); i++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
		struct mb_buf body = { 0 };

		for (int k = 0; k < N; k++)
			mb_buf_put(&body, floods[i].field, 2);
		if (floods[i].inner) {
			struct mb_buf part = body;

			body = (struct mb_buf){ 0 };
			pb_message(&body, floods[i].inner, &part);
		}
		if (floods[i].outer)
			pb_message(&raw, floods[i].outer, &body);
		else
			raw = body;
		assert_msg_refused(&raw, EBADMSG, "no protobuf");
	}
	/* Nothing quadratic in it either: 18 MiB of floods take far less, however busy the host. */
	assert_true(mb_cpu_ns() - start < 10000000000u);
}

/* Long fields are no reason to refuse: a snapshot is nearly all one of them. */
static void test_long_fields(void **state)
{
	enum { N = 8 << 20 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	uint8_t *bytes = calloc(1, N);
	struct mb_err err = { 0 };
	struct mb_buf b = { 0 };
	struct mb_msg msg;

	(void)state;
	assert_non_null(bytes);
	pb_uint(&b, 2, 1);
	pb_pass(&b, 8, 0, "none");
	pb_bytes(&b, 9, bytes, N / 8);
	pb_bytes(&b, 10, bytes, N / 8);
	pb_bytes(&b, 12, bytes, N);
	pb_message(&raw, 3, &b);
	assert_ok(unpack_exact(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.delta.fields.added.len, N);
	mb_msg_deinit(&msg);

	/* The same long field again and again is taken while it fits, then refused. */
	mb_buf_clear(&raw);
	pb_uint(&b, 2, 1);
	pb_pass(&b, 8, 0, "none");
	for (int i = 0; i < 64; i++)
		pb_bytes(&b, 12, bytes, N / 64);
	pb_message(&raw, 3, &b);
	assert_ok(unpack_exact(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.delta.fields.added.len, N / 64);
	mb_msg_deinit(&msg);
	free(bytes);
}

/* Lengths that point past the end or wrap. */
static void test_lengths(void **state)
{
	static const char *const bad[] = {
		"\x0a\x7f",
		"\x0a\xff\xff\xff\xff\x0f",
		"\x0a\xff\xff\xff\xff\x07",
		"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
		"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x0a\x05\x1a\xfe\xff\xff\xff\x0f",
		"\x0b", /* a group */
		"\x0f", /* wire type 7 */
		"\xff\xff\xff\xff\xff\xff",
		"\x1a",
	};

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

		mb_buf_put(&raw, bad[i], strlen(bad[i]));
		assert_msg_refused(&raw, EBADMSG, "no protobuf");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_empty_parts),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_bit_flip),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_two_bodies),
		cmocka_unit_test(test_garbage),
		cmocka_unit_test(test_tiny_fields),
		cmocka_unit_test(test_long_fields),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
