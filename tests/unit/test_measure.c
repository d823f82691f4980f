// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/measure.h"

#include "proto/base/cleanup.h"
#include "server/ctl/render.h"
#include "tests/unit/util_test.h"

enum { TRACES = 4, CONTENTS = 20000 };

/* Each has 500 contents that the one before had not. */
static void make(struct mb_loads *l)
{
	l->items = calloc(TRACES, sizeof(*l->items));
	assert_non_null(l->items);
	for (l->n = 0; l->n < TRACES; l->n++) {
		mb_autofree uint64_t *digests = malloc(CONTENTS * sizeof(*digests));
		struct mb_loaded *to = &l->items[l->n];
		struct mb_err err = { 0 };

		assert_true(digests && asprintf(&to->label, "t%zu", l->n) > 0);
		to->identity = (struct mb_identity){ .algorithm = MB_XXH64,
						     .page_bytes = 4096,
						     .bits = 64 };
		for (uint64_t i = 0; i < CONTENTS; i++)
			digests[i] = mb_mix64(l->n * 500 + i + 1);
		assert_ok(mb_fingerprint_from_digests(&to->fingerprint, digests, CONTENTS, &err),
			  &err);
	}
}

static double real(const json_t *row, const char *key)
{
	const json_t *v = json_object_get(row, key);

	assert_true(json_is_number(v));
	return json_number_value(v);
}

static const json_t *find(const json_t *root, const char *key, int value)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(root, "rows"), i,
			   row) if (json_integer_value(json_object_get(row, key)) ==
				    value) return row;
	fail_msg("no row with %s %d", key, value);
	return NULL;
}

static void test_measure(void **state)
{
	mb_cleanup(mb_loads_deinit) struct mb_loads l = { 0 };
	const json_t *all, *sample, *cut;
	struct mb_err err = { 0 };
	json_t *root;

	(void)state;
	make(&l);
	assert_ok(mb_succinct_measure(&l, &root, &err), &err);
	assert_int_equal(json_array_size(json_object_get(root, "traces")), TRACES);
	all = json_array_get(json_object_get(root, "rows"), 0);
	assert_string_equal(json_string_value(json_object_get(all, "how")), "all");
	assert_true(real(all, "rmse_percent") == 0 && real(all, "error_percent") == 0);
	assert_true(real(all, "within_percent") == 100 && real(all, "compare_ratio") == 1);
	assert_true(real(all, "snapshot_bytes") > 5 * CONTENTS);
	/* 500 of 20000 come, and as many go. */
	assert_true(real(all, "delta_bytes") < real(all, "snapshot_bytes") / 15);
	sample = find(root, "sample", 16);
	assert_true(real(sample, "snapshot_bytes") < real(all, "snapshot_bytes") / 12);
	assert_true(real(sample, "delta_bytes") < real(all, "delta_bytes") / 5);
	assert_true(real(sample, "worst_percent") >= real(sample, "rmse_percent"));
	assert_true(real(sample, "error_percent") > 0.1 && real(sample, "error_percent") < 2);
	cut = find(root, "cut_bits", 18);
	assert_true(real(cut, "rmse_percent") < 0.5 && real(cut, "within_percent") >= 80);
	assert_true(real(cut, "snapshot_bytes") < real(all, "snapshot_bytes") / 2);
	assert_int_equal(json_integer_value(json_object_get(cut, "full_pairs")), 0);
	json_decref(root);
}

static void test_what_cannot_be_compared(void **state)
{
	mb_cleanup(mb_loads_deinit) struct mb_loads l = { 0 };
	struct mb_err err = { 0 };
	json_t *root;

	(void)state;
	make(&l);
	l.items[2].identity.page_bytes = 8192;
	assert_fails(mb_succinct_measure(&l, &root, &err), EXDEV, &err, "t2: ");
	l.items[2].identity.page_bytes = 4096;
	l.n = 1;
	assert_fails(mb_succinct_measure(&l, &root, &err), EINVAL, &err, "two at least");
	l.n = TRACES;
}

static void test_render(void **state)
{
	json_t *root = json_loads(
		"{\"traces\":[{\"file\":\"a\"},{\"file\":\"b\"}],\"rows\":["
		"{\"how\":\"all\",\"snapshot_bytes\":2048,\"rmse_percent\":0.0},"
		"{\"how\":\"sample\",\"sample\":16,\"snapshot_bytes\":1024.0,"
		"\"delta_bytes\":512.0,\"rmse_percent\":0.25,\"worst_percent\":1.0,"
		"\"error_percent\":0.5,\"within_percent\":95.4,\"compare_ratio\":0.0625},"
		"{\"how\":\"bloom\",\"filter_bytes\":94208,\"hashes\":1},"
		"{\"how\":\"cut\",\"cut_bits\":20,\"filter_bytes\":131072}]}",
		0, NULL);
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);
	struct mb_err err = { 0 };

	(void)state;
	assert_true(root && f);
	assert_ok(mb_render_succinct(root, f, &err), &err);
	fclose(f);
	assert_non_null(strstr(text, "2 traces"));
	assert_non_null(strstr(text, "all digests                      2.0         -  0.000"));
	assert_non_null(strstr(text,
			       "sample of 1 in 16                1.0       0.5  0.250    1.000"
			       "   0.500     95  0.062"));
	assert_non_null(strstr(text, "Bloom filter, 92 KiB, 1 hash"));
	assert_non_null(strstr(text, "cut to 20 bits (Bloom, 128 KiB)"));
	free(text);
	json_decref(root);
	root = json_object();
	assert_fails(mb_render_succinct(root, stderr, &err), EBADMSG, &err, "traces");
	json_decref(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_measure),
		cmocka_unit_test(test_what_cannot_be_compared),
		cmocka_unit_test(test_render),
	};

	return cmocka_run_group_tests_name("measure", tests, NULL, NULL);
}
