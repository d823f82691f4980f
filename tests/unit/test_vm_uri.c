// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/vm_uri.h"

#include "tests/unit/util_test.h"

static bool allows(const char *uri, const char *vm)
{
	return mb_vm_uri_allows(uri, (void *)(uintptr_t)vm);
}

static void test_there_and_back(void **state)
{
	char name[MB_NAME_MAX], uri[MB_VM_URI_MAX], back[MB_NAME_MAX];

	(void)state;
	/* Every byte that a name may have, and the longest name of the worst. */
	for (int c = 0x21; c <= 0x7e; c++) {
		snprintf(name, sizeof(name), "a%cb", c);
		mb_vm_uri_make(name, uri);
		assert_true(mb_vm_uri_name(uri, back));
		assert_string_equal(back, name);
		assert_true(allows(uri, name));
		assert_false(allows(uri, "ab"));
	}
	memset(name, '%', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	mb_vm_uri_make(name, uri);
	assert_true(allows(uri, name));
	assert_int_equal(strlen(uri), MB_VM_URI_MAX - 4);
}

static void test_wildcard_is_no_name(void **state)
{
	char uri[MB_VM_URI_MAX];

	(void)state;
	assert_true(allows("memory-buddies:vm:*", "anything"));
	mb_vm_uri_make("*", uri);
	assert_string_equal(uri, "memory-buddies:vm:%2A");
	assert_true(allows(uri, "*"));
	assert_false(allows(uri, "web1"));
	/* No patterns. */
	assert_false(allows("memory-buddies:vm:web*", "web1"));
	assert_false(allows("memory-buddies:vm:**", "web1"));
}

static void test_strangers(void **state)
{
	static const char *const bad[] = {
		"",
		"memory-buddies:vm",
		"memory-buddies:vm:",
		"memory-buddies:host:*",
		"MEMORY-BUDDIES:vm:*",
		"xmemory-buddies:vm:*",
		"memory-buddies:vm:a%",
		"memory-buddies:vm:a%4",
		"memory-buddies:vm:a%zz",
		"memory-buddies:vm:a%00",
		"memory-buddies:vm:a%20b",
		"memory-buddies:vm:a b",
		"memory-buddies:vm:a/b",
	};
	char name[MB_NAME_MAX], longer[600] = MB_VM_URI_PREFIX;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		if (mb_vm_uri_name(bad[i], name))
			fail_msg("\"%s\" is VM \"%s\"", bad[i], name);
	memset(longer + strlen(longer), 'a', 200);
	assert_false(mb_vm_uri_name(longer, name));
	/* Either case of a digit. */
	assert_true(allows("memory-buddies:vm:a%2fb", "a/b"));
	assert_true(allows("memory-buddies:vm:a%2Fb", "a/b"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_wildcard_is_no_name),
		cmocka_unit_test(test_strangers),
	};

	return cmocka_run_group_tests_name("vm_uri", tests, NULL, NULL);
}
