// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/whatif.h"

#include "tests/unit/util_test.h"

/* a and b have 400 pages in common, a, b and c 100 more. A host and a VM have a '=' in their name.
 */
static struct mb_plan_host hosts[] = {
	{ .name = "h0", .memory_mb = 100, .free_mb = UINT64_MAX, .cooled_s = UINT64_MAX },
	{ .name = "h=1", .memory_mb = 300, .free_mb = UINT64_MAX, .cooled_s = UINT64_MAX },
	{ .name = "h2",
	  .memory_mb = 500,
	  .state = MB_HOST_MAINTENANCE,
	  .free_mb = UINT64_MAX,
	  .cooled_s = UINT64_MAX },
};
#define VM(n, h)                                                                                   \
	{                                                                                          \
		.name = n, .memory_mb = 60, .pages = 1000, .distinct = 800, .host = h,             \
		.settled_s = UINT64_MAX                                                            \
	}
static struct mb_plan_vm vms[] = { VM("a", 0), VM("b=b", 1), VM("c", 1), VM("d", MB_NOWHERE) };
static struct mb_group group_list[] = { { 400, 0, 2 }, { 100, 2, 3 } };
static uint32_t group_vms[] = { 0, 1, 0, 1, 2 };
static const struct mb_groups groups = { group_list, 2, group_vms, 5 };
static uint64_t zero_pages[] = { 51, 0, 1, 11 };

static struct mb_live_fleet fleet = {
	.view = { .hosts = hosts, .vms = vms, .n_hosts = 3, .n_vms = 4, .groups = &groups },
	.n_file_hosts = 3,
	.hosts = hosts,
	.vms = vms,
	.zero_pages = zero_pages,
};
static const struct mb_plan_options options = { .mean_percent = 80 };

static json_t *ask(const char *moves, const char *together, bool only)
{
	struct mb_err err = { 0 };
	json_t *j = NULL;

	assert_ok(mb_whatif_answer(&fleet, &options, moves, together, only, &j, &err), &err);
	return json_object_get(j, "hosts") ? j : NULL;
}

static json_t *side(json_t *j, const char *host, const char *which)
{
	json_t *h;
	size_t i;

	json_array_foreach(json_object_get(j, "hosts"), i,
			   h) if (strcmp(json_string_value(json_object_get(h, "name")), host) ==
				  0) return json_object_get(h, which);
	return NULL;
}

static int64_t pages(json_t *s, const char *key)
{
	return json_integer_value(json_object_get(s, key));
}

static void assert_side(json_t *s, size_t n, int64_t zero, int64_t self, int64_t inter)
{
	assert_non_null(s);
	assert_int_equal(json_array_size(json_object_get(s, "vms")), n);
	assert_int_equal(pages(s, "full_mb"), 60 * n);
	assert_int_equal(pages(s, "pages"), 1000 * n);
	assert_int_equal(pages(s, "zero_pages"), zero);
	assert_int_equal(pages(s, "self_pages"), self);
	assert_int_equal(pages(s, "inter_pages"), inter);
	assert_int_equal(pages(s, "distinct_pages"), 1000 * (int64_t)n - zero - self - inter);
}

static void test_moves(void **state)
{
	json_t *j = ask("a=h=1", NULL, false);

	(void)state;
	assert_int_equal(json_array_size(json_object_get(j, "hosts")), 2);
	assert_side(side(j, "h0", "before"), 1, 50, 150, 0);
	assert_side(side(j, "h0", "after"), 0, 0, 0, 0);
	assert_side(side(j, "h=1", "before"), 2, 0, 400, 100);
	/* 400 and twice 100: each page but one of three is saved. */
	assert_side(side(j, "h=1", "after"), 3, 50, 550, 600);
	assert_true(json_is_true(json_object_get(side(j, "h=1", "after"), "fits")));
	json_decref(j);
	/* Names with '=', several of them, one taken out, one put in. */
	j = ask("b=b=h0  c=- d=h=1", NULL, false);
	assert_side(side(j, "h0", "after"), 2, 50, 350, 500);
	assert_side(side(j, "h=1", "after"), 1, 10, 190, 0);
	/* 120 MB on 100. */
	assert_true(json_is_false(json_object_get(side(j, "h0", "after"), "fits")));
	assert_non_null(strstr(json_string_value(json_object_get(side(j, "h0", "after"), "reason")),
			       "no room"));
	json_decref(j);
	/* A host that takes nobody says so; the figures are there all the same. */
	j = ask("a=h2", NULL, false);
	assert_side(side(j, "h2", "after"), 1, 50, 150, 0);
	assert_true(json_is_false(json_object_get(side(j, "h2", "after"), "fits")));
	json_decref(j);
}

static void test_only_those_named(void **state)
{
	json_t *j = ask("a=h=1", NULL, true);

	(void)state;
	assert_side(side(j, "h=1", "before"), 0, 0, 0, 0);
	assert_side(side(j, "h=1", "after"), 1, 50, 150, 0);
	json_decref(j);
}

static void test_together(void **state)
{
	json_t *j = ask(NULL, "a b=b d", false);

	(void)state;
	/* On the largest host that is on; c is out of the picture. */
	assert_side(side(j, "h=1", "before"), 1, 0, 200, 0);
	assert_side(side(j, "h=1", "after"), 3, 60, 540, 500);
	assert_side(side(j, "h0", "after"), 0, 0, 0, 0);
	json_decref(j);
}

static void test_errors(void **state)
{
	static const struct {
		const char *moves, *together;
		int code;
		const char *words;
	} cases[] = {
		{ NULL, NULL, EINVAL, "either moves or together" },
		{ "a=h0", "a", EINVAL, "either moves or together" },
		{ "", NULL, EINVAL, "no VM is named" },
		{ NULL, "  ", EINVAL, "no VM is named" },
		{ "a", NULL, EINVAL, "\"a\" is not VM=HOST" },
		{ "x=h0", NULL, ENOENT, "no VM \"x\"" },
		{ "a=h9", NULL, ENOENT, "no host \"h9\"" },
		{ "a=", NULL, EINVAL, "host name of 0 bytes" },
		{ "=h0", NULL, EINVAL, "VM name of 0 bytes" },
		{ "a=h0 a=h2", NULL, EINVAL, "VM \"a\" is named twice" },
		{ NULL, "a,c", ENOENT, "no VM \"a,c\"" },
		{ NULL, "a a", EINVAL, "VM \"a\" is named twice" },
		{ "\xff=h0", NULL, EINVAL, "printable" },
		{ "a=\x1b", NULL, EINVAL, "printable" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mb_err err = { 0 };
		json_t *j = NULL;

		assert_fails(mb_whatif_answer(&fleet, &options, cases[i].moves, cases[i].together,
					      false, &j, &err),
			     cases[i].code, &err, cases[i].words);
		assert_null(j);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_moves),
		cmocka_unit_test(test_only_those_named),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests_name("whatif", tests, NULL, NULL);
}
