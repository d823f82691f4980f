// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_wire.h"

#include "proto/base/cleanup.h"
#include "proto/base/clock.h"
#include "proto/frame.h"

/* In a block of its exact size, so that a read past the end is seen. */
static int unpack(struct mb_slice raw, struct mb_msg *ret, struct mb_err *err)
{
	uint8_t *exact = malloc(raw.len + !raw.len);
	int r;

	assert_non_null(exact);
	if (raw.len)
		memcpy(exact, raw.data, raw.len);
	err->text[0] = 0;
	r = mb_msg_unpack((struct mb_slice){ exact, raw.len }, ret, err);
	/* The message does not live on the caller's bytes. */
	free(exact);
	if (r < 0) {
		assert_true(err->text[0]);
		assert_null(ret->unpacked);
	}
	return r;
}

static void assert_refused(const struct mb_buf *raw, int code, const char *word)
{
	struct mb_err err = { 0 };
	struct mb_msg msg;

	assert_fails(unpack(mb_buf_slice(raw), &msg, &err), code, &err, word);
}

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
		assert_ok(unpack(mb_buf_slice(&raw), &got, &err), &err);
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
	assert_ok(unpack(mb_buf_slice(&raw), &got, &err), &err);
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
			assert_refused(&raw, EBADMSG, raw.len ? "no protobuf" : "no known kind");
	}
}

/* Unpacks what may be anything; what is accepted must be whole enough to pack again. */
static bool survives(struct mb_slice raw)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf again = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	if (unpack(raw, &msg, &err) < 0)
		return false;
	assert_ok(mb_msg_pack(&msg, &again, &err), &err);
	mb_msg_deinit(&msg);
	return true;
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
			accepted += survives(mb_buf_slice(&raw));
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
		survives(mb_buf_slice(&raw));
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
			assert_ok(unpack(mb_buf_slice(&raw), &msg, &err), &err);
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
		survives((struct mb_slice){ bytes, n });
	}
}

/* --- messages by hand ------------------------------------------------------------------------- */

/* How a Hello by hand differs from a good one. */
struct hello {
	uint32_t version;
	const char *agent, *vm, *host, *domain;
	size_t vm_bytes; /* 0: strlen */
	size_t boot_bytes;
	uint64_t memory_bytes, zero_digest;
	uint32_t algorithm, page_bytes, bits;
	bool keyed, no_identity, from_the_future;
};

static const struct hello good = { .version = 1,
				   .agent = "a",
				   .vm = "web-1",
				   .host = "",
				   .domain = "t",
				   .boot_bytes = 16,
				   .algorithm = 1,
				   .page_bytes = 4096,
				   .bits = 64,
				   .keyed = true };

static void put_hello(const struct hello *h, struct mb_buf *out)
{
	struct mb_buf body = { 0 }, id = { 0 };

	pb_uint(&body, 1, h->version);
	pb_text(&body, 2, h->agent);
	pb_bytes(&body, 3, h->vm, h->vm_bytes ? h->vm_bytes : strlen(h->vm));
	pb_text(&body, 4, h->host);
	pb_bytes(&body, 5, "0123456789abcdefg", h->boot_bytes);
	pb_uint(&id, 1, h->algorithm);
	pb_uint(&id, 2, h->page_bytes);
	pb_uint(&id, 3, h->bits);
	pb_uint(&id, 4, h->keyed);
	pb_text(&id, 5, h->domain);
	pb_fixed64(&id, 6, h->zero_digest);
	if (h->from_the_future) {
		pb_uint(&id, 99, 1);
		pb_text(&body, 1000, "not known yet");
		pb_fixed64(&body, 536870911, 7);
		pb_text(out, 15, "beside the body");
	}
	if (h->no_identity)
		mb_buf_deinit(&id);
	else
		pb_message(&body, 6, &id);
	pb_uint(&body, 7, h->memory_bytes);
	pb_message(out, 1, &body);
}

static void hello_refused(struct hello h, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

	put_hello(&h, &raw);
	assert_refused(&raw, EBADMSG, word);
}

static void hello_taken(struct hello h, const char *vm)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	put_hello(&h, &raw);
	assert_ok(unpack(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.type, MB_MSG_HELLO);
	assert_string_equal(msg.hello.vm, vm);
	mb_msg_deinit(&msg);
}

static struct hello with_vm(const char *vm)
{
	struct hello h = good;

