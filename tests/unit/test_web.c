// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/web.h"

#include "proto/base/file.h"
#include "tests/unit/util_test.h"

static const struct mb_web_file *find(const char *path)
{
	static struct mb_web_file f;

	return mb_web_find(path, &f) ? &f : NULL;
}

static bool has(const struct mb_web_file *f, const char *text)
{
	return memmem(f->content.data, f->content.len, text, strlen(text));
}

/* What the page asks for is there, and is of the type that a browser insists on (nosniff). */
static void test_page_is_whole(void **state)
{
	(void)state;
	assert_non_null(find("/"));
	assert_true(has(find("/"), "href=\"/style.css\""));
	assert_string_equal(find("/style.css")->type, "text/css; charset=utf-8");
	for (int i = 0; i < 3; i++) {
		const char *path = (const char *[]){ "/order.js", "/draw.js", "/app.js" }[i];
		char tag[64];

		snprintf(tag, sizeof(tag), "<script src=\"%s\" defer>", path);
		assert_true(has(find("/"), tag));
		assert_string_equal(find(path)->type, "text/javascript; charset=utf-8");
	}
}

/* Nothing from elsewhere, and nothing that its own policy would refuse. */
static void test_nothing_from_outside(void **state)
{
	static const char *const paths[] = { "/", "/style.css", "/order.js", "/draw.js",
					     "/app.js" };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		assert_false(has(find(paths[i]), "https://"));
		assert_false(has(find(paths[i]), "eval("));
		assert_false(has(find(paths[i]), "innerHTML"));
	}
	assert_false(has(find("/"), "http://"));
	assert_false(has(find("/"), " style="));
	assert_false(has(find("/"), " onclick="));
}

static void test_what_is_not_there(void **state)
{
	(void)state;
	assert_null(find(""));
	assert_null(find("/index.html"));
	assert_null(find("/../Makefile"));
	assert_null(find("/app.js/"));
}

static void test_embedded_as_they_are(void **state)
{
	struct mb_buf file = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_file_read("server/web/app.js", 1 << 20, &file, &err), &err);
	assert_int_equal(file.len, find("/app.js")->content.len);
	assert_memory_equal(file.data, find("/app.js")->content.data, file.len);
	mb_buf_deinit(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_page_is_whole),
		cmocka_unit_test(test_nothing_from_outside),
		cmocka_unit_test(test_what_is_not_there),
		cmocka_unit_test(test_embedded_as_they_are),
	};

	return cmocka_run_group_tests_name("web", tests, NULL, NULL);
}
