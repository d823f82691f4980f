// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/role.h"

#include "tests/unit/util_test.h"

static void test_names(void **state)
{
	(void)state;
	for (int i = MB_ROLE_READ; i <= MB_ROLE_APPLY; i++)
		assert_int_equal(mb_role_parse(mb_role_name((enum mb_role)i)), i);
	assert_int_equal(mb_role_parse("none"), MB_ROLE_NONE);
	assert_int_equal(mb_role_parse("root"), MB_ROLE_NONE);
	assert_int_equal(mb_role_parse(""), MB_ROLE_NONE);
}

static void test_uris(void **state)
{
	(void)state;
	assert_int_equal(mb_role_of_uri("memory-buddies:role:read"), MB_ROLE_READ);
	assert_int_equal(mb_role_of_uri("memory-buddies:role:apply"), MB_ROLE_APPLY);
	for (const char *const *bad =
		     (const char *const[]){ "memory-buddies:role:", "memory-buddies:role:root",
					    "memory-buddies:role:apply2", "memory-buddies:vm:apply",
					    "xmemory-buddies:role:apply",
					    "memory-buddies;role:apply", "apply", "", NULL };
	     *bad; bad++)
		assert_int_equal(mb_role_of_uri(*bad), MB_ROLE_NONE);
}

static void test_what_a_request_needs(void **state)
{
	static const struct {
		const char *method, *path;
		enum mb_role role;
	} cases[] = {
		{ "GET", "/v1/status", MB_ROLE_READ },
		{ "GET", "/v1/planet", MB_ROLE_READ },
		{ "GET", "/", MB_ROLE_READ },
		{ "GET", "/v1/plan", MB_ROLE_PLAN },
		{ "GET", "/v1/drain", MB_ROLE_PLAN },
		{ "GET", "/v1/whatif", MB_ROLE_PLAN },
		{ "GET", "/v1/executions", MB_ROLE_READ },
		{ "POST", "/v1/plan", MB_ROLE_APPLY },
		{ "POST", "/v1/rotate", MB_ROLE_APPLY },
		{ "PUT", "/v1/status", MB_ROLE_APPLY },
		{ "get", "/v1/status", MB_ROLE_APPLY },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(mb_role_needed(cases[i].method, cases[i].path), cases[i].role);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_uris),
		cmocka_unit_test(test_what_a_request_needs),
	};

	return cmocka_run_group_tests_name("role", tests, NULL, NULL);
}
