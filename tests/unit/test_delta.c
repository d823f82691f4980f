// SPDX-License-Identifier: GPL-2.0-or-later
/* The algebra, through the whole chain: make, encode, message, frame, and all the way back. */
#include "tests/unit/util_wire.h"

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/frame.h"
#include "proto/trace.h"

/* A delta's frame. */
static void send(const struct mb_fingerprint *a, const struct mb_fingerprint *b, uint32_t bits,
		 struct mb_buf *frame)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf fields = { 0 };
	struct mb_msg msg = { .type = MB_MSG_DELTA,
			      .delta = { .epoch = 1, .pass.tracker = "none" } };
	struct mb_err err = { 0 };

	assert_ok(mb_delta_make(a, b, &d, &err), &err);
	assert_ok(mb_delta_encode(&d, bits, &fields, &msg.delta.fields, &err), &err);
	mb_buf_clear(frame);
	assert_ok(mb_msg_to_frame(&msg, frame, &err), &err);
}

/* The frame of a Delta, decoded and applied to `base`. */
static int receive(const struct mb_fingerprint *base, const struct mb_buf *frame, uint32_t bits,
		   struct mb_fingerprint *ret, struct mb_err *err)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	mb_cleanup(mb_buf_deinit) struct mb_buf raw = { 0 };
	mb_cleanup(mb_msg_deinit) struct mb_msg msg = { 0 };
	struct mb_slice s = mb_buf_slice(frame);

	assert_ok(mb_frame_take(&s, MB_FRAME_RAW_MAX, &raw, err), err);
	assert_int_equal(s.len, 0);
	assert_ok(mb_msg_unpack(mb_buf_slice(&raw), &msg, err), err);
	assert_int_equal(msg.type, MB_MSG_DELTA);
	assert_ok(mb_delta_decode(&msg.delta.fields, bits, &d, err), err);
	return mb_delta_apply(base, &d, ret, err);
}

/* As counted without the delta. */
static void check_gained(const struct mb_fingerprint *a, const struct mb_fingerprint *b)
{
	mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
	struct mb_pair_sharing s;
	struct mb_err err = { 0 };
	uint64_t gained;

	assert_ok(mb_delta_make(a, b, &d, &err), &err);
	gained = mb_delta_gained(a, &d);
	mb_fingerprint_pair_sharing(a, b, &s);
	assert_int_equal(gained, s.gained);
	assert_int_equal(a->n_pages + gained - b->n_pages, s.lost);
}

static void check_pair(const struct mb_fingerprint *a, const struct mb_fingerprint *b,
		       uint32_t bits)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	struct mb_fingerprint got;
	struct mb_err err = { 0 };

	send(a, b, bits, &frame);
	assert_ok(receive(a, &frame, bits, &got, &err), &err);
	assert_fingerprint_equal(&got, b);
	check_gained(a, b);
	mb_fingerprint_deinit(&got);
}

/* About `n` digests each; about `overlap` per cent of b's are a's. */
static void random_pair(struct rng *r, size_t n, uint32_t bits, unsigned int overlap,
			uint64_t space, struct mb_fingerprint *a, struct mb_fingerprint *b)
{
	size_t m = rng_below(r, 2 * n + 1);
	uint64_t *d = malloc((m + 1) * sizeof(*d));

	assert_non_null(d);
	if (!space || space - 1 > mb_digest_max(bits))
		space = bits == 64 ? 0 : mb_digest_max(bits) + 1;
	random_fingerprint(r, n, space, a);
	for (size_t i = 0; i < m; i++) {
		if (a->n_distinct && rng_below(r, 100) < overlap)
			d[i] = a->digests[rng_below(r, a->n_distinct)];
		else
			d[i] = space ? rng_below(r, space) : rng_next(r);
	}
	assert_int_equal(mb_fingerprint_from_digests(b, d, m, NULL), 0);
	free(d);
}

static void test_random_pairs(void **state)
{
	static const uint32_t bits[] = { 32, 48, 64 };
	static const unsigned int overlaps[] = { 0, 5, 50, 97, 100 };
	/* The tiny spaces make copies that change; the first is the whole one. */
	static const uint64_t spaces[] = { 0, 2, 20, 300, 100000 };
	struct rng rng = { 12 };

	(void)state;
	for (int round = 0; round < 6; round++) {
		for (size_t i = 0; i < 3 * 5 * 5; i++) {
			uint32_t w = bits[i % 3];
			struct mb_fingerprint a, b, none = { 0 };
			size_t n = rng_below(&rng, round < 5 ? 400 : 4000);

			random_pair(&rng, n, w, overlaps[i / 3 % 5], spaces[i / 15], &a, &b);
			check_pair(&a, &b, w);
			check_pair(&b, &a, w);
			check_pair(&a, &a, w);
			check_pair(&none, &a, w);
			check_pair(&a, &none, w);
			mb_fingerprint_deinit(&a);
			mb_fingerprint_deinit(&b);
		}
	}
}

