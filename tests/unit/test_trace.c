// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_wire.h"

#include "proto/base/cleanup.h"
#include "proto/trace.h"

enum { PAGES_PER_FRAME = 1 << 20 };

static void put_header(struct mb_buf *out)
{
	struct mb_msg msg;
	struct mb_err err = { 0 };

	sample_msg(MB_MSG_TRACE_HEADER, &msg);
	assert_ok(mb_trace_put_header(&msg.trace_header, out, &err), &err);
}

static void put_epoch(uint64_t epoch, const struct mb_page *pages, size_t n, struct mb_buf *out)
{
	struct mb_trace_epoch e = { .epoch = epoch, .pass.tracker = "none" };
	struct mb_err err = { 0 };

	e.fingerprint.pages = n;
	for (size_t i = 0; i < n; i++)
		mb_multiset_hash_add(&e.fingerprint.hash, pages[i].digest, 1);
	assert_ok(mb_trace_put_epoch(&e, out, &err), &err);
}

/* By ascending frame, with holes. */
static void random_pages(struct rng *rng, struct mb_page *pages, size_t n)
{
	uint64_t frame = rng_below(rng, 3) << rng_below(rng, 50);

	for (size_t i = 0; i < n; i++) {
		pages[i] = (struct mb_page){ .frame = frame,
					     .digest = rng_next(rng),
					     .cls = (uint8_t)rng_below(rng, MB_CLASS_END),
					     .flags = (uint8_t)(1 << rng_below(rng, 8)) };
		frame += 1 + (rng_below(rng, 4) ? 0 : rng_below(rng, 1000));
	}
}

/* Reads all epochs; returns how the last read ended (-ENODATA when well). */
static int read_all(struct mb_slice bytes, uint64_t *ret_epochs, uint64_t *ret_pages,
		    struct mb_err *err)
{
	struct memory m = { .data = bytes };
	struct mb_reader reader = memory_reader(&m);
	struct mb_trace_epoch epoch;
	const struct mb_page *pages;
	struct mb_trace *t;
	size_t n;
	int r;

	*ret_epochs = *ret_pages = 0;
	err->text[0] = 0;
	r = mb_trace_open(&reader, &t, err);
	if (r < 0)
		return r;
	while ((r = mb_trace_next(t, &pages, &n, &epoch, err)) == 0) {
		for (size_t i = 1; i < n; i++)
			assert_true(pages[i].frame > pages[i - 1].frame);
		++*ret_epochs;
		*ret_pages += n;
	}
	mb_trace_close(t);
	return r;
}

static void assert_bad(const struct mb_buf *b, int code, const char *word)
{
	struct mb_err err = { 0 };
	uint64_t epochs, pages;

	assert_fails(read_all(mb_buf_slice(b), &epochs, &pages, &err), code, &err, word);
}

static void test_round_trip(void **state)
{
	enum { EPOCHS = 3, N = 500 };
	static struct mb_page pages[EPOCHS][N];
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct memory m = { 0 };
	struct mb_reader reader = memory_reader(&m);
	struct mb_msg header;
	struct mb_trace_epoch epoch;
	const struct mb_page *got;
	struct rng rng = { 20 };
	struct mb_err err = { 0 };
	struct mb_trace *t;
	size_t n;

	(void)state;
	put_header(&b);
	for (int e = 0; e < EPOCHS; e++) {
		random_pages(&rng, pages[e], N);
		/* In two calls, as a source delivers; the last epoch is empty. */
		if (e < 2) {
			assert_ok(mb_trace_put_pages(pages[e], 200, &b, &err), &err);
			assert_ok(mb_trace_put_pages(pages[e] + 200, N - 200, &b, &err), &err);
		}
		put_epoch((uint64_t)e + 1, pages[e], e < 2 ? N : 0, &b);
	}
	m.data = mb_buf_slice(&b);
	assert_ok(mb_trace_open(&reader, &t, &err), &err);
	assert_false(mb_trace_is_seed(t));
	sample_msg(MB_MSG_TRACE_HEADER, &header);
	assert_msg_equal(&(struct mb_msg){ .type = MB_MSG_TRACE_HEADER,
					   .trace_header = *mb_trace_get_header(t) },
			 &header);
	for (int e = 0; e < EPOCHS; e++) {
		assert_ok(mb_trace_next(t, &got, &n, &epoch, &err), &err);
		assert_int_equal(epoch.epoch, e + 1);
		assert_int_equal(n, e < 2 ? N : 0);
		for (size_t i = 0; i < n; i++) {
			assert_true(got[i].frame == pages[e][i].frame);
			assert_true(got[i].digest == pages[e][i].digest);
			assert_int_equal(got[i].cls, pages[e][i].cls);
			assert_int_equal(got[i].flags, pages[e][i].flags);
		}
	}
	assert_int_equal(mb_trace_next(t, &got, &n, &epoch, &err), -ENODATA);
	assert_int_equal(mb_trace_next(t, &got, &n, &epoch, &err), -ENODATA);
	mb_trace_close(t);
}

