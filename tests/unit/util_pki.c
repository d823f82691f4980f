// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_pki.h"

#include <limits.h>
#include <openssl/pem.h>

#include "server/ctl/ca.h"

#define DAY_NS ((uint64_t)86400000000000)

void pki_path(const char *pki, const char *file, char *path)
{
	char name[100];

	snprintf(name, sizeof(name), "%s/%s", pki, file);
	scratch_path(name, path);
}

void pki_init(const char *name)
{
	struct mb_err err = { 0 };
	char dir[128];

	scratch_path(name, dir);
	assert_ok(mb_ca_init(dir, name, 100 * DAY_NS, &err), &err);
}

static void issue(const char *pki, enum mb_cert_kind kind, const char *name, const char *subject,
		  uint64_t valid_ns, char *path)
{
	const char *const subjects[] = { subject, NULL };
	const struct mb_cert_wish wish = { kind, name, subjects, valid_ns };
	char dir[128], written[PATH_MAX];
	struct mb_err err = { 0 };
	struct mb_ca *ca;

	scratch_path(pki, dir);
	assert_ok(mb_ca_open(dir, &ca, &err), &err);
	assert_ok(mb_ca_issue(ca, &wish, NULL, written, &err), &err);
	mb_ca_close(ca);
	assert_true(snprintf(path, 128, "%s", written) < 128);
}

void pki_server(const char *pki, const char *name, const char *host, char *path)
{
	issue(pki, MB_CERT_SERVER, name, host, DAY_NS, path);
}

void pki_agent_for(const char *pki, const char *name, const char *vm, uint64_t valid_ns, char *path)
{
	issue(pki, MB_CERT_AGENT, name, vm, valid_ns, path);
}

void pki_agent(const char *pki, const char *name, const char *vm, char *path)
{
	pki_agent_for(pki, name, vm, DAY_NS, path);
}

void pki_operator(const char *pki, const char *name, const char *role, char *path)
{
	issue(pki, MB_CERT_OPERATOR, name, role, DAY_NS, path);
}

void pki_der(const char *path, struct mb_buf *ret)
{
	FILE *f = fopen(path, "r");
	X509 *x = f ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;
	unsigned char *der = NULL;
	int n = x ? i2d_X509(x, &der) : -1;

	assert_true(n > 0);
	mb_buf_put(ret, der, (size_t)n);
	OPENSSL_free(der);
	X509_free(x);
	fclose(f);
}

void pki_revoke(const char *pki, const char *name)
{
	struct mb_err err = { 0 };
	struct mb_ca *ca;
	unsigned int n;
	char dir[128];

	scratch_path(pki, dir);
	assert_ok(mb_ca_open(dir, &ca, &err), &err);
	assert_ok(mb_ca_revoke(ca, name, &n, &err), &err);
	assert_int_equal(n, 1);
	mb_ca_close(ca);
}
