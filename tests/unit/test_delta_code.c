// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_wire.h"

#include "proto/base/cleanup.h"

/* The sample delta's fields, with bytes that a test may change. */
struct fields {
	struct mb_delta_fields f;
	uint8_t added[64], copies[64], removed[64], changed[64];
};

static struct mb_slice copy_to(uint8_t to[64], struct mb_slice from)
{
	assert_true(from.len <= 64);
	memset(to, 0, 64);
	if (from.len)
		memcpy(to, from.data, from.len);
	return (struct mb_slice){ to, from.len };
}

static void begin(struct fields *t)
{
	struct mb_msg msg;

	sample_msg(MB_MSG_DELTA, &msg);
	t->f = msg.delta.fields;
	t->f.added = copy_to(t->added, t->f.added);
	t->f.added_copies = copy_to(t->copies, t->f.added_copies);
	t->f.removed = copy_to(t->removed, t->f.removed);
	t->f.changed = copy_to(t->changed, t->f.changed);
}

static void expect(const struct fields *t, const char *word)
{
	struct mb_delta d = { .n_added = 99 };
	struct mb_err err = { 0 };

	assert_fails(mb_delta_decode(&t->f, 64, &d, &err), EBADMSG, &err, word);
	assert_null(d.added);
	assert_null(d.removed);
}

/* Exactly the bytes that FORMAT.md prescribes. */
static void test_layout(void **state)
{
	struct fields t;

	(void)state;
	begin(&t);
	/* shift 57 (of a gap of 2^60), then bits 0-7 ... 48-55, 56, 57-63. */
	assert_int_equal(t.f.added.len, 10);
	assert_memory_equal(t.added, "\x39\xf0\xde\xbc\x9a\x78\x56\x34\x00\x09", 10);
	/* One entry: index 0, two copies more than none ... less 2. */
	assert_int_equal(t.f.added_copies.len, 3);
	assert_memory_equal(t.copies, "\x01\x00\x00", 3);
	/* One of three is above a fifth: a bitmap. */
	assert_int_equal(t.f.removed.len, 2);
	assert_memory_equal(t.removed, "\x01\x01", 2);
	/* Rank 1, seven copies less 1. */
	assert_int_equal(t.f.changed.len, 2);
	assert_memory_equal(t.changed, "\x01\x06", 2);
}

static void test_removed_modes(void **state)
{
	enum { N = 1000 };
	struct rng rng = { 14 };

	(void)state;
	/* On both sides of a fifth: each mode, and back. */
	for (uint32_t n = 0; n <= N; n += n < 10 || (n > 190 && n < 210) ? 1 : 50) {
		mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 }, back = { 0 };
		mb_cleanup(mb_buf_deinit) struct mb_buf buf = { 0 };
		struct mb_delta_fields f;
		struct mb_err err = { 0 };
		uint32_t left = n;

		assert_ok(mb_delta_init(&d, 0, 0, N, 0, &err), &err);
		d.base.distinct = N;
		for (uint32_t i = 0; i < N; i++)
			if (rng_below(&rng, N - i) < left) {
				d.removed[d.n_removed++] = i;
				left--;
			}
		assert_int_equal(d.n_removed, n);
		assert_ok(mb_delta_encode(&d, 64, &buf, &f, &err), &err);
		if (n)
			assert_int_equal(f.removed.data[0], n >= N / 5);
		assert_ok(mb_delta_decode(&f, 64, &back, &err), &err);
		assert_int_equal(back.n_removed, n);
		assert_memory_equal(back.removed, d.removed, n * sizeof(*d.removed));
	}
}