	h.vm = vm;
	return h;
}

static void test_names(void **state)
{
	char name[MB_NAME_MAX + 1];
	struct mb_err err = { 0 };
	struct hello h = good;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[MB_NAME_MAX] = 0;
	hello_refused(with_vm(name), "VM name of 128 bytes");
	assert_fails(mb_name_check(name, "x", &err), EINVAL, &err, "x name of 128");
	name[MB_NAME_MAX - 1] = 0;
	hello_taken(with_vm(name), name);
	hello_refused(with_vm(""), "VM name of 0 bytes");
	hello_refused(with_vm("a b"), "0x20");
	hello_refused(with_vm(" "), "0x20");
	hello_refused(with_vm("a\n"), "0x0a");
	hello_refused(with_vm("a\x7f"), "0x7f");
	hello_refused(with_vm("a\x1b[2J"), "0x1b");
	/* UTF-8 and what is no UTF-8. */
	hello_refused(with_vm("caf\xc3\xa9"), "0xc3");
	hello_refused(with_vm("\xff\xfe"), "0xff");
	hello_taken(with_vm("a/../b;$(x)\"'<>&"), "a/../b;$(x)\"'<>&");
	/* A NUL ends a string. */
	h.vm = "a\0b";
	h.vm_bytes = 3;
	hello_taken(h, "a");
	h.vm = "\0b";
	h.vm_bytes = 2;
	hello_refused(h, "VM name of 0 bytes");
	h = good;
	h.host = "a b";
	hello_refused(h, "host name");
	h.host = "rack2";
	hello_taken(h, "web-1");
}

static void test_texts(void **state)
{
	struct hello h = good;
	char text[402];

	(void)state;
	memset(text, 't', sizeof(text));
	text[401] = 0;
	h.agent = text;
	hello_refused(h, "field agent: 401 bytes");
	text[400] = 0;
	hello_taken(h, "web-1");
	h.agent = "free text of 1.0 ~";
	hello_taken(h, "web-1");
	h.agent = "two\nlines";
	hello_refused(h, "field agent: a byte 0x0a");
	h.agent = "\x1b]0;x\a";
	hello_refused(h, "field agent: a byte 0x1b");
	h.agent = "\xc3\xa9";
	hello_refused(h, "field agent: a byte 0xc3");
}

static void test_identity(void **state)
{
	struct hello h = good;
	char domain[MB_DOMAIN_MAX + 1];

	(void)state;
	h.no_identity = true;
	hello_refused(h, "field identity: missing");
	h = good;
	h.algorithm = 3;
	hello_refused(h, "algorithm 3");
	h.algorithm = UINT32_MAX;
	hello_refused(h, "algorithm");
	h = good;
	h.page_bytes = 4095;
	hello_refused(h, "page size");
	h.page_bytes = 1u << 31;
	hello_refused(h, "page size");
	h = good;
	h.bits = 0;
	hello_refused(h, "0-bit");
	h.bits = 65;
	hello_refused(h, "65-bit");
	h.bits = 48;
	hello_taken(h, "web-1");
	h.zero_digest = 1ull << 48;
	hello_refused(h, "zero page");
	h = good;
	h.algorithm = 2;
	h.bits = 32;
	hello_refused(h, "32-bit digests of keyed");
	h.keyed = false;
	hello_taken(h, "web-1");
	h = good;
	h.domain = "";
	hello_refused(h, "trust domain");
	h.domain = "a b";
	hello_refused(h, "0x20");
	memset(domain, 'd', sizeof(domain));
	domain[MB_DOMAIN_MAX] = 0;
	h.domain = domain;
	hello_refused(h, "identity.domain: 64 bytes");
	domain[MB_DOMAIN_MAX - 1] = 0;
	hello_taken(h, "web-1");
}

