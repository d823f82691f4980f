// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/secure.h"

#include "tests/unit/util_pki.h"

static int open_secure(struct mb_secure *s, const char *uri, struct mb_err *err)
{
	struct mb_address a;

	assert_ok(mb_uri_parse(uri, &a, err), err);
	return mb_secure_open(s, uri, &a, err);
}

static void test_clear_stays_on_this_machine(void **state)
{
	static const char *const good[] = { "tcp:127.0.0.1:1", "tcp:[::1]:1", "unix:/x",
					    "vsock:host:1", "serial:/dev/x" };
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		struct mb_secure s = { 0 };

		assert_ok(open_secure(&s, good[i], &err), &err);
		assert_null(s.tls);
		mb_secure_close(&s);
	}
	for (int insecure = 0; insecure < 2; insecure++) {
		struct mb_secure s = { .insecure = insecure };
		int r = open_secure(&s, "tcp:192.0.2.1:1", &err);

		if (insecure)
			assert_ok(r, &err);
		else
			assert_fails(r, EPERM, &err, "needs --tls-cert");
	}
}

static void test_whom_the_certificate_is_for(void **state)
{
	static const struct {
		const char *uri, *option, *name;
	} cases[] = {
		{ "tcp:127.0.0.1:9", NULL, "127.0.0.1" },
		{ "tcp:[::1]:9", NULL, "::1" },
		{ "tcp:[2001:db8::5]:9", NULL, "2001:db8::5" },
		{ "tcp:127.0.0.1:9", "buddies.example", "buddies.example" },
	};
	struct mb_err err = { 0 };
	char pem[128];

	(void)state;
	pki_init("agents");
	pki_agent("agents", "a", "web1", pem);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mb_secure s = { .files.cert = pem, .name = cases[i].option };

		assert_ok(open_secure(&s, cases[i].uri, &err), &err);
		assert_non_null(s.tls);
		assert_string_equal(s.name, cases[i].name);
		mb_secure_close(&s);
		assert_null(s.tls);
	}
	{
		struct mb_secure s = { .files.cert = pem };

		assert_fails(open_secure(&s, "unix:/x", &err), EINVAL, &err, "no TCP address");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear_stays_on_this_machine),
		cmocka_unit_test(test_whom_the_certificate_is_for),
	};

	return cmocka_run_group_tests_name("secure", tests, NULL, NULL);
}