/* A cut is noticed wherever it is, but for the ends of epochs, where a trace may end. */
static void test_every_truncation(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_page pages[8];
	struct rng rng = { 21 };
	struct mb_err err = { 0 };
	uint64_t epochs, n_pages;
	size_t ends[3];

	(void)state;
	put_header(&b);
	ends[0] = b.len;
	for (int e = 1; e <= 2; e++) {
		random_pages(&rng, pages, 8);
		assert_ok(mb_trace_put_pages(pages, 5, &b, &err), &err);
		assert_ok(mb_trace_put_pages(pages + 5, 3, &b, &err), &err);
		put_epoch((uint64_t)e, pages, 8, &b);
		ends[e] = b.len;
	}
	for (size_t n = 0; n <= b.len; n++) {
		int r = read_all((struct mb_slice){ b.data, n }, &epochs, &n_pages, &err);
		bool end = n == ends[0] || n == ends[1] || n == ends[2];

		assert_int_equal(r, end ? -ENODATA : -EBADMSG);
		assert_int_equal(epochs, (n >= ends[1]) + (n >= ends[2]));
		assert_int_equal(n_pages, 8 * epochs);
		assert_true(end || strstr(err.text, n ? "file ends inside" : "empty file"));
	}
}

/* Either the same pages or a refusal. */
static void test_every_bit_flip(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_page pages[4];
	struct rng rng = { 22 };
	struct mb_err err = { 0 };
	uint64_t epochs, n_pages;

	(void)state;
	put_header(&b);
	random_pages(&rng, pages, 4);
	assert_ok(mb_trace_put_pages(pages, 4, &b, &err), &err);
	put_epoch(1, pages, 4, &b);
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		int r;

		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		r = read_all(mb_buf_slice(&b), &epochs, &n_pages, &err);
		assert_true(r < 0 && (r != -ENODATA || (epochs == 1 && n_pages == 4)));
		assert_true(err.text[0]);
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void test_wrong_end(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_page pages[4];
	struct rng rng = { 23 };
	struct mb_err err = { 0 };
	size_t begin;

	(void)state;
	random_pages(&rng, pages, 4);
	put_header(&b);
	assert_ok(mb_trace_put_pages(pages, 4, &b, &err), &err);
	begin = b.len;
	pages[3].digest ^= 1;
	put_epoch(1, pages, 4, &b);
	assert_bad(&b, EBADMSG, "trace frame 3: epoch 1 has 4 pages, but its end names 4");
	b.len = begin;
	put_epoch(1, pages, 3, &b);
	assert_bad(&b, EBADMSG, "its end names 3");
	b.len = begin;
	put_header(&b);
	assert_bad(&b, EBADMSG, "trace frame 3: a TraceHeader message in a trace");
	b.len = 0;
	put_epoch(1, pages, 0, &b);
	assert_bad(&b, EBADMSG, "trace frame 1: starts with a TraceEpoch message");
}

/* --- TracePages by hand ----------------------------------------------------------------------- */

static void put_pages(struct mb_trace_pages p, struct mb_buf *out)
{
	struct mb_msg msg = { .type = MB_MSG_TRACE_PAGES, .trace_pages = p };
	struct mb_err err = { 0 };

	assert_ok(mb_msg_to_frame(&msg, out, &err), &err);
}

/* Two pages in the given runs of frames. */
static void two_pages(const char *frames, size_t n, struct mb_buf *out)
{
	static const uint8_t digests[16] = { 1 }, runs[] = { 0, 2 };

	put_pages((struct mb_trace_pages){ 2,
					   { (const uint8_t *)frames, n },
					   { runs, 2 },
					   { runs, 2 },
					   { digests, 16 } },
		  out);
}

static void frames_refused(const char *frames, size_t n, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };

	put_header(&b);
	two_pages(frames, n, &b);
	assert_bad(&b, EBADMSG, word);
}

#define TEXT(s) s, sizeof(s) - 1