static void test_extremes(void **state)
{
	struct mb_fingerprint a, b, none = { 0 };

	(void)state;
	check_pair(&none, &none, 64);
	assert_int_equal(mb_fingerprint_init(&b, 2, 2, NULL), 0);
	mb_fingerprint_push(&b, 0, 1);
	mb_fingerprint_push(&b, UINT64_MAX, 1);
	/* As many copies as a VM may have pages. */
	assert_int_equal(mb_fingerprint_init(&a, 2, 2, NULL), 0);
	mb_fingerprint_push(&a, 0, UINT32_MAX - 2);
	mb_fingerprint_push(&a, UINT64_MAX, 2);
	check_pair(&a, &b, 64);
	check_pair(&b, &a, 64);
	check_pair(&none, &a, 64);
	check_pair(&a, &none, 64);
	mb_fingerprint_deinit(&a);
	mb_fingerprint_deinit(&b);
}

/* Epoch after epoch by deltas ends where building from scratch ends, hash included. */
static void test_sequence(void **state)
{
	uint64_t pages[500], copy[500];
	struct mb_fingerprint held = { 0 };
	struct rng rng = { 13 };

	(void)state;
	for (size_t i = 0; i < 500; i++)
		pages[i] = rng_below(&rng, 300);
	for (int epoch = 0; epoch < 100; epoch++) {
		mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
		struct mb_fingerprint fresh, next;
		struct mb_err err = { 0 };

		for (uint64_t k = rng_below(&rng, 100); k; k--)
			pages[rng_below(&rng, 500)] = rng_below(&rng, 300 + (uint64_t)epoch);
		memcpy(copy, pages, sizeof(copy));
		assert_ok(mb_fingerprint_from_digests(&fresh, copy, 500, &err), &err);
		send(&held, &fresh, 48, &frame);
		assert_ok(receive(&held, &frame, 48, &next, &err), &err);
		assert_fingerprint_equal(&next, &fresh);
		/* Twice the same delta: refused as stale, unless it changed nothing. */
		if (!mb_multiset_hash_equal(held.hash, next.hash)) {
			struct mb_fingerprint again;

			assert_fails(receive(&next, &frame, 48, &again, &err), ESTALE, &err,
				     "starts from");
			assert_null(again.digests);
		}
		mb_fingerprint_deinit(&held);
		mb_fingerprint_deinit(&fresh);
		held = next;
	}
	mb_fingerprint_deinit(&held);
}

struct refusal {
	struct mb_fingerprint base, copy, result;
	struct mb_delta d;
};

static void begin(struct refusal *t)
{
	struct mb_err err = { 0 };

	sample_base(&t->base);
	sample_base(&t->copy);
	sample_result(&t->result);
	assert_ok(mb_delta_make(&t->base, &t->result, &t->d, &err), &err);
}

/* Refused, with nothing left behind and the base as it was. */
static void expect(struct refusal *t, int code, const char *word)
{
	struct mb_fingerprint got = { .n_distinct = 99 };
	struct mb_err err = { 0 };

	assert_fails(mb_delta_apply(&t->base, &t->d, &got, &err), code, &err, word);
	assert_null(got.digests);
	assert_null(got.multi);
	assert_int_equal(got.n_distinct, 0);
	assert_fingerprint_equal(&t->base, &t->copy);
	mb_fingerprint_deinit(&t->base);
	mb_fingerprint_deinit(&t->copy);
	mb_fingerprint_deinit(&t->result);
	mb_delta_deinit(&t->d);
}

static void test_stale(void **state)
{
	struct refusal t;

	(void)state;
	begin(&t);
	t.d.base.pages++;
	expect(&t, ESTALE, "starts from");
	begin(&t);
	t.d.base.distinct++;
	expect(&t, ESTALE, "starts from");
	begin(&t);
	t.d.base.hash.hi ^= 1;
	expect(&t, ESTALE, "starts from");
	begin(&t);
	t.d.base = t.d.result;
	expect(&t, ESTALE, "starts from");
	begin(&t);
	t.d.base = (struct mb_fingerprint_id){ 0 };
	expect(&t, ESTALE, "starts from");
}

