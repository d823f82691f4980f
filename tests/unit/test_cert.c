// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/cert.h"

#include <openssl/x509v3.h>

#include "tests/unit/util_test.h"

#define DAY_NS ((uint64_t)86400000000000)

static void make(enum mb_cert_kind kind, const char *const *subjects, const struct mb_cert *ca,
		 struct mb_cert *ret)
{
	/* A CA is made first, and must not end before what it signs. */
	const struct mb_cert_wish wish = { kind, "name", subjects,
					   kind == MB_CERT_CA ? 2 * DAY_NS : DAY_NS };
	struct mb_err err = { 0 };

	assert_ok(mb_cert_make(&wish, ca, ret, &err), &err);
}

static void add_subject(void *ctx, const char *subject)
{
	strcat(ctx, subject);
	strcat(ctx, " ");
}

static void test_what_it_is_good_for(void **state)
{
	static const char *const hosts[] = { "buddies.example", "192.0.2.7", "2001:db8::1", NULL };
	static const char *const vms[] = { "web1", "a,b;c=d", "*", NULL };
	static const char *const roles[] = { "plan", NULL }, *const bad[] = { "root", NULL };
	const struct mb_cert_wish no_role = { MB_CERT_OPERATOR, "name", bad, DAY_NS };
	struct mb_cert ca, server, agent, boss;
	struct mb_err err = { 0 };
	char text[400] = "";

	(void)state;
	make(MB_CERT_CA, NULL, NULL, &ca);
	make(MB_CERT_SERVER, hosts, &ca, &server);
	make(MB_CERT_AGENT, vms, &ca, &agent);
	make(MB_CERT_OPERATOR, roles, &ca, &boss);
	assert_int_equal(mb_cert_kind_of(server.x509), MB_CERT_SERVER);
	assert_int_equal(mb_cert_kind_of(agent.x509), MB_CERT_AGENT);
	assert_int_equal(mb_cert_kind_of(boss.x509), MB_CERT_OPERATOR);
	mb_cert_subjects(boss.x509, add_subject, text);
	assert_string_equal(text, "memory-buddies:role:plan ");
	*text = 0;
	mb_cert_deinit(&boss);
	assert_fails(mb_cert_make(&no_role, &ca, &boss, &err), EINVAL, &err, "role \"root\"");
	mb_cert_subjects(server.x509, add_subject, text);
	assert_string_equal(text, "buddies.example 192.0.2.7 2001:db8::1 ");
	*text = 0;
	mb_cert_subjects(agent.x509, add_subject, text);
	assert_string_equal(text, "web1 a,b;c=d * ");
	assert_int_equal(X509_check_ca(ca.x509), 1);
	assert_int_equal(X509_check_ca(agent.x509), 0);
	assert_int_equal(X509_verify(agent.x509, ca.key), 1);
	assert_int_equal(X509_check_ip_asc(server.x509, "192.0.2.7", 0), 1);
	assert_int_equal(X509_check_host(server.x509, "buddies.example", 0, 0, NULL), 1);
	assert_int_not_equal(X509_check_host(server.x509, "other.example", 0, 0, NULL), 1);
	mb_cert_deinit(&agent);
	mb_cert_deinit(&server);
	mb_cert_deinit(&ca);
}

static void test_serials_are_random(void **state)
{
	struct mb_cert ca, c;
	unsigned char first[16], bits[16] = { 0 };

	(void)state;
	make(MB_CERT_CA, NULL, NULL, &ca);
	for (int i = 0; i < 40; i++) {
		const ASN1_INTEGER *n;

		make(MB_CERT_AGENT, NULL, &ca, &c);
		n = X509_get0_serialNumber(c.x509);
		assert_int_equal(ASN1_STRING_length(n), 16);
		if (i == 0)
			memcpy(first, ASN1_STRING_get0_data(n), 16);
		for (int k = 0; k < 16; k++)
			bits[k] |= (unsigned char)(ASN1_STRING_get0_data(n)[k] ^ first[k]);
		mb_cert_deinit(&c);
	}
	/* Every bit but the two on top has been seen both ways. */
	assert_int_equal(bits[0], 0x3f);
	for (int k = 1; k < 16; k++)
		assert_int_equal(bits[k], 0xff);
	mb_cert_deinit(&ca);
}

static void test_revocation(void **state)
{
	struct mb_cert ca, one, two;
	struct mb_err err = { 0 };
	X509_CRL *crl = NULL;
	ASN1_INTEGER *number;

	(void)state;
	make(MB_CERT_CA, NULL, NULL, &ca);
	make(MB_CERT_AGENT, NULL, &ca, &one);
	make(MB_CERT_AGENT, NULL, &ca, &two);
	assert_ok(mb_crl_make(&ca, &crl, &err), &err);
	assert_false(mb_crl_has(crl, one.x509));
	assert_ok(mb_crl_add(crl, one.x509, &err), &err);
	assert_ok(mb_crl_sign(crl, &ca, &err), &err);
	assert_true(mb_crl_has(crl, one.x509));
	assert_false(mb_crl_has(crl, two.x509));
	assert_int_equal(X509_CRL_verify(crl, ca.key), 1);
	number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	assert_int_equal(ASN1_INTEGER_get(number), 2);
	ASN1_INTEGER_free(number);
	X509_CRL_free(crl);
	mb_cert_deinit(&two);
	mb_cert_deinit(&one);
	mb_cert_deinit(&ca);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_it_is_good_for),
		cmocka_unit_test(test_serials_are_random),
		cmocka_unit_test(test_revocation),
	};

	return cmocka_run_group_tests_name("cert", tests, NULL, NULL);
}