static void test_added(void **state)
{
	struct fields t;

	(void)state;
	begin(&t);
	t.f.n_added = 2;
	expect(&t, "field added");
	begin(&t);
	t.f.n_added = UINT32_MAX;
	expect(&t, "field added: 10 bytes for 4294967295");
	begin(&t);
	t.f.n_added = 0;
	expect(&t, "field added");
	begin(&t);
	t.f.added.len--;
	expect(&t, "field added");
	begin(&t);
	t.f.added.len++;
	expect(&t, "field added");
	begin(&t);
	t.f.added.len = 0;
	expect(&t, "field added");
	begin(&t);
	t.added[0] = 65;
	expect(&t, "split at bit 65");
	begin(&t);
	t.added[8] = 2;
	expect(&t, "outside its plane");
}

static void test_added_copies(void **state)
{
	struct fields t;

	(void)state;
	begin(&t);
	t.copies[0] = 2;
	expect(&t, "field added_copies: 3 bytes for 2");
	begin(&t);
	t.copies[0] = 0;
	expect(&t, "field added_copies: no count");
	t.f.added_copies.len = 1;
	expect(&t, "field added_copies: no count");
	begin(&t);
	t.copies[0] = 0x80;
	t.f.added_copies.len = 1;
	expect(&t, "field added_copies: no count");
	begin(&t);
	memset(t.copies, 0xff, 9);
	t.copies[9] = 1;
	t.f.added_copies.len = 10;
	expect(&t, "field added_copies: 10 bytes for 18446744073709551615");
	/* A rank past the added ones. */
	begin(&t);
	t.copies[1] = 1;
	expect(&t, "field added_copies");
	begin(&t);
	t.f.added_copies.len++;
	expect(&t, "field added_copies");
	begin(&t);
	t.f.added_copies.len--;
	expect(&t, "field added_copies");
	/* 2^32 copies, by one. */
	begin(&t);
	memcpy(t.copies + 2, "\xfe\xff\xff\xff\x0f", 5);
	t.f.added_copies.len = 7;
	expect(&t, "field added_copies");
}

static void test_removed(void **state)
{
	struct fields t;

	(void)state;
	begin(&t);
	t.removed[0] = 2;
	expect(&t, "field removed: unknown mode 2");
	begin(&t);
	t.f.removed.len = 0;
	expect(&t, "field removed");
	begin(&t);
	t.f.n_removed = 0;
	expect(&t, "field removed: bytes for no rank");
	/* Count and bitmap. */
	begin(&t);
	t.removed[1] = 0;
	expect(&t, "bitmap and count disagree");
	begin(&t);
	t.removed[1] = 3;
	expect(&t, "bitmap and count disagree");
	begin(&t);
	t.f.n_removed = 2;
	expect(&t, "bitmap and count disagree");
	/* A bit beyond the base. */
	begin(&t);
	t.removed[1] = 8;
	expect(&t, "bitmap and count disagree");
	begin(&t);
	t.f.removed.len++;
	expect(&t, "bitmap of 2 bytes");
	begin(&t);
	t.f.removed.len--;
	expect(&t, "field removed");
	begin(&t);
	t.f.base.distinct = 0;
	expect(&t, "field removed");
	begin(&t);
	t.f.base.distinct = UINT32_MAX;
	expect(&t, "bitmap of 1 bytes for 4294967295");
}