static void test_frames(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	size_t begin;

	(void)state;
	frames_refused(TEXT(""), "0 of 2 pages");
	frames_refused(TEXT("\x00\x01"), "1 of 2 pages");
	frames_refused(TEXT("\x00\x03"), "bad run after 0");
	frames_refused(TEXT("\x00\x00"), "bad run after 0");
	frames_refused(TEXT("\x00"), "bad run after 0");
	frames_refused(TEXT("\x00\x01\x00\x02"), "bad run after 1");
	frames_refused(TEXT("\x00\x80"), "bad run after 0");
	/* Frame 2^52, one more than there are; 2^52 - 1 and the one after it. */
	frames_refused(TEXT("\x80\x80\x80\x80\x80\x80\x80\x08\x02"), "above 2^52");
	frames_refused(TEXT("\xff\xff\xff\xff\xff\xff\xff\x07\x02"), "above 2^52");
	/* Far, then on by so much that the sum wraps to frame 0. */
	frames_refused(TEXT("\x80\x80\x80\x80\x80\x80\x80\x08\x01"
			    "\xff\xff\xff\xff\xff\xff\xff\xf7\xff\x01\x01"),
		       "above 2^52");
	frames_refused(TEXT("\x05\x01\xfa\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"), "above 2^52");

	/* The next message counts from frame 0 again, and must not go back. */
	put_header(&b);
	two_pages(TEXT("\x05\x02"), &b);
	begin = b.len;
	two_pages(TEXT("\x06\x02"), &b);
	assert_bad(&b, EBADMSG, "trace frame 3: field frames: not ascending");
	b.len = begin;
	two_pages(TEXT("\x07\x02"), &b);
	assert_bad(&b, EBADMSG, "ends inside an epoch");
}

static void pages_refused(struct mb_trace_pages p, const char *word)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };

	put_header(&b);
	put_pages(p, &b);
	assert_bad(&b, EBADMSG, word);
}

static void test_runs_and_digests(void **state)
{
	struct mb_trace_pages good, p;
	struct mb_msg msg;

	(void)state;
	sample_msg(MB_MSG_TRACE_PAGES, &msg);
	good = msg.trace_pages;
	p = good;
	p.n_pages = 5;
	pages_refused(p, "field digests: 32 bytes for 5 pages");
	p.n_pages = UINT32_MAX;
	pages_refused(p, "field digests");
	p = good;
	p.digests.len = 31;
	pages_refused(p, "field digests");
	p = good;
	p.classes.len = 2;
	pages_refused(p, "field classes: 2 of 4 pages");
	p.classes.len = 3;
	pages_refused(p, "field classes: bad run after 2");
	p.classes = (struct mb_slice){ (const uint8_t *)"\x01\x05", 2 };
	pages_refused(p, "field classes: bad run after 0");
	p.classes.data = (const uint8_t *)"\x01\x00";
	pages_refused(p, "field classes: bad run after 0");
	p = good;
	p.flags.len = 0;
	pages_refused(p, "field flags: 0 of 4 pages");
}

static void test_digests_within_their_bits(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_page page = { .digest = 1ull << 48 };
	struct mb_msg msg;
	struct mb_err err = { 0 };

	(void)state;
	sample_msg(MB_MSG_TRACE_HEADER, &msg);
	msg.trace_header.identity.bits = 48;
	msg.trace_header.identity.zero_digest = 1;
	assert_ok(mb_trace_put_header(&msg.trace_header, &b, &err), &err);
	assert_ok(mb_trace_put_pages(&page, 1, &b, &err), &err);
	put_epoch(1, &page, 1, &b);
	assert_bad(&b, EBADMSG, "more than 48 bits");
}

static void test_classes_of_later_versions(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_page pages[] = {
		{ .frame = 1, .cls = MB_CLASS_BUFFER, .flags = MB_PAGE_KSM },
		{ .frame = 2, .cls = MB_CLASS_END },
		{ .frame = 3, .cls = 200, .flags = 0xff },
	};
	struct memory m;
	struct mb_reader reader = memory_reader(&m);
	struct mb_trace_epoch epoch;
	const struct mb_page *got;
	struct mb_err err = { 0 };
	struct mb_trace *t;
	size_t n;

	(void)state;
	put_header(&b);
	assert_ok(mb_trace_put_pages(pages, 3, &b, &err), &err);
	put_epoch(1, pages, 3, &b);
	m = (struct memory){ .data = mb_buf_slice(&b) };
	assert_ok(mb_trace_open(&reader, &t, &err), &err);
	assert_ok(mb_trace_next(t, &got, &n, &epoch, &err), &err);
	assert_int_equal(got[0].cls, MB_CLASS_BUFFER);
	assert_int_equal(got[0].flags, MB_PAGE_KSM);
	assert_int_equal(got[1].cls, MB_CLASS_UNKNOWN);
	assert_int_equal(got[2].cls, MB_CLASS_UNKNOWN);
	assert_int_equal(got[2].flags, 0xff);
	mb_trace_close(t);
}

