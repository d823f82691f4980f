// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/base/cleanup.h"
#include "proto/base/file.h"
#include "proto/trace.h"

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_sort(void **state)
{
	static const size_t sizes[] = { 0, 1, 2, 3, 255, 1000 };
	uint64_t a[1000], b[1000], tmp[1000];
	struct rng rng = { 9 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		size_t n = sizes[round % 6];
		/* Bytes that all agree are skipped: try every number of them, at either end. */
		unsigned int low = (unsigned int)rng_below(&rng, 64);
		unsigned int high = (unsigned int)rng_below(&rng, 64);

		for (size_t i = 0; i < n; i++)
			a[i] = b[i] = rng_next(&rng) >> low << high;
		mb_sort_u64(a, tmp, n);
		qsort(b, n, sizeof(*b), by_value);
		assert_memory_equal(a, b, n * sizeof(*a));
	}
}

static uint32_t count(const uint64_t *digests, size_t n, uint64_t digest)
{
	uint32_t c = 0;

	for (size_t i = 0; i < n; i++)
		c += digests[i] == digest;
	return c;
}

/* Against counting one by one. */
static void test_counts(void **state)
{
	struct rng rng = { 10 };

	(void)state;
	for (int round = 0; round < 300; round++) {
		size_t n = rng_below(&rng, 60);
		uint64_t in[64], copy[64];
		struct mb_fingerprint fp;
		struct mb_multiset_hash h = { 0 };
		struct mb_err err = { 0 };
		uint32_t cursor = 0;

		for (size_t i = 0; i < n; i++) {
			in[i] = copy[i] = rng_below(&rng, 40);
			mb_multiset_hash_add(&h, in[i], 1);
		}
		assert_ok(mb_fingerprint_from_digests(&fp, copy, n, &err), &err);
		assert_int_equal(fp.n_pages, n);
		assert_true(mb_multiset_hash_equal(fp.hash, h));
		for (uint64_t d = 0; d < 45; d++)
			assert_int_equal(mb_fingerprint_find(&fp, d), count(in, n, d));
		assert_int_equal(mb_fingerprint_find(&fp, UINT64_MAX), 0);
		for (uint32_t i = 0; i < fp.n_distinct; i++) {
			assert_true(!i || fp.digests[i] > fp.digests[i - 1]);
			assert_int_equal(mb_fingerprint_copies(&fp, &cursor, i),
					 count(in, n, fp.digests[i]));
		}
		mb_fingerprint_trim(&fp);
		assert_true(mb_fingerprint_bytes(&fp) >= 8 * (size_t)fp.n_distinct);
		mb_fingerprint_deinit(&fp);
	}
}

static void test_sealed_as_pushed(void **state)
{
	struct rng rng = { 4 };

	(void)state;
	for (unsigned int i = 0; i < 50; i++) {
		struct mb_fingerprint pushed, sealed;
		struct mb_err err = { 0 };
		uint32_t cursor = 0;

		random_fingerprint(&rng, rng_below(&rng, 300), i % 2 ? 50 : 0, &pushed);
		assert_ok(mb_fingerprint_init(&sealed, pushed.n_distinct, pushed.n_multi, &err),
			  &err);
		for (uint32_t r = 0; r < pushed.n_distinct; r++)
			mb_fingerprint_push(&sealed, pushed.digests[r],
					    mb_fingerprint_copies(&pushed, &cursor, r));
		assert_fingerprint_equal(&pushed, &sealed);
		sealed.n_pages = sealed.hash.lo = sealed.hash.hi = 0;
		mb_fingerprint_seal(&sealed);
		assert_fingerprint_equal(&pushed, &sealed);
		mb_fingerprint_deinit(&pushed);
		mb_fingerprint_deinit(&sealed);
	}
}

/* Few sizes, and little more than is needed. */
static void test_room(void **state)
{
	size_t sizes = 0, before = 0;

	(void)state;
	for (uint32_t n = 1000; n < 64000; n++) {
		size_t need = 8 * (size_t)n, bytes;
		struct mb_fingerprint fp = { .n_distinct = n };

		bytes = mb_fingerprint_bytes(&fp);
		assert_true(bytes >= need);
		assert_true(bytes <= need + need / 16 + 200);
		sizes += bytes != before;
		before = bytes;
	}
	assert_true(sizes <= 6 * 16 + 1);
}

static void test_limits(void **state)
{
	struct mb_fingerprint fp;
	struct mb_err err = { 0 };
	uint64_t none;

	(void)state;
	assert_ok(mb_fingerprint_from_digests(&fp, &none, 0, &err), &err);
	assert_int_equal(fp.n_distinct, 0);
	assert_int_equal(mb_fingerprint_find(&fp, 0), 0);
	mb_fingerprint_trim(&fp);
	mb_fingerprint_deinit(&fp);
	assert_fails(mb_fingerprint_from_digests(&fp, &none, (size_t)1 << 32, &err), EOVERFLOW,
		     &err, "4294967296");
	assert_null(fp.digests);
	assert_fails(mb_fingerprint_init(&fp, (size_t)1 << 32, 0, &err), EOVERFLOW, &err, "");
	assert_fails(mb_fingerprint_init(&fp, 1, 2, &err), EOVERFLOW, &err, "");
	assert_null(fp.digests);
	mb_fingerprint_deinit(&fp);
}

