// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_source.h"

#include <zstd.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/trace.h"

static const uint8_t key[MB_KEY_BYTES] = { 1, 2, 3 };
static const char seed_text[] = "17\n3051824092\n4294967295\n";

static const char *seed_file(const char *name)
{
	return temp_file(name, seed_text, strlen(seed_text));
}

static void trace_uri(char uri[512], const char *a, const char *b)
{
	snprintf(uri, 512, "trace:%s%s%s", a, b ? "," : "", b ? b : "");
}

static struct mb_source *open_trace(const char *a, const char *b)
{
	char uri[512];

	trace_uri(uri, a, b);
	return open_source(uri);
}

static void put_epoch(uint64_t epoch, uint64_t first_frame, size_t n, struct mb_buf *out)
{
	struct mb_trace_epoch e = { .epoch = epoch,
				    .pass = { .tracker = "none",
					      .full = true,
					      .taken_unix_ns = 7000 + epoch } };
	struct mb_page pages[100];
	struct mb_err err = { 0 };

	for (size_t i = 0; i < n; i++) {
		pages[i] = (struct mb_page){ .frame = first_frame + 2 * i,
					     .digest = epoch * 1000 + i,
					     .cls = MB_CLASS_ANON,
					     .flags = i == 1 ? MB_PAGE_UNSTABLE : 0 };
		mb_multiset_hash_add(&e.fingerprint.hash, pages[i].digest, 1);
	}
	e.fingerprint.pages = n;
	assert_ok(mb_trace_put_pages(pages, n, out, &err), &err);
	assert_ok(mb_trace_put_epoch(&e, out, &err), &err);
}

/* A trace of `n_epochs` epochs in trust domain `domain`; epoch e has 10 * e pages. */
static void put_trace(const char *domain, uint64_t n_epochs, struct mb_buf *out)
{
	struct mb_trace_header h = {
		.version = MB_PROTOCOL_VERSION,
		.agent = "test",
		.vm = "vm1",
		.source = "process:1",
		.boot = { { 1 } },
		.memory_bytes = 1 << 30,
		.stable_frames = true,
	};
	struct mb_err err = { 0 };
	struct mb_digester d;

	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, domain, key, &err), &err);
	h.identity = d.identity;
	assert_ok(mb_trace_put_header(&h, out, &err), &err);
	for (uint64_t e = 1; e <= n_epochs; e++)
		put_epoch(e, 1000 * e, 10 * e, out);
}

static const char *compact_file(const char *name, const char *domain, uint64_t n_epochs)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };

	put_trace(domain, n_epochs, &b);
	return temp_file(name, b.data, b.len);
}

static void assert_seed_epoch(struct mb_source *s, size_t cap)
{
	struct taken t;

	take_epoch(s, NULL, cap, &t);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.pages[0].frame, 0);
	assert_int_equal(t.pages[0].digest, 17);
	assert_int_equal(t.pages[1].digest, 3051824092);
	assert_int_equal(t.pages[1].flags, MB_PAGE_ZERO);
	assert_int_equal(t.pages[2].digest, 4294967295);
	assert_int_equal(t.unread[MB_UNREAD_NO_DATA], 0);
	free_taken(&t);
}

static void assert_end(struct mb_source *s)
{
	struct mb_err err = { 0 };

	for (int i = 0; i < 2; i++)
		assert_fails(s->ops->begin(s, NULL, &err), ENODATA, &err, "no further epoch");
	s->ops->close(s);
}

static void test_seed(void **state)
{
	struct mb_source *s = open_trace(seed_file("a"), seed_file("b"));
	struct mb_source_info info;

	(void)state;
	s->ops->describe(s, &info);
	assert_int_equal(info.identity.algorithm, MB_SUPERFASTHASH32);
	assert_false(info.identity.keyed);
	assert_false(info.stable_frames);
	assert_string_equal(info.vm, "");
	assert_int_equal(info.memory_bytes, 0);
	assert_non_null(strstr(info.text, "seed trace"));
	assert_seed_epoch(s, 1);
	s->ops->describe(s, &info);
	assert_int_equal(info.memory_bytes, 3 * MB_PAGE_BYTES);
	assert_seed_epoch(s, 100);
	assert_end(s);
}