static void test_hello(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct hello h = good;
	struct mb_err err = { 0 };
	struct mb_msg msg;

	(void)state;
	hello_taken(good, "web-1");
	h.boot_bytes = 15;
	hello_refused(h, "field boot: 15 bytes");
	h.boot_bytes = 17;
	hello_refused(h, "field boot: 17 bytes");
	h.boot_bytes = 0;
	hello_refused(h, "field boot: 0 bytes");
	h = good;
	h.memory_bytes = 1ull << 63;
	hello_refused(h, "memory_bytes");
	h = good;
	h.from_the_future = true;
	hello_taken(h, "web-1");
	/* Another version's other fields may mean something else: it is only told apart. */
	h = good;
	h.version = 2;
	h.no_identity = true;
	h.vm = "";
	put_hello(&h, &raw);
	assert_ok(unpack(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.hello.version, 2);
	mb_msg_deinit(&msg);
}

/* --- the other messages ----------------------------------------------------------------------- */

static void put_id(struct mb_buf *b, uint32_t field, uint64_t pages, uint64_t distinct)
{
	struct mb_buf id = { 0 };

	pb_fixed64(&id, 1, 1);
	pb_fixed64(&id, 2, 2);
	pb_uint(&id, 3, pages);
	pb_uint(&id, 4, distinct);
	pb_message(b, field, &id);
}

static void put_pass(struct mb_buf *b, uint32_t field, uint32_t big, const char *tracker)
{
	struct mb_buf pass = { 0 };

	if (big)
		pb_uint(&pass, big, 1ull << 63);
	pb_text(&pass, 5, tracker);
	pb_message(b, field, &pass);
}

static void refused(uint32_t field, struct mb_buf *body, int code, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

	pb_message(&raw, field, body);
	assert_refused(&raw, code, word);
}

static void put_sample_of(struct mb_buf *b, uint64_t shift, uint64_t pages, uint64_t distinct,
			  uint64_t zero)
{
	struct mb_buf of = { 0 };

	pb_uint(b, 2, 1);
	put_pass(b, 8, 0, "none");
	if (shift)
		pb_uint(&of, 1, shift);
	pb_uint(&of, 2, pages);
	pb_uint(&of, 3, distinct);
	pb_uint(&of, 4, zero & 0xffffffff);
	if (zero >> 32)
		pb_uint(&of, 5, zero >> 32);
	pb_message(b, 13, &of);
}

static void test_sample(void **state)
{
	struct mb_buf b = { 0 };
	struct mb_msg msg;

	(void)state;
	put_sample_of(&b, 0, 10, 10, 0);
	refused(3, &b, EBADMSG, "field sample: a sample's shift of 0");
	put_sample_of(&b, 17, 10, 10, 0);
	refused(3, &b, EBADMSG, "field sample: a sample's shift of 17");
	put_sample_of(&b, 4, 1ull << 32, 10, 0);
	refused(3, &b, EBADMSG, "field sample: 4294967296 pages");
	put_sample_of(&b, 4, 10, 11, 0);
	refused(3, &b, EBADMSG, "10 pages, 11 distinct");
	put_sample_of(&b, 4, 10, 5, 11);
	refused(3, &b, EBADMSG, "11 zero");
	/* Cut, in the upper half of the last: to 15 bits, 32, and both. */
	put_sample_of(&b, 0, 10, 5, 15ull << 32);
	refused(3, &b, EBADMSG, "field sample: digests cut to 15 bits");
	put_sample_of(&b, 0, 10, 5, 32ull << 32);
	refused(3, &b, EBADMSG, "field sample: digests cut to 32 bits");
	put_sample_of(&b, 4, 10, 5, 20ull << 32);
	refused(3, &b, EBADMSG, "field sample: a sample of cut digests");
	/* Who does not know samples must not take one for all that the VM has. */
	sample_sampled_msg(MB_MSG_DELTA, &msg);
	assert_int_equal(mb_msg_must_understand(&msg), 0x02);
	assert_int_equal(b.len, 0);
	mb_msg_to_frame(&msg, &b, NULL);
	assert_int_equal(b.data[5], 0x02);
	mb_buf_deinit(&b);
	sample_cut_msg(MB_MSG_DELTA, &msg);
	assert_int_equal(mb_msg_must_understand(&msg), 0x04);
	sample_sampled_msg(MB_MSG_HELLO, &msg);
	assert_int_equal(mb_msg_must_understand(&msg), 0);
	sample_msg(MB_MSG_DELTA, &msg);
	assert_int_equal(mb_msg_must_understand(&msg), 0);
}

static void test_delta(void **state)
{
	static const struct {
		uint64_t base, epoch;
	} epochs[] = { { 0, 0 }, { 5, 5 }, { 5, 4 }, { 0, 1ull << 63 } };
	static const uint32_t figures[] = { 1, 2, 3, 6, 7, 8 };
	struct mb_buf b = { 0 };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(epochs); i++) {
		pb_uint(&b, 1, epochs[i].base);
		pb_uint(&b, 2, epochs[i].epoch);
		put_pass(&b, 8, 0, "none");
		refused(3, &b, EBADMSG, "Delta message: field epoch");
	}
	pb_uint(&b, 2, 1);
	refused(3, &b, EBADMSG, "field pass: missing");
	for (size_t i = 0; i < MB_ARRAY_LEN(figures); i++) {
		pb_uint(&b, 2, 1);
		put_pass(&b, 8, figures[i], "none");
		refused(3, &b, EBADMSG, "above 2^63");
	}
	pb_uint(&b, 2, 1);
	put_pass(&b, 8, 0, "a\tb");
	refused(3, &b, EBADMSG, "field pass.tracker: a byte 0x09");
	for (uint32_t field = 3; field <= 4; field++) {
		pb_uint(&b, 2, 1);
		put_pass(&b, 8, 0, "none");
		put_id(&b, field, 3, 4);
		refused(3, &b, EBADMSG, "3 pages, 4 distinct");
		pb_uint(&b, 2, 1);
		put_pass(&b, 8, 0, "none");
		put_id(&b, field, 1ull << 32, 4);
		refused(3, &b, EBADMSG, "4294967296 pages");
	}
}