static void test_self_sharing(void **state)
{
	uint64_t in[] = { 9, 9, 9, 1, 2, 2, 3 };
	struct mb_self_sharing s;
	struct mb_fingerprint fp;

	(void)state;
	assert_int_equal(mb_fingerprint_from_digests(&fp, in, 7, NULL), 0);
	mb_fingerprint_self_sharing(&fp, 9, &s);
	assert_int_equal(s.pages, 7);
	assert_int_equal(s.distinct, 4);
	assert_int_equal(s.zero, 3);
	assert_int_equal(s.self, 3);
	assert_int_equal(s.self_nonzero, 1);
	mb_fingerprint_self_sharing(&fp, 8, &s);
	assert_int_equal(s.zero, 0);
	assert_int_equal(s.self_nonzero, 3);
	mb_fingerprint_deinit(&fp);
}

static void test_pair_sharing(void **state)
{
	struct rng rng = { 11 };

	(void)state;
	for (int round = 0; round < 200; round++) {
		struct mb_pair_sharing s, other;
		struct mb_fingerprint a, b;
		uint64_t inter = 0, overlap = 0, joint = 0, gained = 0, lost = 0;

		random_fingerprint(&rng, rng_below(&rng, 60), 1 + rng_below(&rng, 50), &a);
		random_fingerprint(&rng, rng_below(&rng, 60), 1 + rng_below(&rng, 50), &b);
		for (uint64_t d = 0; d < 51; d++) {
			uint32_t x = mb_fingerprint_find(&a, d), y = mb_fingerprint_find(&b, d);

			inter += x && y;
			overlap += MB_MIN(x, y);
			joint += x || y;
			gained += y > x ? y - x : 0;
			lost += x > y ? x - y : 0;
		}
		mb_fingerprint_pair_sharing(&a, &b, &s);
		assert_int_equal(s.inter, inter);
		assert_int_equal(s.overlap, overlap);
		assert_int_equal(s.distinct_union, joint);
		assert_int_equal(s.saving, a.n_pages + b.n_pages - joint);
		assert_int_equal(s.gained, gained);
		assert_int_equal(s.lost, lost);
		mb_fingerprint_pair_sharing(&b, &a, &other);
		assert_int_equal(other.inter, inter);
		assert_int_equal(other.gained, lost);
		assert_int_equal(other.lost, gained);
		mb_fingerprint_deinit(&a);
		mb_fingerprint_deinit(&b);
	}
}

static void read_trace(const char *dir, const char *name, struct mb_fingerprint *ret)
{
	const struct mb_page *pages;
	struct mb_trace_epoch epoch;
	struct mb_reader reader;
	struct mb_trace *trace;
	struct mb_file *file;
	struct mb_err err = { 0 };
	uint64_t *digests;
	char path[512];
	size_t n;

	snprintf(path, sizeof(path), "%s/%s.zst", dir, name);
	assert_ok(mb_file_open(path, &file, &err), &err);
	reader = mb_file_reader(file);
	assert_ok(mb_trace_open(&reader, &trace, &err), &err);
	assert_ok(mb_trace_next(trace, &pages, &n, &epoch, &err), &err);
	digests = malloc(n * sizeof(*digests));
	assert_non_null(digests);
	for (size_t i = 0; i < n; i++)
		digests[i] = pages[i].digest;
	assert_ok(mb_fingerprint_from_digests(ret, digests, n, &err), &err);
	assert_true(mb_multiset_hash_equal(ret->hash, epoch.fingerprint.hash));
	free(digests);
	mb_trace_close(trace);
	mb_file_close(file);
}

/* The table of the project's first report, in MB. */
static void test_the_reports_table(void **state)
{
	static const char *const names[] = { "Trace3/VM1.txt0", "kernelBuild/VM1.txt1",
					     "Trace3/VM1.txt2", "Trace4/VM1.txt0" };
	static const struct {
		int a, b;
		uint64_t mb;
	} table[] = { { 0, 1, 254 }, { 0, 2, 235 }, { 0, 3, 207 },
		      { 1, 2, 121 }, { 1, 3, 114 }, { 2, 3, 339 } };
	const char *dir = traces_dir();
	struct mb_fingerprint fp[4];
	struct mb_pair_sharing s;

	(void)state;
	if (!dir)
		skip();
	for (int i = 0; i < 4; i++)
		read_trace(dir, names[i], &fp[i]);
	for (size_t i = 0; i < MB_ARRAY_LEN(table); i++) {
		mb_fingerprint_pair_sharing(&fp[table[i].a], &fp[table[i].b], &s);
		assert_int_equal(s.inter / 256, table[i].mb);
	}
	mb_fingerprint_pair_sharing(&fp[0], &fp[1], &s);
	assert_int_equal(s.distinct_union / 256, 1536);
	mb_fingerprint_pair_sharing(&fp[2], &fp[3], &s);
	assert_int_equal(s.distinct_union / 256, 1331);
	for (int i = 0; i < 4; i++)
		mb_fingerprint_deinit(&fp[i]);
}

static void test_copy(void **state)
{
	struct rng r = { .state = 5 };
	struct mb_err err = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct mb_fingerprint a, b;

		random_fingerprint(&r, (size_t)i * 50, 200, &a);
		assert_ok(mb_fingerprint_copy(&a, &b, &err), &err);
		assert_fingerprint_equal(&a, &b);
		assert_ptr_not_equal(a.digests, b.digests);
		mb_fingerprint_deinit(&a);
		mb_fingerprint_deinit(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sort),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_sealed_as_pushed),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_self_sharing),
		cmocka_unit_test(test_pair_sharing),
		cmocka_unit_test(test_the_reports_table),
	};

	return cmocka_run_group_tests_name("fingerprint", tests, NULL, NULL);
}
