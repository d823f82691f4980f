// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/msg_check.h"

#include "proto/base/cleanup.h"
#include "tests/unit/util_msg.h"

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
	assert_msg_refused(&raw, EBADMSG, word);
}

static void hello_taken(struct hello h, const char *vm)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	put_hello(&h, &raw);
	assert_ok(unpack_exact(mb_buf_slice(&raw), &msg, &err), &err);
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
	assert_ok(unpack_exact(mb_buf_slice(&raw), &msg, &err), &err);
	assert_int_equal(msg.hello.version, 2);
	mb_msg_deinit(&msg);
}

static void put_id(struct mb_buf *b, uint32_t field, uint64_t pages, uint64_t distinct)
{
	struct mb_buf id = { 0 };

	pb_fixed64(&id, 1, 1);
	pb_fixed64(&id, 2, 2);
	pb_uint(&id, 3, pages);
	pb_uint(&id, 4, distinct);
	pb_message(b, field, &id);
}

static void refused(uint32_t field, struct mb_buf *body, int code, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };

	pb_message(&raw, field, body);
	assert_msg_refused(&raw, code, word);
}

static void put_sample_of(struct mb_buf *b, uint64_t shift, uint64_t pages, uint64_t distinct,
			  uint64_t zero)
{
	struct mb_buf of = { 0 };

	pb_uint(b, 2, 1);
	pb_pass(b, 8, 0, "none");
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
		pb_pass(&b, 8, 0, "none");
		refused(3, &b, EBADMSG, "Delta message: field epoch");
	}
	pb_uint(&b, 2, 1);
	refused(3, &b, EBADMSG, "field pass: missing");
	for (size_t i = 0; i < MB_ARRAY_LEN(figures); i++) {
		pb_uint(&b, 2, 1);
		pb_pass(&b, 8, figures[i], "none");
		refused(3, &b, EBADMSG, "above 2^63");
	}
	pb_uint(&b, 2, 1);
	pb_pass(&b, 8, 0, "a\tb");
	refused(3, &b, EBADMSG, "field pass.tracker: a byte 0x09");
	for (uint32_t field = 3; field <= 4; field++) {
		pb_uint(&b, 2, 1);
		pb_pass(&b, 8, 0, "none");
		put_id(&b, field, 3, 4);
		refused(3, &b, EBADMSG, "3 pages, 4 distinct");
		pb_uint(&b, 2, 1);
		pb_pass(&b, 8, 0, "none");
		put_id(&b, field, 1ull << 32, 4);
		refused(3, &b, EBADMSG, "4294967296 pages");
	}
}

static void guest_refused(uint32_t field, uint64_t value, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_buf body = { 0 }, pass = { 0 }, guest = { 0 };

	pb_uint(&guest, field, value);
	pb_message(&pass, 12, &guest);
	pb_uint(&body, 2, 1);
	pb_message(&body, 8, &pass);
	pb_message(&raw, 3, &body);
	assert_msg_refused(&raw, EBADMSG, word);
}

static void test_guest(void **state)
{
	(void)state;
	for (uint32_t field = 1; field <= 4; field++)
		guest_refused(field, (uint64_t)1 << 63, "pass.guest: a figure above 2^63");
	guest_refused(6, 10001, "pass.guest.some_per_myriad: 10001 of 10000");
	guest_refused(7, 4294967295, "pass.guest.full_per_myriad: 4294967295 of 10000");
}

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
	assert_msg_refused(&raw, EBADMSG, word);
}

static void audit_taken(struct audit a, struct mb_audit expected)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	struct mb_err err = { 0 };
	struct mb_msg msg;

	put_audited(&a, &raw);
	assert_ok(unpack_exact(mb_buf_slice(&raw), &msg, &err), &err);
	assert_audit_equal(&msg.delta.pass.audit, &expected);
	assert_true(msg_survives(mb_buf_slice(&raw)));
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
	assert_msg_refused(&raw, EBADMSG, "Delta message: field pass.who: row 2: frames");
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
	pb_bytes(&b, 3, "0123456789abcdef", MB_BOOT_BYTES);
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
	assert_msg_refused(&raw, EBADMSG, "no protobuf");
	mb_buf_clear(&raw);
	assert_msg_refused(&raw, EBADMSG, "no known kind");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("msg_check", tests, NULL, NULL);
}