/* --- guests ----------------------------------------------------------------------------------- */

static void guest_refused(uint32_t field, uint64_t value, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_buf body = { 0 }, pass = { 0 }, guest = { 0 };

	pb_uint(&guest, field, value);
	pb_message(&pass, 12, &guest);
	pb_uint(&body, 2, 1);
	pb_message(&body, 8, &pass);
	pb_message(&raw, 3, &body);
	assert_refused(&raw, EBADMSG, word);
}

static void test_guest(void **state)
{
	(void)state;
	for (uint32_t field = 1; field <= 4; field++)
		guest_refused(field, (uint64_t)1 << 63, "pass.guest: a figure above 2^63");
	guest_refused(6, 10001, "pass.guest.some_per_myriad: 10001 of 10000");
	guest_refused(7, 4294967295, "pass.guest.full_per_myriad: 4294967295 of 10000");
}

/* --- audits ----------------------------------------------------------------------------------- */

/* A Delta with an Audit by hand; absent fields are 0. */
struct audit {
	uint64_t audits, doubted, follows, flagged, flagged_changed;
	struct mb_slice changed, stale;
};

#define BYTES(s) ((struct mb_slice){ (const uint8_t *)(s), sizeof(s) - 1 })

static void put_audited(const struct audit *a, struct mb_buf *out)
{
	struct mb_buf body = { 0 }, pass = { 0 }, audit = { 0 };

	pb_uint(&audit, 1, a->audits);
	pb_uint(&audit, 2, a->follows);
	pb_bytes(&audit, 3, a->changed.data, a->changed.len);
	pb_bytes(&audit, 4, a->stale.data, a->stale.len);
	pb_uint(&audit, 5, a->flagged);
	pb_uint(&audit, 6, a->flagged_changed);
	pb_uint(&audit, 7, a->doubted);
	pb_uint(&audit, 77, 7);
	pb_message(&pass, 10, &audit);
	pb_uint(&body, 2, 1);
	pb_message(&body, 8, &pass);
	pb_message(out, 3, &body);
}

static void audit_refused(struct audit a, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

	put_audited(&a, &raw);
	assert_refused(&raw, EBADMSG, word);
}

static void audit_taken(struct audit a, struct mb_audit expected)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	put_audited(&a, &raw);
	assert_ok(unpack(mb_buf_slice(&raw), &msg, &err), &err);
	assert_audit_equal(&msg.delta.pass.audit, &expected);
	assert_true(survives(mb_buf_slice(&raw)));
	mb_msg_deinit(&msg);
}

#define MAX "\xff\xff\xff\xff\xff\xff\xff\xff\x7f" /* 2^63 - 1 */

