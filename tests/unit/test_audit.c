// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/audit.h"

#include "tests/unit/util_test.h"

static void test_classes_come_back(void **state)
{
	static const uint64_t cases[][MB_CLASS_END] = {
		{ 0 },
		{ 1 },
		{ [MB_CLASS_SLAB] = 300 },
		{ [MB_CLASS_ANON] = 5, [MB_CLASS_BUFFER] = INT64_MAX - 5 },
	};
	/* Up to the last that is not 0. */
	static const size_t bytes[] = { 0, 1, 5, 18 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		uint8_t room[MB_AUDIT_BYTES_MAX];
		uint64_t back[MB_CLASS_END] = { 0 };
		size_t n = mb_audit_put_classes(room, cases[i]);
		struct mb_err err = { 0 };

		assert_int_equal(n, bytes[i]);
		assert_ok(mb_audit_get_classes((struct mb_slice){ room, n }, "x", back, &err),
			  &err);
		assert_memory_equal(back, cases[i], sizeof(back));
	}
}

static void test_largest_fit(void **state)
{
	uint8_t room[MB_AUDIT_BYTES_MAX];
	uint64_t all[MB_CLASS_END];

	(void)state;
	memset(all, 0xff, sizeof(all));
	assert_int_equal(mb_audit_put_classes(room, all), MB_AUDIT_BYTES_MAX);
}

static void test_strange_bytes(void **state)
{
	uint8_t ones[33];
	uint64_t to[MB_CLASS_END] = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	memset(ones, 1, sizeof(ones));
	assert_fails(mb_audit_get_classes((struct mb_slice){ ones, 33 }, "stale", to, &err),
		     EBADMSG, &err, "pass.audit.stale: more than 32");
	memset(to, 0, sizeof(to));
	/* Those of a newer writer are there, but nobody knows what they are. */
	assert_ok(mb_audit_get_classes((struct mb_slice){ ones, 32 }, "stale", to, &err), &err);
	assert_int_equal(to[MB_CLASS_UNKNOWN], 1 + 32 - MB_CLASS_END);
	assert_int_equal(to[MB_CLASS_BUFFER], 1);
	ones[3] = 0x80;
	assert_fails(mb_audit_get_classes((struct mb_slice){ ones, 4 }, "stale", to, &err), EBADMSG,
		     &err, "at class 3");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes_come_back),
		cmocka_unit_test(test_largest_fit),
		cmocka_unit_test(test_strange_bytes),
	};

	return cmocka_run_group_tests_name("audit", tests, NULL, NULL);
}
