/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keys, certificates and revocation lists of a small CA, in memory (OpenSSL). */
#ifndef MB_CTL_CERT_H
#define MB_CTL_CERT_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/base/err.h"

enum mb_cert_kind { MB_CERT_CA, MB_CERT_SERVER, MB_CERT_AGENT, MB_CERT_OPERATOR };

struct mb_cert_wish {
	enum mb_cert_kind kind;
	const char *name; /* common name */
	/* A server's DNS names and addresses, an agent's VMs ("*": any), an operator's role
	   (role.h); NULL ends them. */
	const char *const *subjects;
	uint64_t valid_ns;
};

struct mb_cert {
	X509 *x509;
	EVP_PKEY *key; /* NULL: not ours */
};
void mb_cert_deinit(struct mb_cert *c);

/* With a new P-256 key (browsers take no Ed25519) and a random serial; `ca` NULL: by itself. */
int mb_cert_make(const struct mb_cert_wish *wish, const struct mb_cert *ca, struct mb_cert *ret,
		 struct mb_err *err);

/* By what it is good for and names; never MB_CERT_CA. */
enum mb_cert_kind mb_cert_kind_of(const X509 *x);
/* What it is good for, as mb_cert_wish has it; `subject` is printable. */
void mb_cert_subjects(const X509 *x, void (*each)(void *ctx, const char *subject), void *ctx);
int64_t mb_cert_end_unix_s(const X509 *x);

/* An empty list; for as long as the CA is valid, since who reads it need not be online. */
int mb_crl_make(const struct mb_cert *ca, X509_CRL **ret, struct mb_err *err);
bool mb_crl_has(X509_CRL *crl, const X509 *cert);
/* mb_crl_sign() makes it count. */
int mb_crl_add(X509_CRL *crl, const X509 *cert, struct mb_err *err);
/* As a list that follows: dated now, its number one higher. */
int mb_crl_sign(X509_CRL *crl, const struct mb_cert *ca, struct mb_err *err);

#endif