/* Where the writer cuts: one page more than a message holds. */
static void test_chunk_border(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_page *pages = calloc(PAGES_PER_FRAME + 1, sizeof(*pages));
	uint64_t epochs, n_pages;
	struct mb_err err = { 0 };

	(void)state;
	assert_non_null(pages);
	for (size_t i = 0; i <= PAGES_PER_FRAME; i++)
		pages[i] = (struct mb_page){ .frame = i + 7, .digest = i / 512 };
	put_header(&b);
	assert_ok(mb_trace_put_pages(pages, PAGES_PER_FRAME + 1, &b, &err), &err);
	put_epoch(1, pages, PAGES_PER_FRAME + 1, &b);
	assert_int_equal(read_all(mb_buf_slice(&b), &epochs, &n_pages, &err), -ENODATA);
	assert_int_equal(epochs, 1);
	assert_int_equal(n_pages, PAGES_PER_FRAME + 1);
	free(pages);
}

static void test_no_trace_at_all(void **state)
{
	static const struct {
		const char *text, *word;
	} bad[] = { { "", "empty file" },
		    { "M", "ends inside a frame header" },
		    { "MBF", "ends inside a frame header" },
		    { "Memory Buddies are not this", "not a Memory Buddies frame" },
		    { "\x7f"
		      "ELF",
		      "byte 0x7f" },
		    { "1\n\n", "line 2: empty" },
		    { "12345678901", "above 32 bits" } };

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++) {
		struct mb_buf b = { 0 };

		mb_buf_put(&b, bad[i].text, strlen(bad[i].text));
		assert_bad(&b, EBADMSG, bad[i].word);
		mb_buf_deinit(&b);
	}
}

static void test_seed(void **state)
{
	static const char *const texts[] = { "3051824092\n5\n5\n", "3051824092\n5\n5", "7" };
	static const uint64_t expected[] = { 3, 3, 1 };
	struct memory m = { .data = { (const uint8_t *)texts[1], 14 } };
	struct mb_reader reader = memory_reader(&m);
	struct mb_trace_epoch epoch;
	const struct mb_page *pages;
	uint64_t epochs, n_pages;
	struct mb_err err = { 0 };
	struct mb_trace *t;
	size_t n;

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct mb_slice s = { (const uint8_t *)texts[i], strlen(texts[i]) };

		assert_int_equal(read_all(s, &epochs, &n_pages, &err), -ENODATA);
		assert_int_equal(epochs, 1);
		assert_int_equal(n_pages, expected[i]);
	}
	assert_ok(mb_trace_open(&reader, &t, &err), &err);
	assert_true(mb_trace_is_seed(t));
	assert_int_equal(mb_trace_get_header(t)->identity.algorithm, MB_SUPERFASTHASH32);
	assert_int_equal(mb_trace_get_header(t)->identity.bits, 32);
	assert_ok(mb_trace_next(t, &pages, &n, &epoch, &err), &err);
	assert_int_equal(epoch.fingerprint.pages, 3);
	assert_int_equal(pages[0].flags, MB_PAGE_ZERO);
	assert_int_equal(pages[1].flags, 0);
	assert_int_equal(pages[2].frame, 2);
	assert_int_equal(pages[2].digest, 5);
	mb_trace_close(t);
}

static int broken_read(void *ctx, uint8_t *data, size_t n, size_t *ret_n, struct mb_err *err)
{
	(void)ctx, (void)data, (void)n;
	*ret_n = 0;
	return mb_fail(err, EIO, "disk on fire");
}

static void test_reader_fails(void **state)
{
	struct mb_reader reader = { broken_read, NULL };
	struct mb_err err = { 0 };
	struct mb_trace *t;

	(void)state;
	assert_fails(mb_trace_open(&reader, &t, &err), EIO, &err, "disk on fire");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_truncation),
		cmocka_unit_test(test_every_bit_flip),
		cmocka_unit_test(test_wrong_end),
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_runs_and_digests),
		cmocka_unit_test(test_digests_within_their_bits),
		cmocka_unit_test(test_classes_of_later_versions),
		cmocka_unit_test(test_chunk_border),
		cmocka_unit_test(test_no_trace_at_all),
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_reader_fails),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