static void test_zstd(void **state)
{
	uint8_t packed[256];
	size_t n = ZSTD_compress(packed, sizeof(packed), seed_text, strlen(seed_text), 1);
	struct mb_err err = { 0 };
	struct mb_source *s;
	char uri[512];
	int r;

	(void)state;
	assert_false(ZSTD_isError(n));
	s = open_trace(temp_file("a.zst", packed, n), NULL);
	assert_seed_epoch(s, 2);
	assert_end(s);
	trace_uri(uri, temp_file("a.zst", packed, n - 5), NULL);
	/* Told when it is opened, or when the epoch begins; never by a short epoch. */
	r = mb_source_open(uri, &with_xxh64, &s, &err);
	if (r == 0) {
		r = s->ops->begin(s, NULL, &err);
		s->ops->close(s);
	}
	assert_fails(r, EBADMSG, &err, "a.zst");
}

static void assert_compact_epoch(struct mb_source *s, uint64_t epoch)
{
	struct mb_source_info info;
	struct taken t;

	take_epoch(s, NULL, 7, &t);
	s->ops->describe(s, &info);
	assert_int_equal(info.taken_unix_ns, 7000 + epoch);
	assert_int_equal(t.n, 10 * epoch);
	for (size_t i = 0; i < t.n; i++) {
		assert_int_equal(t.pages[i].frame, 1000 * epoch + 2 * i);
		assert_int_equal(t.pages[i].digest, epoch * 1000 + i);
		assert_int_equal(t.pages[i].cls, MB_CLASS_ANON);
		assert_int_equal(t.pages[i].flags, i == 1 ? MB_PAGE_UNSTABLE : 0);
	}
	free_taken(&t);
}

static void test_compact(void **state)
{
	struct mb_source *s = open_trace(compact_file("a", "dom", 3), compact_file("b", "dom", 1));
	struct mb_source_info info;

	(void)state;
	s->ops->describe(s, &info);
	assert_true(info.identity.keyed);
	assert_string_equal(info.identity.domain, "dom");
	assert_true(info.stable_frames);
	assert_false(info.live);
	assert_string_equal(info.vm, "vm1");
	assert_int_equal(info.memory_bytes, 1 << 30);
	for (uint64_t e = 1; e <= 3; e++)
		assert_compact_epoch(s, e);
	assert_compact_epoch(s, 1);
	assert_end(s);
}

static void test_only(void **state)
{
	uint64_t words[1] = { 0x5 };
	struct mb_frame_set only = { .words = words, .first = 1000, .n = 18 };
	struct mb_source *s = open_trace(compact_file("a", "dom", 1), NULL);
	struct taken t;

	(void)state;
	take_epoch(s, &only, 100, &t);
	assert_int_equal(t.n, 3);
	assert_int_equal(t.pages[0].frame, 1000);
	assert_int_equal(t.pages[1].frame, 1002);
	assert_int_equal(t.pages[2].frame, 1018);
	free_taken(&t);
	assert_end(s);
}

static void test_empty_epoch(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_source *s;
	struct taken t;

	(void)state;
	put_trace("dom", 0, &b);
	put_epoch(5, 0, 0, &b);
	s = open_trace(temp_file("a", b.data, b.len), NULL);
	take_epoch(s, NULL, 10, &t);
	assert_int_equal(t.n, 0);
	free_taken(&t);
	assert_end(s);
}

