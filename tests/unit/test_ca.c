// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/ca.h"

#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/util_pki.h"

static void assert_mode(const char *path, mode_t mode)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, mode);
}

static void test_nobody_else_reads_keys(void **state)
{
	char path[128];

	(void)state;
	pki_init("modes");
	pki_path("modes", "ca.key", path);
	assert_mode(path, 0600);
	pki_path("modes", "", path);
	assert_mode(path, 0700);
	pki_agent("modes", "a", "web1", path);
	assert_mode(path, 0600);
}

static void test_nothing_is_overwritten(void **state)
{
	const struct mb_cert_wish wish = { MB_CERT_AGENT, "a", NULL, 1000000000 };
	char dir[128], path[128], written[PATH_MAX];
	struct mb_err err = { 0 };
	struct mb_ca *ca, *again;

	(void)state;
	pki_init("once");
	scratch_path("once", dir);
	assert_fails(mb_ca_init(dir, "x", 1000000000, &err), EEXIST, &err, "not overwritten");
	pki_agent("once", "a", "web1", path);
	assert_ok(mb_ca_open(dir, &ca, &err), &err);
	assert_fails(mb_ca_issue(ca, &wish, NULL, written, &err), EEXIST, &err, "not overwritten");
	/* One at a time. */
	assert_fails(mb_ca_open(dir, &again, &err), EBUSY, &err, "another mbctl");
	mb_ca_close(ca);
	mb_ca_close(NULL);
}

static void count(void *ctx, const struct mb_ca_entry *e)
{
	unsigned int *n = ctx;

	n[0]++;
	n[1] += e->revoked;
}

/* A name that was issued twice is revoked twice, others are not. */
static void test_revoke(void **state)
{
	const char *const vms[] = { "web1", NULL };
	const struct mb_cert_wish wish = { MB_CERT_AGENT, "a", vms, 3600000000000 };
	char dir[128], path[128], out[128], written[PATH_MAX];
	struct mb_err err = { 0 };
	unsigned int n, seen[2] = { 0 };
	struct mb_ca *ca;

	(void)state;
	pki_init("revoke");
	scratch_path("revoke", dir);
	pki_agent("revoke", "a", "web1", path);
	pki_agent("revoke", "b", "web1", path);
	pki_path("revoke", "new.pem", out);
	assert_ok(mb_ca_open(dir, &ca, &err), &err);
	assert_ok(mb_ca_issue(ca, &wish, out, written, &err), &err);
	assert_string_equal(written, out);
	assert_ok(mb_ca_revoke(ca, "a", &n, &err), &err);
	assert_int_equal(n, 2);
	assert_fails(mb_ca_revoke(ca, "a", &n, &err), ENOENT, &err, "that is valid");
	mb_ca_close(ca);
	/* On the disk, too. */
	assert_ok(mb_ca_open(dir, &ca, &err), &err);
	assert_ok(mb_ca_list(ca, count, seen, &err), &err);
	assert_int_equal(seen[0], 3);
	assert_int_equal(seen[1], 2);
	mb_ca_close(ca);
}

static void test_bad_wishes(void **state)
{
	static const struct {
		const char *name, *subject;
		enum mb_cert_kind kind;
		const char *word;
	} cases[] = {
		{ "../a", "web1", MB_CERT_AGENT, "letters" },
		{ "", "web1", MB_CERT_AGENT, "letters" },
		{ "-a", "web1", MB_CERT_AGENT, "letters" },
		{ "a", "web 1", MB_CERT_AGENT, "VM name" },
		{ "a", "", MB_CERT_AGENT, "VM name" },
		{ "a", "not a host", MB_CERT_SERVER, "no host name" },
		{ "a", "", MB_CERT_SERVER, "no host name" },
	};
	char dir[128], written[PATH_MAX];
	struct mb_err err = { 0 };
	struct mb_ca *ca;

	(void)state;
	pki_init("bad");
	scratch_path("bad", dir);
	assert_ok(mb_ca_open(dir, &ca, &err), &err);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *const subjects[] = { cases[i].subject, NULL };
		const struct mb_cert_wish wish = { cases[i].kind, cases[i].name, subjects,
						   1000000000 };

		assert_fails(mb_ca_issue(ca, &wish, NULL, written, &err), EINVAL, &err,
			     cases[i].word);
	}
	{
		/* 100 days is what util_pki's CAs have. */
		const struct mb_cert_wish wish = { MB_CERT_AGENT, "a", NULL,
						   101 * (uint64_t)86400000000000 };

		assert_fails(mb_ca_issue(ca, &wish, NULL, written, &err), ERANGE, &err,
			     "longer than its CA");
	}
	mb_ca_close(ca);
	scratch_path("nowhere", dir);
	assert_fails(mb_ca_open(dir, &ca, &err), ENOENT, &err, "no CA there");
}

/* A list of another CA would lose what this one has revoked. */
static void test_foreign_list(void **state)
{
	char from[128], to[128], dir[128];
	struct mb_err err = { 0 };
	struct mb_ca *ca;

	(void)state;
	pki_init("one");
	pki_init("two");
	pki_path("one", "crl.pem", from);
	pki_path("two", "crl.pem", to);
	assert_int_equal(rename(from, to), 0);
	scratch_path("two", dir);
	assert_fails(mb_ca_open(dir, &ca, &err), EBADMSG, &err, "not by this CA");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nobody_else_reads_keys),
		cmocka_unit_test(test_nothing_is_overwritten),
		cmocka_unit_test(test_revoke),
		cmocka_unit_test(test_bad_wishes),
		cmocka_unit_test(test_foreign_list),
	};

	return cmocka_run_group_tests_name("ca", tests, NULL, NULL);
}
