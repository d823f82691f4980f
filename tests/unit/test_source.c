// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/source.h"
#include "tests/unit/util_source.h"

static void test_list(void **state)
{
	static const char *const schemes[] = { "kmod", "process", "elf", "trace" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const struct mb_source_ops *ops = mb_source_at(i);

		assert_string_equal(ops->scheme, schemes[i]);
		/* All hooks are required. */
		assert_true(ops->check && ops->open && ops->close && ops->describe && ops->begin &&
			    ops->read && ops->unread && ops->progress);
		assert_memory_equal(ops->syntax, ops->scheme, strlen(ops->scheme));
		assert_non_null(ops->summary);
	}
	assert_null(mb_source_at(4));
	assert_null(mb_source_at(SIZE_MAX));
}

static void test_unknown_schemes(void **state)
{
	static const char *const bad[] = {
		"",	":",	 "elf",	   "process", "elfx:a",
		"el:a", "ELF:a", " elf:a", "kmodx",   "file:///x",
	};
	struct mb_source *s = NULL;
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char where[64];

		assert_fails(mb_source_open(bad[i], &with_xxh64, &s, &err), EINVAL, &err,
			     "not one of");
		snprintf(where, sizeof(where), "source \"%s\"", bad[i]);
		assert_non_null(strstr(err.text, where));
		/* It says what there is. */
		for (size_t k = 0; k < 4; k++)
			assert_non_null(strstr(err.text, mb_source_at(k)->syntax));
		assert_null(s);
	}
}

static void test_errors_name_the_source(void **state)
{
	struct mb_source *s = NULL;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_source_open("elf:/nonexistent/core", &with_xxh64, &s, &err), ENOENT, &err,
		     "source elf:/nonexistent/core: ");
	assert_fails(mb_source_open("trace:/nonexistent/t", &with_xxh64, &s, &err), ENOENT, &err,
		     "source trace:/nonexistent/t: ");
	assert_fails(mb_source_open("process:", &with_xxh64, &s, &err), EINVAL, &err,
		     "source process:: ");
	assert_null(s);
}

static void test_long_uri(void **state)
{
	struct mb_source *s = NULL;
	struct mb_err err = { 0 };
	char uri[3000];

	(void)state;
	memset(uri, 'a', sizeof(uri));
	uri[sizeof(uri) - 1] = 0;
	assert_int_equal(mb_source_open(uri, &with_xxh64, &s, &err), -EINVAL);
	assert_true(strlen(err.text) < sizeof(err.text));
	memcpy(uri, "elf:", 4);
	assert_true(mb_source_open(uri, &with_xxh64, &s, &err) < 0);
	assert_null(s);
}

static void test_names_of_reasons(void **state)
{
	(void)state;
	assert_string_equal(mb_unread_name(MB_UNREAD_SWAPPED), "swapped");
	assert_string_equal(mb_unread_name(MB_UNREAD_NO_DATA), "no_data");
	assert_string_equal(mb_unread_name(MB_UNREAD_FAILED), "failed");
	assert_string_equal(mb_unread_name(MB_UNREAD_OFFLINE), "offline");
	assert_string_equal(mb_unread_name(MB_UNREAD_HWPOISON), "hwpoison");
	assert_string_equal(mb_unread_name(MB_UNREAD_BALLOON), "balloon");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_unknown_schemes),
		cmocka_unit_test(test_errors_name_the_source),
		cmocka_unit_test(test_long_uri),
		cmocka_unit_test(test_names_of_reasons),
	};

	return cmocka_run_group_tests_name("source", tests, NULL, NULL);
}
