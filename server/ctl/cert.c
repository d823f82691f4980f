// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/cert.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

#include "proto/base/cleanup.h"
#include "server/role.h"
#include "server/vm_uri.h"

/* Clocks of a fleet differ: what was made now is valid everywhere. */
enum { SKEW_S = 300, SERIAL_BITS = 127, COMMON_NAME_MAX = 64 };

static int fail_ssl(struct mb_err *err, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return mb_fail(err, EIO, "%s: %s", what, why ? why : "OpenSSL failed");
}

void mb_cert_deinit(struct mb_cert *c)
{
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
	*c = (struct mb_cert){ 0 };
}

/* --- parts of a certificate ------------------------------------------------------------------- */

static void free_bn(BIGNUM **n)
{
	BN_free(*n);
}

static bool set_serial(X509 *x)
{
	mb_cleanup(free_bn) BIGNUM *n = BN_new();

	/* The top bit is set: so it is never 0, and always as long. */
	return n && BN_rand(n, SERIAL_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	       BN_to_ASN1_INTEGER(n, X509_get_serialNumber(x));
}

static bool set_times(X509 *x, uint64_t valid_ns)
{
	time_t now = time(NULL);
	uint64_t s = valid_ns / 1000000000;

	return X509_time_adj_ex(X509_getm_notBefore(x), 0, -SKEW_S, &now) &&
	       X509_time_adj_ex(X509_getm_notAfter(x), (int)(s / 86400), (long)(s % 86400), &now);
}

static bool set_name(X509 *x, const char *name)
{
	return X509_NAME_add_entry_by_NID(X509_get_subject_name(x), NID_commonName, MBSTRING_ASC,
					  (const unsigned char *)name, -1, -1, 0) == 1;
}

static bool add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *e;
	X509V3_CTX c;
	bool ok;

	X509V3_set_ctx_nodb(&c);
	X509V3_set_ctx(&c, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &c, nid, value);
	ok = e && X509_add_ext(x, e, -1) == 1;
	X509_EXTENSION_free(e);
	return ok;
}