static void test_audit(void **state)
{
	(void)state;
	audit_taken((struct audit){ .audits = 1 }, (struct mb_audit){ .audits = 1 });
	audit_taken((struct audit){ .audits = 3, .doubted = 2 },
		    (struct mb_audit){ .audits = 3, .doubted = 2 });
	/* Zeros at the end, and a varint that is longer than it need be. */
	audit_taken((struct audit){ .audits = 1,
				    .changed = BYTES("\0\5\0\0"),
				    .stale = BYTES("\0\x83\x80\0\0\0\0\0\0\0\0\0\0\0\0\0\0") },
		    (struct mb_audit){ .audits = 1, .changed = { 0, 5 }, .stale = { 0, 3 } });
	/* Two classes that we do not know, the second as high as can be. */
	audit_taken((struct audit){ .audits = UINT32_MAX,
				    .doubted = UINT32_MAX,
				    .follows = UINT32_MAX,
				    .changed = BYTES("\1\0\0\0\0\0\0\0\0\2\3\0\0\0\0\0"
						     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\4"),
				    .stale = BYTES("\0\0\0\0\0\0\0\0\0\0\3") },
		    (struct mb_audit){ .audits = UINT32_MAX,
				       .doubted = UINT32_MAX,
				       .follows = (1 << MB_CLASS_END) - 1,
				       .changed = { 8, [MB_CLASS_BUFFER] = 2 },
				       .stale = { 3 } });
	/* All there is. */
	audit_taken((struct audit){ .audits = 1,
				    .flagged = INT64_MAX,
				    .flagged_changed = INT64_MAX,
				    .changed = BYTES("\0\0" MAX),
				    .stale = BYTES("\0\0" MAX) },
		    (struct mb_audit){ .audits = 1,
				       .changed = { 0, 0, INT64_MAX },
				       .stale = { 0, 0, INT64_MAX },
				       .flagged = INT64_MAX,
				       .flagged_changed = INT64_MAX });
}

static void test_bad_audit(void **state)
{
	static const struct audit one = { .audits = 1 };
	struct audit a = one;

	(void)state;
	audit_refused((struct audit){ .follows = 2 }, "Delta message: field pass.audit.audits: 0");
	a.doubted = 2;
	audit_refused(a, "Delta message: field pass.audit.doubted: 2 of 1 audits");
	a.doubted = UINT32_MAX;
	audit_refused(a, "pass.audit.doubted: 4294967295 of 1 audits");
	a.doubted = 0;
	a.flagged = 4;
	a.flagged_changed = 5;
	audit_refused(a, "pass.audit.flagged_changed: 5 of 4");
	a.flagged = 1ull << 63;
	audit_refused(a, "pass.audit.flagged_changed");
	a = one;
	a.changed = BYTES("\5\5");
	a.stale = BYTES("\0\6");
	audit_refused(a, "pass.audit.stale: 6 of 5 changed pages of class anon");
	a.stale = BYTES("\0\0\1");
	audit_refused(a, "pass.audit.stale: 1 of 0 changed pages of class file");
	/* Of a class that we do not know. */
	a.stale = BYTES("\0\0\0\0\0\0\0\0\0\0\6");
	audit_refused(a, "pass.audit.stale: 6 of 5 changed pages of class unknown");
	/* Varints: cut, of more than 64 bits, above 2^63, and a sum that is. */
	a = one;
	a.changed = BYTES("\1\x80");
	audit_refused(a, "pass.audit.changed: bad varint, or above 2^63, at class 1");
	a.changed = BYTES("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02");
	audit_refused(a, "pass.audit.changed: bad varint, or above 2^63, at class 0");
	a.changed = BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\0");
	audit_refused(a, "pass.audit.changed: bad varint, or above 2^63, at class 0");
	a.changed = BYTES("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01");
	audit_refused(a, "pass.audit.changed: bad varint, or above 2^63, at class 0");
	a.changed = BYTES(MAX "\1");
	audit_refused(a, "pass.audit.changed: bad varint, or above 2^63, at class 1");
	a.changed = BYTES("\1");
	a.stale = BYTES("\1\xff");
	audit_refused(a, "pass.audit.stale: bad varint, or above 2^63, at class 1");
	/* One class too many, though it is none. */
	a = one;
	a.changed = BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
	audit_refused(a, "pass.audit.changed: more than 32 classes");
}

/* Who sums up none sends none. */
static void test_no_audit(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 }, plain = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	(void)state;
	sample_msg(MB_MSG_DELTA, &msg);
	assert_ok(mb_msg_pack(&msg, &plain, &err), &err);
	msg.delta.pass.audit.follows = 3;
	assert_ok(mb_msg_pack(&msg, &raw, &err), &err);
	assert_int_equal(raw.len, plain.len);
}