/* The first file is good; the second is `bad`, and stays so when it is tried again. */
static void assert_second_fails(const char *good, const char *bad, int code, const char *word)
{
	struct mb_source *s = open_trace(good, bad);
	struct mb_err err = { 0 };
	struct taken t;

	take_epoch(s, NULL, 100, &t);
	free_taken(&t);
	for (int i = 0; i < 2; i++)
		assert_fails(s->ops->begin(s, NULL, &err), code, &err, word);
	assert_non_null(strstr(err.text, bad));
	s->ops->close(s);
}

static void test_files_must_agree(void **state)
{
	const char *good = compact_file("a", "dom", 1);

	(void)state;
	assert_second_fails(good, compact_file("b", "other", 1), EXDEV,
			    "trust domain \"dom\", but \"other\"");
	assert_second_fails(good, seed_file("c"), EXDEV, "trust domain");
	assert_second_fails(seed_file("c"), good, EXDEV, "trust domain");
	assert_second_fails(good, "/does/not/exist", ENOENT, "/does/not/exist");
	assert_second_fails(good, temp_file("e", "", 0), EBADMSG, "empty file");
}

/* The same identity in both formats, but frames mean another thing in each. */
static void test_formats_do_not_mix(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_trace_header h = { .version = MB_PROTOCOL_VERSION,
				     .agent = "test",
				     .vm = "vm1",
				     .source = "trace:x",
				     .boot = { { 1 } } };
	struct mb_err err = { 0 };
	struct mb_digester d;

	(void)state;
	assert_ok(mb_digester_init(&d, MB_SUPERFASTHASH32, MB_PAGE_BYTES, 32, "", NULL, &err),
		  &err);
	h.identity = d.identity;
	assert_ok(mb_trace_put_header(&h, &b, &err), &err);
	put_epoch(1, 0, 10, &b);
	assert_second_fails(seed_file("a"), temp_file("b", b.data, b.len), EINVAL,
			    "a compact trace");
}

static void test_bad_files(void **state)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_err err = { 0 };
	struct mb_source *s;
	char uri[512];

	(void)state;
	assert_open_fails("trace:", EINVAL, "has no name");
	assert_open_fails("trace:/does/not/exist", ENOENT, "/does/not/exist");
	trace_uri(uri, temp_file("a", "", 0), NULL);
	assert_open_fails(uri, EBADMSG, "empty file");
	trace_uri(uri, temp_file("a", "MB", 2), NULL);
	assert_open_fails(uri, EBADMSG, "/a: ");
	s = open_trace(temp_file("a", "1\n2\nx3\n", 7), NULL);
	assert_fails(s->ops->begin(s, NULL, &err), EBADMSG, &err, "line 3");
	assert_non_null(strstr(err.text, "/a: "));
	s->ops->close(s);
	/* Cut short in its second epoch: the first is good, the second never starts. */
	put_trace("dom", 2, &b);
	s = open_trace(temp_file("a", b.data, b.len - 1), NULL);
	assert_compact_epoch(s, 1);
	assert_fails(s->ops->begin(s, NULL, &err), EBADMSG, &err, "ends inside a frame");
	s->ops->close(s);
}

static void test_check(void **state)
{
	char found[MB_FOUND_MAX] = "";
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_source_trace.check(found, &err), &err);
	for (size_t i = 0; mb_source_at(i); i++)
		assert_int_equal(strncmp(mb_source_at(i)->syntax, mb_source_at(i)->scheme,
					 strlen(mb_source_at(i)->scheme)),
				 0);
	assert_open_fails("trce:x", EINVAL, "trace:FILE");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seed),
		cmocka_unit_test(test_zstd),
		cmocka_unit_test(test_compact),
		cmocka_unit_test(test_only),
		cmocka_unit_test(test_empty_epoch),
		cmocka_unit_test(test_files_must_agree),
		cmocka_unit_test(test_formats_do_not_mix),
		cmocka_unit_test(test_bad_files),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests_name("source trace", tests, NULL, NULL);
}