static bool add_extensions(X509 *x, X509 *issuer, enum mb_cert_kind kind)
{
	bool ca = kind == MB_CERT_CA;

	return add_extension(x, issuer, NID_basic_constraints,
			     ca ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE") &&
	       add_extension(x, issuer, NID_key_usage,
			     ca ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature") &&
	       (ca || add_extension(x, issuer, NID_ext_key_usage,
				    kind == MB_CERT_SERVER ? "serverAuth" : "clientAuth")) &&
	       add_extension(x, issuer, NID_subject_key_identifier, "hash") &&
	       add_extension(x, issuer, NID_authority_key_identifier, "keyid:always");
}

/* --- subjectAltNames -------------------------------------------------------------------------- */

static bool push_name(GENERAL_NAMES *names, int type, ASN1_STRING *value)
{
	GENERAL_NAME *n = GENERAL_NAME_new();

	if (!n || !value || sk_GENERAL_NAME_push(names, n) <= 0) {
		GENERAL_NAME_free(n);
		ASN1_STRING_free(value);
		return false;
	}
	GENERAL_NAME_set0_value(n, type, value);
	return true;
}

static ASN1_STRING *make_text(const char *text)
{
	ASN1_STRING *s = ASN1_IA5STRING_new();

	if (s && ASN1_STRING_set(s, text, -1) == 1)
		return s;
	ASN1_STRING_free(s);
	return NULL;
}

static int push_host(GENERAL_NAMES *names, const char *host, struct mb_err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-.";
	ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);

	ERR_clear_error();
	if (ip)
		return push_name(names, GEN_IPADD, ip) ? 0 : fail_ssl(err, host);
	if (!*host || strspn(host, allowed) != strlen(host) || strlen(host) > 253)
		return mb_fail(err, EINVAL, "\"%s\" is no host name and no address", host);
	return push_name(names, GEN_DNS, make_text(host)) ? 0 : fail_ssl(err, host);
}

static int push_vm(GENERAL_NAMES *names, const char *vm, struct mb_err *err)
{
	char uri[MB_VM_URI_MAX] = MB_VM_URI_ANY;

	if (strcmp(vm, "*") != 0) {
		int r = mb_name_check(vm, "VM", err);

		if (r < 0)
			return r;
		mb_vm_uri_make(vm, uri);
	}
	return push_name(names, GEN_URI, make_text(uri)) ? 0 : fail_ssl(err, vm);
}

static int push_role(GENERAL_NAMES *names, const char *role, struct mb_err *err)
{
	char uri[sizeof(MB_ROLE_URI_PREFIX) + 16];

	if (mb_role_parse(role) == MB_ROLE_NONE)
		return mb_fail(err, EINVAL, "role \"%s\": read, plan or apply", role);
	snprintf(uri, sizeof(uri), MB_ROLE_URI_PREFIX "%s", role);
	return push_name(names, GEN_URI, make_text(uri)) ? 0 : fail_ssl(err, role);
}

static void free_names(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

static int add_subjects(X509 *x, const struct mb_cert_wish *wish, struct mb_err *err)
{
	mb_cleanup(free_names) GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	int r = names ? 0 : mb_fail_mem(err, "a certificate");

	for (const char *const *s = wish->subjects; r == 0 && s && *s; s++)
		r = wish->kind == MB_CERT_SERVER   ? push_host(names, *s, err) :
		    wish->kind == MB_CERT_OPERATOR ? push_role(names, *s, err) :
						     push_vm(names, *s, err);
	if (r == 0 && sk_GENERAL_NAME_num(names) &&
	    X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, X509V3_ADD_DEFAULT) != 1)
		r = fail_ssl(err, "subjectAltName");
	return r;
}

static void look_for_role(void *ctx, const char *subject)
{
	*(bool *)ctx |= mb_role_of_uri(subject) != MB_ROLE_NONE;
}

enum mb_cert_kind mb_cert_kind_of(const X509 *x)
{
	bool names_role = false;

	if (X509_get_extended_key_usage((X509 *)(uintptr_t)x) & XKU_SSL_SERVER)
		return MB_CERT_SERVER;
	mb_cert_subjects(x, look_for_role, &names_role);
	return names_role ? MB_CERT_OPERATOR : MB_CERT_AGENT;
}

static void tell_address(const ASN1_STRING *ip, void (*each)(void *ctx, const char *subject),
			 void *ctx)
{
	char text[INET6_ADDRSTRLEN];
	int len = ASN1_STRING_length(ip);

	if ((len == 4 || len == 16) &&
	    inet_ntop(len == 4 ? AF_INET : AF_INET6, ASN1_STRING_get0_data(ip), text, sizeof(text)))
		each(ctx, text);
}

/* Of other makers' certificates there may be anything in it. */
static void tell_text(const ASN1_STRING *s, bool uri, void (*each)(void *ctx, const char *subject),
		      void *ctx)
{
	char text[MB_VM_URI_MAX], vm[MB_NAME_MAX];

	snprintf(text, sizeof(text), "%.*s", ASN1_STRING_length(s),
		 (const char *)ASN1_STRING_get0_data(s));
	for (char *p = text; *p; p++)
		if (*p <= ' ' || *p > '~')
			*p = '?';
	each(ctx, uri && mb_vm_uri_name(text, vm) ? vm : text);
}

void mb_cert_subjects(const X509 *x, void (*each)(void *ctx, const char *subject), void *ctx)
{
	mb_cleanup(free_names) GENERAL_NAMES *names =
		X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == GEN_IPADD)
			tell_address(n->d.iPAddress, each, ctx);
		else if (n->type == GEN_DNS || n->type == GEN_URI)
			tell_text(n->d.ia5, n->type == GEN_URI, each, ctx);
	}
}

int64_t mb_cert_end_unix_s(const X509 *x)
{
	struct tm tm = { 0 };

	return ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) == 1 ? timegm(&tm) : 0;
}

/* --- certificates ----------------------------------------------------------------------------- */

static int check_wish(const struct mb_cert_wish *wish, const struct mb_cert *ca, const X509 *x,
		      struct mb_err *err)
{
	int days, seconds;

	if (!*wish->name || strlen(wish->name) > COMMON_NAME_MAX)
		return mb_fail(err, EINVAL, "name of %zu bytes; 1 to %d are possible",
			       strlen(wish->name), COMMON_NAME_MAX);
	if (!ca)
		return 0;
	if (ASN1_TIME_diff(&days, &seconds, X509_get0_notAfter(x), X509_get0_notAfter(ca->x509)) !=
	    1)
		return fail_ssl(err, "times");
	if (days < 0 || seconds < 0)
		return mb_fail(err, ERANGE,
			       "it would be valid for longer than its CA, which has %d days less "
			       "(--valid)",
			       -days);
	return 0;
}