static void test_contradictions(void **state)
{
	struct refusal t;

	(void)state;
	begin(&t);
	t.d.result.pages++;
	expect(&t, EBADMSG, "but names");
	begin(&t);
	t.d.result.distinct++;
	expect(&t, EBADMSG, "but names");
	begin(&t);
	t.d.result.hash.lo ^= 1;
	expect(&t, EBADMSG, "but names");
	begin(&t);
	t.d.added[0] ^= 1;
	expect(&t, EBADMSG, "but names");
	begin(&t);
	t.d.changed[0].copies++;
	expect(&t, EBADMSG, "but names");
	begin(&t);
	t.d.added[0] = 0x5555555555555555u;
	expect(&t, EBADMSG, "in the base");
	/* Even one that is removed: what is added is not in the base, full stop. */
	begin(&t);
	t.d.added[0] = 0x1111111111111111u;
	expect(&t, EBADMSG, "in the base");
	begin(&t);
	t.d.removed[0] = 3;
	expect(&t, EBADMSG, "beyond its end");
	begin(&t);
	t.d.changed[0].rank = UINT32_MAX;
	expect(&t, EBADMSG, "beyond its end");
	begin(&t);
	t.d.added_multi[0].rank = 1;
	expect(&t, EBADMSG, "beyond its end");
	begin(&t);
	t.d.changed[0].rank = t.d.removed[0];
	expect(&t, EBADMSG, "both removes and changes");
	begin(&t);
	t.d.n_removed = 4;
	expect(&t, EBADMSG, "more digests than");
	/* There is room for one to spare. */
	begin(&t);
	t.d.removed[t.d.n_removed++] = 0;
	expect(&t, EBADMSG, "out of order");
	begin(&t);
	t.d.removed[0] = 2;
	t.d.removed[t.d.n_removed++] = 2;
	expect(&t, EBADMSG, "out of order");
}

/* --- real traces ------------------------------------------------------------------------------ */

static void read_trace(const char *dir, const char *name, uint32_t bits, struct mb_fingerprint *ret)
{
	static const uint8_t key[MB_KEY_BYTES] = { 1, 2, 3 };
	mb_autofree uint64_t *digests = NULL;
	const struct mb_page *pages;
	struct mb_digester digester;
	struct mb_trace_epoch epoch;
	struct mb_reader reader;
	struct mb_trace *trace;
	struct mb_file *file;
	struct mb_err err = { 0 };
	char path[512];
	size_t n;

	assert_ok(mb_digester_init(&digester, MB_XXH64, 4096, bits, "t", key, &err), &err);
	snprintf(path, sizeof(path), "%s/%s.zst", dir, name);
	assert_ok(mb_file_open(path, &file, &err), &err);
	reader = mb_file_reader(file);
	assert_ok(mb_trace_open(&reader, &trace, &err), &err);
	assert_ok(mb_trace_next(trace, &pages, &n, &epoch, &err), &err);
	digests = malloc(n * sizeof(*digests));
	assert_non_null(digests);
	for (size_t i = 0; i < n; i++)
		digests[i] = pages[i].digest;
	/* 32-bit hashes spread to the digests that pages of today would have. */
	mb_blind(&digester, digests, n);
	assert_ok(mb_fingerprint_from_digests(ret, digests, n, &err), &err);
	mb_trace_close(trace);
	mb_file_close(file);
}

static void check_trace(const char *folder, uint32_t bits, double limit)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf frame = { 0 };
	struct mb_fingerprint a, b, got;
	struct mb_pair_sharing sharing;
	const char *dir = traces_dir();
	struct mb_err err = { 0 };
	char name[64];
	double per_page;

	if (!dir)
		skip();
	snprintf(name, sizeof(name), "%s/VM1.txt0", folder);
	read_trace(dir, name, bits, &a);
	snprintf(name, sizeof(name), "%s/VM1.txt1", folder);
	read_trace(dir, name, bits, &b);
	mb_fingerprint_pair_sharing(&a, &b, &sharing);
	send(&a, &b, bits, &frame);
	assert_ok(receive(&a, &frame, bits, &got, &err), &err);
	assert_fingerprint_equal(&got, &b);
	per_page = (double)frame.len / (double)sharing.gained;
	print_message("%s, %u bits: %zu bytes, %.2f per added page\n", folder, bits, frame.len,
		      per_page);
	assert_true(per_page <= limit);
	mb_fingerprint_deinit(&a);
	mb_fingerprint_deinit(&b);
	mb_fingerprint_deinit(&got);
}

static void test_loaded_desktop(void **state)
{
	(void)state;
	check_trace("Trace3", 64, 5.8);
	check_trace("Trace3", 48, 4.0);
}

static void test_kernel_build(void **state)
{
	(void)state;
	check_trace("kernelBuild", 64, 5.8);
	check_trace("kernelBuild", 48, 4.0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_pairs),   cmocka_unit_test(test_extremes),
		cmocka_unit_test(test_sequence),       cmocka_unit_test(test_stale),
		cmocka_unit_test(test_contradictions), cmocka_unit_test(test_loaded_desktop),
		cmocka_unit_test(test_kernel_build),
	};

	return cmocka_run_group_tests_name("delta", tests, NULL, NULL);
}