static void test_removed_ranks(void **state)
{
	struct fields t;
	struct mb_delta d;
	struct mb_err err = { 0 };

	(void)state;
	begin(&t);
	memcpy(t.removed, "\x00\x00\x01", 3);
	t.f.removed.len = 3;
	t.f.n_removed = 2;
	assert_ok(mb_delta_decode(&t.f, 64, &d, &err), &err);
	assert_int_equal(d.removed[0], 0);
	assert_int_equal(d.removed[1], 2);
	mb_delta_deinit(&d);
	/* The rank that ends the base, and one whose sum wraps. */
	t.removed[2] = 2;
	expect(&t, "bad rank at entry 1");
	memcpy(t.removed + 2, "\xff\xff\xff\xff\x0f", 5);
	t.f.removed.len = 7;
	expect(&t, "bad rank at entry 1");
	memcpy(t.removed + 2, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
	t.f.removed.len = 12;
	expect(&t, "bad rank at entry 1");
	t.removed[2] = 1;
	t.f.removed.len = 4;
	expect(&t, "1 bytes too many");
	t.f.removed.len = 2;
	expect(&t, "bad rank at entry 1");
	/* A rank takes a byte: what claims more is refused before memory is asked for. */
	t.f.base.distinct = UINT32_MAX;
	t.f.n_removed = 17;
	t.f.removed.len = 16;
	expect(&t, "16 bytes for 17 ranks");
	/* The last rank there can be. */
	begin(&t);
	t.f.base.distinct = UINT32_MAX;
	memcpy(t.removed, "\x00\xfe\xff\xff\xff\x0f\x00", 7);
	t.f.removed.len = 7;
	t.f.n_removed = 2;
	expect(&t, "bad rank at entry 1");
}

static void test_changed(void **state)
{
	struct fields t;

	(void)state;
	begin(&t);
	t.f.n_changed = 2;
	expect(&t, "field changed: 2 bytes for 2");
	begin(&t);
	t.f.n_changed = 0;
	expect(&t, "field changed");
	begin(&t);
	t.changed[0] = 3;
	expect(&t, "field changed");
	begin(&t);
	t.f.changed.len++;
	expect(&t, "field changed");
	begin(&t);
	t.f.changed.len--;
	expect(&t, "field changed");
	begin(&t);
	memcpy(t.changed + 1, "\xff\xff\xff\xff\x0f", 5);
	t.f.changed.len = 6;
	expect(&t, "field changed");
	begin(&t);
	t.f.n_changed = UINT32_MAX;
	t.f.base.distinct = UINT32_MAX;
	expect(&t, "field changed: 2 bytes for 4294967295");
}

/* Any byte of any field, any count: refused, or a delta that apply can judge. */
static void test_mutations(void **state)
{
	struct rng rng = { 15 };
	struct mb_fingerprint base, result;
	size_t decoded = 0, applied = 0;

	(void)state;
	sample_base(&base);
	sample_result(&result);
	for (int i = 0; i < 100000; i++) {
		mb_cleanup(mb_delta_deinit) struct mb_delta d = { 0 };
		struct mb_fingerprint got = { 0 };
		struct fields t;
		uint8_t *const parts[] = { t.added, t.copies, t.removed, t.changed };

		begin(&t);
		for (uint64_t k = 1 + rng_below(&rng, 3); k; k--) {
			uint64_t what = rng_below(&rng, 8);

			if (what < 4)
				parts[what][rng_below(&rng, 12)] =
					(uint8_t)(rng_next(&rng) >> rng_below(&rng, 8));
			else if (what == 4)
				t.f.n_added = (uint32_t)rng_below(&rng, 4);
			else if (what == 5)
				t.f.n_removed = (uint32_t)rng_below(&rng, 4);
			else if (what == 6)
				t.f.n_changed = (uint32_t)rng_below(&rng, 4);
			else
				t.f.removed.len = rng_below(&rng, 6);
		}
		if (mb_delta_decode(&t.f, 64, &d, NULL) < 0)
			continue;
		decoded++;
		if (mb_delta_apply(&base, &d, &got, NULL) < 0)
			continue;
		/* The hash leaves one result only. */
		assert_fingerprint_equal(&got, &result);
		mb_fingerprint_deinit(&got);
		applied++;
	}
	assert_true(decoded > 1000 && applied > 100);
	mb_fingerprint_deinit(&base);
	mb_fingerprint_deinit(&result);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_layout),	cmocka_unit_test(test_removed_modes),
		cmocka_unit_test(test_added),	cmocka_unit_test(test_added_copies),
		cmocka_unit_test(test_removed), cmocka_unit_test(test_removed_ranks),
		cmocka_unit_test(test_changed), cmocka_unit_test(test_mutations),
	};

	return cmocka_run_group_tests_name("delta_code", tests, NULL, NULL);
}