static int fill(X509 *x, const struct mb_cert_wish *wish, const struct mb_cert *ca, EVP_PKEY *key,
		struct mb_err *err)
{
	X509 *issuer = ca ? ca->x509 : x;
	int r;

	if (X509_set_version(x, X509_VERSION_3) != 1 || !set_serial(x) ||
	    !set_times(x, wish->valid_ns))
		return fail_ssl(err, "a certificate");
	r = check_wish(wish, ca, x, err);
	if (r < 0)
		return r;
	if (!set_name(x, wish->name) ||
	    X509_set_issuer_name(x, X509_get_subject_name(issuer)) != 1 ||
	    X509_set_pubkey(x, key) != 1 || !add_extensions(x, issuer, wish->kind))
		return fail_ssl(err, "a certificate");
	r = add_subjects(x, wish, err);
	if (r < 0)
		return r;
	return X509_sign(x, ca ? ca->key : key, EVP_sha256()) ? 0 : fail_ssl(err, "signing");
}

int mb_cert_make(const struct mb_cert_wish *wish, const struct mb_cert *ca, struct mb_cert *ret,
		 struct mb_err *err)
{
	struct mb_cert c = { .x509 = X509_new(), .key = EVP_EC_gen("P-256") };
	int r;

	ERR_clear_error();
	r = c.x509 && c.key ? fill(c.x509, wish, ca, c.key, err) : fail_ssl(err, "a key");
	if (r < 0)
		mb_cert_deinit(&c);
	else
		*ret = c;
	return r;
}

/* --- revocation lists ------------------------------------------------------------------------- */

static void free_time(ASN1_TIME **t)
{
	ASN1_TIME_free(*t);
}

static void free_integer(ASN1_INTEGER **n)
{
	ASN1_INTEGER_free(*n);
}

static void free_revoked(X509_REVOKED **r)
{
	X509_REVOKED_free(*r);
}

static void free_crl(X509_CRL **c)
{
	X509_CRL_free(*c);
}

int mb_crl_make(const struct mb_cert *ca, X509_CRL **ret, struct mb_err *err)
{
	mb_cleanup(free_crl) X509_CRL *crl = X509_CRL_new();
	int r;

	if (!crl || X509_CRL_set_version(crl, X509_CRL_VERSION_2) != 1 ||
	    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->x509)) != 1 ||
	    X509_CRL_set1_nextUpdate(crl, X509_get0_notAfter(ca->x509)) != 1)
		return fail_ssl(err, "a revocation list");
	r = mb_crl_sign(crl, ca, err);
	if (r == 0)
		*ret = mb_take_ptr(crl);
	return r;
}

bool mb_crl_has(X509_CRL *crl, const X509 *cert)
{
	X509_REVOKED *found;

	return X509_CRL_get0_by_serial(crl, &found, X509_get0_serialNumber(cert)) == 1;
}

int mb_crl_add(X509_CRL *crl, const X509 *cert, struct mb_err *err)
{
	mb_cleanup(free_revoked) X509_REVOKED *r = X509_REVOKED_new();
	mb_cleanup(free_time) ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
	ASN1_INTEGER *serial = (ASN1_INTEGER *)(uintptr_t)X509_get0_serialNumber(cert);

	if (!r || !now || X509_REVOKED_set_serialNumber(r, serial) != 1 ||
	    X509_REVOKED_set_revocationDate(r, now) != 1 || X509_CRL_add0_revoked(crl, r) != 1)
		return fail_ssl(err, "a revocation list");
	r = NULL;
	return 0;
}

int mb_crl_sign(X509_CRL *crl, const struct mb_cert *ca, struct mb_err *err)
{
	mb_cleanup(free_integer) ASN1_INTEGER *number =
		X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	mb_cleanup(free_time) ASN1_TIME *now = X509_gmtime_adj(NULL, 0);
	int64_t n = 0;

	if (number && ASN1_INTEGER_get_int64(&n, number) != 1)
		return fail_ssl(err, "number of the revocation list");
	if (!number)
		number = ASN1_INTEGER_new();
	if (!number || !now || ASN1_INTEGER_set_int64(number, n + 1) != 1 ||
	    X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, X509V3_ADD_REPLACE) != 1 ||
	    X509_CRL_set1_lastUpdate(crl, now) != 1 || X509_CRL_sort(crl) != 1 ||
	    !X509_CRL_sign(crl, ca->key, EVP_sha256()))
		return fail_ssl(err, "a revocation list");
	return 0;
}
