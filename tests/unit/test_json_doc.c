// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/json_doc.h"

#include "tests/unit/util_test.h"

static const char text[] = "{ \"n\": 7, \"f\": 2.5, \"t\": \"x\", \"b\": true,\n"
			   "  \"l\": [ { \"m\": -1 },\n"
			   "           3 ],\n"
			   "  \"e\": \"\" }";

static struct mb_json_at open_text(struct mb_json_doc *doc)
{
	struct mb_err err = { 0 };

	assert_ok(mb_json_open(text, strlen(text), doc, &err), &err);
	return (struct mb_json_at){ .doc = doc, .value = doc->root };
}

static void test_reads(void **state)
{
	struct mb_json_doc doc;
	struct mb_json_at root = open_text(&doc), list = { 0 }, one;
	const char *t = NULL;
	struct mb_err err;
	uint64_t n = 0;
	bool b = false;

	(void)state;
	assert_int_equal(mb_json_whole(&root, "n", 7, 7, &n, &err), 0);
	assert_int_equal(n, 7);
	assert_int_equal(mb_json_scaled(&root, "f", 3, 1000, &n, &err), 0);
	assert_int_equal(n, 2500);
	assert_int_equal(mb_json_text(&root, "t", &t, &err), 0);
	assert_string_equal(t, "x");
	assert_int_equal(mb_json_bool(&root, "b", &b, &err), 0);
	assert_true(b);
	assert_int_equal(mb_json_list(&root, "l", 2, &list, &err), 0);
	mb_json_element(&list, 0, &one);
	assert_string_equal(one.path, "l[0]");
	mb_json_member(&one, "m", &one);
	assert_string_equal(one.path, "l[0].m");
	assert_int_equal(json_integer_value(one.value), -1);
	/* What is not there changes nothing. */
	assert_int_equal(mb_json_whole(&root, "x", 0, 1, &n, &err), 0);
	assert_int_equal(mb_json_scaled(&root, "x", 1, 1, &n, &err), 0);
	assert_int_equal(mb_json_text(&root, "x", &t, &err), 0);
	assert_int_equal(mb_json_bool(&root, "x", &b, &err), 0);
	assert_int_equal(mb_json_list(&root, "x", 0, &list, &err), 0);
	assert_int_equal(n, 2500);
	assert_true(b && list.value && t);
	mb_json_close(&doc);
}

static void test_errors_say_line_and_place(void **state)
{
	static const char *const known[] = { "n", "f", "t", "b", "l", NULL };
	struct mb_json_doc doc;
	struct mb_json_at root = open_text(&doc), list = { 0 }, one;
	const char *t;
	struct mb_err err;
	uint64_t n;
	bool b;

	(void)state;
	assert_fails(mb_json_keys(&root, known, &err), EINVAL, &err, "line 4: unknown key \"e\"");
	assert_fails(mb_json_text(&root, "e", &t, &err), EINVAL, &err, "line 4: e: not a text");
	assert_fails(mb_json_text(&root, "n", &t, &err), EINVAL, &err, "line 1: n: not a text");
	assert_fails(mb_json_bool(&root, "n", &b, &err), EINVAL, &err, "line 1: n: neither");
	assert_fails(mb_json_whole(&root, "f", 0, 9, &n, &err), EINVAL, &err, "from 0 to 9");
	assert_fails(mb_json_whole(&root, "n", 8, 9, &n, &err), EINVAL, &err, "from 8 to 9");
	assert_fails(mb_json_scaled(&root, "f", 2, 1, &n, &err), EINVAL, &err, "from 0 to 2");
	assert_fails(mb_json_scaled(&root, "t", 2, 1, &n, &err), EINVAL, &err, "from 0 to 2");
	assert_fails(mb_json_list(&root, "n", 2, &list, &err), EINVAL, &err, "n: not a list");
	assert_fails(mb_json_list(&root, "l", 1, &list, &err), EINVAL, &err,
		     "line 2: l: 2 of them; 1 are allowed");
	assert_int_equal(mb_json_list(&root, "l", 2, &list, &err), 0);
	mb_json_element(&list, 0, &one);
	assert_fails(mb_json_whole(&one, "m", 0, 9, &n, &err), EINVAL, &err, "line 2: l[0].m: ");
	assert_fails(mb_json_scaled(&one, "m", 9, 1, &n, &err), EINVAL, &err, "line 2: l[0].m: ");
	assert_fails(mb_json_missing(&one, "k", &err), EINVAL, &err, "line 2: l[0]: no \"k\"");
	mb_json_element(&list, 1, &one);
	assert_fails(mb_json_keys(&one, known, &err), EINVAL, &err, "line 3: l[1]: not an object");
	mb_json_close(&doc);
	assert_fails(mb_json_open("{\n3", 3, &doc, &err), EINVAL, &err, "line 2, column 1: ");
	mb_json_close(&doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads),
		cmocka_unit_test(test_errors_say_line_and_place),
	};

	return cmocka_run_group_tests_name("json_doc", tests, NULL, NULL);
}