static void test_bad_who(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	(void)state;
	sample_who_msg(&msg);
	msg.delta.pass.who.len--;
	assert_ok(mb_msg_pack(&msg, &raw, &err), &err);
	assert_refused(&raw, EBADMSG, "Delta message: field pass.who: row 2: frames");
}

static void test_versions(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_buf b = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_int_equal(mb_version_common(1, 1, 1, 1), 1);
	assert_int_equal(mb_version_common(1, 9, 1, 1), 1);
	assert_int_equal(mb_version_common(1, 1, 1, 9), 1);
	assert_int_equal(mb_version_common(2, 5, 3, 4), 4);
	assert_int_equal(mb_version_common(3, 4, 2, 5), 4);
	assert_int_equal(mb_version_common(1, 2, 3, 4), 0);
	assert_int_equal(mb_version_common(3, 4, 1, 2), 0);
	assert_int_equal(mb_version_common(0, 0, 1, 1), 0);
	/* The range of who says no newest one. */
	sample_raw(MB_MSG_HELLO, &raw);
	assert_ok(mb_msg_unpack(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.hello.newest_version, 1);
	mb_msg_deinit(&msg);
	/* Of a Welcome in another version that is all that is read. */
	mb_buf_clear(&raw);
	pb_uint(&b, 1, 2);
	pb_text(&b, 2, "a\nb");
	pb_message(&raw, 2, &b);
	assert_ok(mb_msg_unpack(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.welcome.version, 2);
}

static void test_the_rest(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_buf b = { 0 };

	(void)state;
	pb_uint(&b, 1, 1);
	refused(2, &b, EBADMSG, "Welcome message: field boot");
	pb_uint(&b, 1, 1);
	pb_text(&b, 2, "a\nb");
	refused(2, &b, EBADMSG, "field server");
	put_id(&b, 2, 0, 1);
	refused(4, &b, EBADMSG, "Ack message: field fingerprint");
	pb_text(&b, 1, "a\nb");
	refused(5, &b, EBADMSG, "Resync message: field reason");
	pb_text(&b, 2, "\xff");
	refused(6, &b, EBADMSG, "Refusal message: field reason");
	pb_uint(&b, 1, 2);
	refused(16, &b, EPROTONOSUPPORT, "trace version 2");
	pb_uint(&b, 1, 1);
	refused(16, &b, EBADMSG, "field boot");
	pb_uint(&b, 1, 1);
	refused(18, &b, EBADMSG, "TraceEpoch message: field pass: missing");
	/* A kind that is not known, a known one of another wire type, and none. */
	pb_text(&b, 1, "x");
	refused(7, &b, EBADMSG, "no known kind");
	pb_uint(&raw, 1, 1);
	assert_refused(&raw, EBADMSG, "no protobuf");
	mb_buf_clear(&raw);
	assert_refused(&raw, EBADMSG, "no known kind");
}

/* --- how much it may take --------------------------------------------------------------------- */

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
		assert_refused(&raw, EBADMSG, "no protobuf");
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
	put_pass(&b, 8, 0, "none");
	pb_bytes(&b, 9, bytes, N / 8);
	pb_bytes(&b, 10, bytes, N / 8);
	pb_bytes(&b, 12, bytes, N);
	pb_message(&raw, 3, &b);
	assert_ok(unpack(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.delta.fields.added.len, N);
	mb_msg_deinit(&msg);

	/* The same long field again and again is taken while it fits, then refused. */
	mb_buf_clear(&raw);
	pb_uint(&b, 2, 1);
	put_pass(&b, 8, 0, "none");
	for (int i = 0; i < 64; i++)
		pb_bytes(&b, 12, bytes, N / 64);
	pb_message(&raw, 3, &b);
	assert_ok(unpack(mb_buf_slice(&raw), &msg, &err), &err);
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
		assert_refused(&raw, EBADMSG, "no protobuf");
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
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_hello),
		cmocka_unit_test(test_delta),
		cmocka_unit_test(test_guest),
		cmocka_unit_test(test_sample),
		cmocka_unit_test(test_audit),
		cmocka_unit_test(test_bad_audit),
		cmocka_unit_test(test_no_audit),
		cmocka_unit_test(test_bad_who),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_the_rest),
		cmocka_unit_test(test_tiny_fields),
		cmocka_unit_test(test_long_fields),
		cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests_name("msg", tests, NULL, NULL);
}
