// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/diff.h"

#include "proto/base/cleanup.h"
#include "proto/churn/put.h"
#include "proto/trace.h"
#include "server/ctl/trace_churn.h"
#include "server/ctl/trace_file.h"
#include "tests/unit/util_source.h"

static void put_epoch(uint64_t epoch, const struct mb_page *pages, size_t n, struct mb_buf *out)
{
	struct mb_trace_epoch e = { .epoch = epoch,
				    .pass = { .tracker = "none",
					      .taken_unix_ns = epoch * 1000000000 },
				    .fingerprint.pages = n };
	struct mb_err err = { 0 };

	for (size_t i = 0; i < n; i++)
		mb_multiset_hash_add(&e.fingerprint.hash, pages[i].digest, 1);
	assert_ok(mb_trace_put_pages(pages, n, out, &err), &err);
	assert_ok(mb_trace_put_epoch(&e, out, &err), &err);
}

static const struct mb_page first[] = {
	{ 10, 1, MB_CLASS_ANON, 0, false },
	{ 11, 2, MB_CLASS_ANON, 0, false },
	{ 12, 3, MB_CLASS_ANON, 0, false },
	{ 20, 4, MB_CLASS_FILE, 0, false },
};
static const struct mb_page second[] = {
	{ 10, 5, MB_CLASS_ANON, 0, false },
	{ 11, 6, MB_CLASS_ANON, 0, false },
	{ 12, 3, MB_CLASS_ANON, 0, false },
	{ 30, 4, MB_CLASS_FILE, 0, false },
};

/* Epochs 2 and 5. */
static const char *trace(const char *name, bool stable, uint8_t boot)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf b = { 0 };
	struct mb_trace_header h = { .version = MB_PROTOCOL_VERSION,
				     .agent = "t",
				     .vm = "v",
				     .source = "s",
				     .boot = { { boot } },
				     .stable_frames = stable };
	struct mb_digester d;
	struct mb_err err = { 0 };

	assert_ok(mb_digester_init(&d, MB_XXH64, MB_PAGE_BYTES, 64, "", NULL, &err), &err);
	h.identity = d.identity;
	assert_ok(mb_trace_put_header(&h, &b, &err), &err);
	put_epoch(2, first, 4, &b);
	put_epoch(5, second, 4, &b);
	return temp_file(name, b.data, b.len);
}

static json_t *diff(const char *from, const char *to, size_t ranges)
{
	struct mb_err err = { 0 };
	json_t *j;

	assert_ok(mb_diff_make(from, to, ranges, &j, &err), &err);
	return j;
}

static void refused(const char *from, const char *to, int code, const char *word)
{
	struct mb_err err = { 0 };
	json_t *j = NULL;

	assert_fails(mb_diff_make(from, to, 5, &j, &err), code, &err, word);
	assert_null(j);
}

static double at(const json_t *j, const char *a, const char *b)
{
	return mb_json_number(json_object_get(j, a), b);
}

static void test_frames(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *j = diff(trace("a", true, 1), NULL, 2);
	const json_t *frames = json_object_get(j, "frames"), *r;

	(void)state;
	assert_true(at(j, "from", "epoch") == 2 && at(j, "to", "epoch") == 5);
	assert_true(at(j, "to", "taken_unix_ms") == 5000);
	assert_true(mb_json_number(j, "gained_digests") == 2);
	assert_true(mb_json_number(j, "lost_digests") == 2);
	assert_true(mb_json_number(j, "inter") == 2);
	assert_true(mb_json_number(frames, "changed") == 2 && mb_json_number(frames, "same") == 1);
	assert_true(mb_json_number(frames, "came") == 1 && mb_json_number(frames, "went") == 1);
	assert_true(at(json_object_get(frames, "classes"), "anon", "changed") == 2);
	assert_true(mb_json_number(frames, "n_ranges") == 3);
	/* The longest, then by frame. */
	assert_int_equal(json_array_size(json_object_get(frames, "ranges")), 2);
	r = json_array_get(json_object_get(frames, "ranges"), 0);
	assert_true(mb_json_number(r, "first") == 10 && mb_json_number(r, "n") == 2);
	assert_string_equal(json_string_value(json_object_get(r, "fate")), "changed");
	r = json_array_get(json_object_get(frames, "ranges"), 1);
	assert_true(mb_json_number(r, "first") == 20);
	assert_string_equal(json_string_value(json_object_get(r, "fate")), "went");
	assert_true(json_is_true(json_object_get(frames, "one_recording")));
}

static void test_which(void **state)
{
	const char *a = trace("a", true, 1), *b = trace("b", true, 2), *c = trace("c", false, 1);
	char of_a[200], odd[200];
	mb_cleanup(mb_json_unrefp) json_t *j = NULL;

	(void)state;
	/* Without a number it is the last one. */
	snprintf(of_a, sizeof(of_a), "%s#2", a);
	j = diff(of_a, b, 0);
	assert_true(at(j, "from", "epoch") == 2 && at(j, "to", "epoch") == 5);
	assert_true(json_is_false(json_object_get(json_object_get(j, "frames"), "one_recording")));
	json_decref(j);
	j = diff(b, c, 9);
	assert_true(json_is_null(json_object_get(j, "frames")));
	assert_true(mb_json_number(j, "gained_digests") == 0);
	json_decref(j);
	/* A file may have such a name. */
	snprintf(odd, sizeof(odd), "%s", trace("odd#7", true, 1));
	j = diff(odd, a, 0);
	assert_true(at(j, "from", "epoch") == 5);
}

static void test_refused(void **state)
{
	const char *a = trace("a", true, 1);
	char none[200], word[200];

	(void)state;
	snprintf(none, sizeof(none), "%s#3", a);
	snprintf(word, sizeof(word), "%s#x", a);
	refused(none, a, EINVAL, "no epoch 3");
	refused(word, a, EINVAL, "epoch");
	refused(none, NULL, EINVAL, "nothing to compare");
	refused("/nonexistent", a, ENOENT, "/nonexistent");
	refused(a, temp_file("seed", "17\n", 3), EXDEV, "superfasthash32");
	refused(a, temp_file("cut", "M", 1), EBADMSG, "cut");
}

/* The same trace as a benchmark's run. */
static void test_metrics(void **state)
{
	mb_cleanup(mb_json_unrefp) json_t *m = json_object();
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_trace_churn(trace("a", true, 1), m, &err), &err);
	assert_ok(mb_trace_churn(trace("c", false, 1), m, &err), &err);
	/* By frame two changed and one came; by content two were gained. */
	assert_true(json_number_value(json_array_get(
			    json_object_get(json_object_get(m, "dirtied"), "values"), 0)) == 3);
	assert_true(json_number_value(json_array_get(
			    json_object_get(json_object_get(m, "dirtied"), "values"), 1)) == 2);
	assert_true(json_number_value(json_array_get(
			    json_object_get(json_object_get(m, "dirtied-rate"), "values"), 0)) ==
		    1);
	assert_ok(mb_trace_churn(temp_file("seed", "17\n18\n", 6), m, &err), &err);
	assert_int_equal(json_array_size(json_object_get(json_object_get(m, "pages"), "values")),
			 3);
	assert_int_equal(json_array_size(json_object_get(json_object_get(m, "dirtied"), "values")),
			 2);
	assert_fails(mb_trace_churn("/nonexistent", m, &err), ENOENT, &err, "/nonexistent");
	assert_fails(mb_trace_churn(temp_file("text", "1\nx\n", 4), m, &err), EBADMSG, &err,
		     "line 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_frames),
		cmocka_unit_test(test_which),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_metrics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
