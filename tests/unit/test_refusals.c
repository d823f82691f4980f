// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/refusals.h"

#include "tests/unit/util_test.h"

static void test_counted_apart(void **state)
{
	struct mb_refusals r = { 0 };

	(void)state;
	mb_refusals_count(&r, MB_FOR_REVOKED);
	mb_refusals_count(&r, MB_FOR_REVOKED);
	mb_refusals_count(&r, MB_FOR_OTHER_VM);
	for (int i = 0; i < MB_FOR_END; i++)
		assert_int_equal(mb_refusals_get(&r, (enum mb_refused_for)i),
				 i == MB_FOR_REVOKED  ? 2 :
				 i == MB_FOR_OTHER_VM ? 1 :
							0);
}

static void test_every_reason_has_a_name_of_its_own(void **state)
{
	(void)state;
	for (int i = 0; i < MB_FOR_END; i++)
		for (int j = 0; j <= i; j++)
			assert_int_equal(strcmp(mb_refused_for_name((enum mb_refused_for)i),
						mb_refused_for_name((enum mb_refused_for)j)) == 0,
					 i == j);
	assert_string_equal(mb_refused_for_name(mb_refused_for_fault(MB_TLS_UNKNOWN_CA)),
			    "unknown_ca");
	assert_string_equal(mb_refused_for_name(mb_refused_for_fault(MB_TLS_NOT_TLS13)),
			    "not_tls13");
	assert_string_equal(mb_refused_for_name(mb_refused_for_fault(MB_TLS_BROKEN)),
			    "broken_handshake");
	assert_string_equal(mb_refused_for_name(mb_refused_for_fault(MB_TLS_EXPIRED)), "expired");
	assert_string_equal(mb_refused_for_name(mb_refused_for_fault(MB_TLS_REVOKED)), "revoked");
	assert_string_equal(mb_refused_for_name(mb_refused_for_fault(MB_TLS_NO_CERTIFICATE)),
			    "no_certificate");
	assert_string_equal(mb_refused_for_name(mb_refused_for_fault(MB_TLS_BAD_CERTIFICATE)),
			    "bad_certificate");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_counted_apart),
		cmocka_unit_test(test_every_reason_has_a_name_of_its_own),
	};

	return cmocka_run_group_tests_name("refusals", tests, NULL, NULL);
}
