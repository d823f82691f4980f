// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/base/tls.h"

#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"

/* A revocation list of a million certificates is 40 MB. */
enum { PEM_BYTES_MAX = 64 << 20 };

struct mb_tls {
	bool server;
	struct mb_tls_files files;
	SSL_CTX *ctx;
};

/* --- what is in the files --------------------------------------------------------------------- */

struct pem {
	struct mb_buf text;
	BIO *bio;
};

static void pem_close(struct pem *p)
{
	BIO_free(p->bio);
	/* A key may be in it. */
	if (p->text.data)
		explicit_bzero(p->text.data, p->text.cap);
	mb_buf_deinit(&p->text);
}

static int pem_open(struct pem *p, const char *path, struct mb_err *err)
{
	int r = mb_file_read(path, PEM_BYTES_MAX, &p->text, err);

	if (r < 0)
		return r;
	p->bio = BIO_new_mem_buf(p->text.data, (int)p->text.len);
	return p->bio ? 0 : mb_fail_mem(err, path);
}

/* A daemon has nobody to ask for one. */
static int no_password(char *buf, int size, int writing, void *ctx)
{
	(void)buf;
	(void)size;
	(void)writing;
	(void)ctx;
	return -1;
}

static int fail_ssl(struct mb_err *err, const char *path, const char *what)
{
	const char *why = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return why ? mb_fail(err, EBADMSG, "%s: %s: %s", path, what, why) :
		     mb_fail(err, EBADMSG, "%s: %s", path, what);
}

/*
 * The next object of its kind, whatever else is between; NULL at the end. What looks like one and
 * cannot be read is a mistake that must not pass for the end.
 */
static bool at_end(void)
{
	unsigned long e = ERR_peek_last_error();

	if (ERR_GET_LIB(e) != ERR_LIB_PEM || ERR_GET_REASON(e) != PEM_R_NO_START_LINE)
		return false;
	ERR_clear_error();
	return true;
}

static void free_x509(X509 **x)
{
	X509_free(*x);
}

static void free_key(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void free_crl(X509_CRL **c)
{
	X509_CRL_free(*c);
}

static void free_ctx(SSL_CTX **c)
{
	SSL_CTX_free(*c);
}

static int check_own(X509 *cert, bool server, const char *path, struct mb_err *err)
{
	if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
		return mb_fail(err, EKEYEXPIRED, "%s: the certificate is not valid yet", path);
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
		return mb_fail(err, EKEYEXPIRED, "%s: the certificate has expired", path);
	if (X509_check_purpose(cert, server ? X509_PURPOSE_SSL_SERVER : X509_PURPOSE_SSL_CLIENT,
			       0) != 1)
		return mb_fail(err, EBADMSG, "%s: no certificate for %s", path,
			       server ? "a server" : "an agent");
	return 0;
}

static int use_cert(const struct mb_tls *t, SSL_CTX *ctx, struct mb_err *err)
{
	const char *path = t->files.cert;
	mb_cleanup(pem_close) struct pem p = { 0 };
	mb_cleanup(free_x509) X509 *cert = NULL;
	X509 *next;
	int r = pem_open(&p, path, err);

	if (r < 0)
		return r;
	cert = PEM_read_bio_X509(p.bio, NULL, no_password, NULL);
	if (!cert)
		return fail_ssl(err, path, at_end() ? "no certificate in it" : "certificate");
	r = check_own(cert, t->server, path, err);
	if (r < 0)
		return r;
	if (SSL_CTX_use_certificate(ctx, cert) != 1)
		return fail_ssl(err, path, "certificate");
	/* Those between it and the CA go along; the CA itself the peer must have anyway. */
	while ((next = PEM_read_bio_X509(p.bio, NULL, no_password, NULL))) {
		if (X509_self_signed(next, 0) == 1)
			X509_free(next);
		else if (SSL_CTX_add0_chain_cert(ctx, next) != 1) {
			X509_free(next);
			return fail_ssl(err, path, "chain of certificates");
		}
	}
	return at_end() ? 0 : fail_ssl(err, path, "chain of certificates");
}

static int use_key(const struct mb_tls *t, SSL_CTX *ctx, struct mb_err *err)
{
	const char *path = t->files.key ? t->files.key : t->files.cert;
	mb_cleanup(pem_close) struct pem p = { 0 };
	mb_cleanup(free_key) EVP_PKEY *key = NULL;
	struct stat st;
	int r = pem_open(&p, path, err);

	if (r < 0)
		return r;
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & S_IRWXO)
		return mb_fail(err, EPERM, "%s: others can read the key in it (mode %o; chmod o=)",
			       path, st.st_mode & 07777u);
	key = PEM_read_bio_PrivateKey(p.bio, NULL, no_password, NULL);
	if (!key)
		return fail_ssl(err, path,
				at_end() ? "no private key in it" : "private key (no password?)");
	/* Also when it does not fit the certificate. */
	if (SSL_CTX_use_PrivateKey(ctx, key) != 1 || SSL_CTX_check_private_key(ctx) != 1)
		return fail_ssl(err, path, "private key");
	return 0;
}

static int use_ca(const struct mb_tls *t, SSL_CTX *ctx, STACK_OF(X509) * cas, struct mb_err *err)
{
	const char *path = t->files.ca ? t->files.ca : t->files.cert;
	mb_cleanup(pem_close) struct pem p = { 0 };
	X509 *x;
	int r = pem_open(&p, path, err);

	if (r < 0)
		return r;
	while ((x = PEM_read_bio_X509(p.bio, NULL, no_password, NULL))) {
		bool good = true;

		/* In a file of everything one's own certificate comes first. */
		if (X509_check_ca(x))
			good = X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x) == 1 &&
			       SSL_CTX_add_client_CA(ctx, x) == 1 && X509_up_ref(x) &&
			       sk_X509_push(cas, x) > 0;
		X509_free(x);
		if (!good)
			return fail_ssl(err, path, "CA");
	}
	if (!at_end())
		return fail_ssl(err, path, "CA");
	return sk_X509_num(cas) > 0 ? 0 : mb_fail(err, EBADMSG, "%s: no CA in it", path);
}

/* One of another CA, or an old one, would have every peer refused. */
static int check_crl(X509_CRL *crl, STACK_OF(X509) * cas, const char *path, struct mb_err *err)
{
	const ASN1_TIME *until = X509_CRL_get0_nextUpdate(crl);

	if (until && X509_cmp_current_time(until) < 0)
		return mb_fail(err, EKEYEXPIRED, "%s: the revocation list has expired", path);
	for (int i = 0; i < sk_X509_num(cas); i++) {
		X509 *ca = sk_X509_value(cas, i);

		if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_subject_name(ca)) == 0 &&
		    X509_CRL_verify(crl, X509_get0_pubkey(ca)) == 1)
			return 0;
	}
	ERR_clear_error();
	return mb_fail(err, EBADMSG, "%s: a revocation list that is not by our CA", path);
}

static int use_crl(const struct mb_tls *t, SSL_CTX *ctx, STACK_OF(X509) * cas, struct mb_err *err)
{
	const char *path = t->files.crl;
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	mb_cleanup(pem_close) struct pem p = { 0 };
	int n = 0, r = pem_open(&p, path, err);

	for (; r == 0; n++) {
		mb_cleanup(free_crl) X509_CRL *crl =
			PEM_read_bio_X509_CRL(p.bio, NULL, no_password, NULL);

		if (!crl)
			break;
		r = check_crl(crl, cas, path, err);
		if (r == 0 && X509_STORE_add_crl(store, crl) != 1)
			r = fail_ssl(err, path, "revocation list");
	}
	if (r < 0)
		return r;
	if (!at_end())
		return fail_ssl(err, path, "revocation list");
	if (!n)
		return mb_fail(err, EBADMSG, "%s: no revocation list in it", path);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
	return 0;
}

/* --- contexts --------------------------------------------------------------------------------- */

static void free_cas(STACK_OF(X509) * *cas)
{
	sk_X509_pop_free(*cas, X509_free);
}

static SSL_CTX *make_ctx(bool server)
{
	SSL_CTX *ctx;

#ifdef MB_STATIC
	/* The machine's openssl.cnf may ask for modules, which a static program cannot load. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
#endif
	ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	if (!ctx || SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1 ||
	    SSL_CTX_set_max_early_data(ctx, 0) != 1 || SSL_CTX_set_num_tickets(ctx, 0) != 1) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	/*
	 * A connection that is cut says nothing new: frames say how long they are. So it is an end
	 * like any other, whoever has cut it.
	 */
	SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
					 SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
				      SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | (server ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
			   NULL);
	return ctx;
}

int mb_tls_reload(struct mb_tls *t, struct mb_err *err)
{
	mb_cleanup(free_cas) STACK_OF(X509) *cas = sk_X509_new_null();
	mb_cleanup(free_ctx) SSL_CTX *ctx = make_ctx(t->server);
	SSL_CTX *old = t->ctx;
	int r;

	ERR_clear_error();
	if (!ctx || !cas)
		return mb_fail_mem(err, "TLS");
	if ((r = use_cert(t, ctx, err)) < 0 || (r = use_key(t, ctx, err)) < 0 ||
	    (r = use_ca(t, ctx, cas, err)) < 0 ||
	    (t->files.crl && (r = use_crl(t, ctx, cas, err)) < 0))
		return r;
	t->ctx = ctx;
	ctx = old;
	return 0;
}

int mb_tls_create(bool server, const struct mb_tls_files *files, struct mb_tls **ret,
		  struct mb_err *err)
{
	struct mb_tls *t = calloc(1, sizeof(*t));
	int r;

	if (!t)
		return mb_fail_mem(err, "TLS");
	t->server = server;
	t->files = *files;
	r = mb_tls_reload(t, err);
	if (r < 0)
		free(t);
	else
		*ret = t;
	return r;
}

void mb_tls_destroy(struct mb_tls *t)
{
	if (!t)
		return;
	SSL_CTX_free(t->ctx);
	free(t);
}

/* --- connections ------------------------------------------------------------------------------ */

struct ssl_st *mb_tls_accept(const struct mb_tls *t)
{
	return SSL_new(t->ctx);
}

struct ssl_st *mb_tls_connect(const struct mb_tls *t, int fd, const char *name)
{
	SSL *ssl = SSL_new(t->ctx);

	if (!ssl || SSL_set_fd(ssl, fd) != 1)
		goto failed;
	SSL_set_connect_state(ssl);
	if (X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name) == 1)
		return ssl;
	if (SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1)
		return ssl;
failed:
	ERR_clear_error();
	SSL_free(ssl);
	return NULL;
}

static void free_store_ctx(X509_STORE_CTX **c)
{
	X509_STORE_CTX_free(*c);
}

static int verify(const struct mb_tls *t, X509 *peer, STACK_OF(X509) * chain, struct mb_err *err)
{
	mb_cleanup(free_store_ctx) X509_STORE_CTX *c = X509_STORE_CTX_new();

	if (!c || X509_STORE_CTX_init(c, SSL_CTX_get_cert_store(t->ctx), peer, chain) != 1 ||
	    X509_STORE_CTX_set_default(c, t->server ? "ssl_client" : "ssl_server") != 1)
		return mb_fail_mem(err, "TLS");
	if (X509_verify_cert(c) == 1)
		return 0;
	ERR_clear_error();
	return mb_fail(err, EACCES, "%s",
		       X509_verify_cert_error_string(X509_STORE_CTX_get_error(c)));
}

int mb_tls_recheck(const struct mb_tls *t, const struct ssl_st *ssl, struct mb_err *err)
{
	X509 *peer = SSL_get0_peer_certificate(ssl);

	return peer ? verify(t, peer, SSL_get_peer_cert_chain(ssl), err) :
		      mb_fail(err, EACCES, "no certificate");
}

static enum mb_tls_fault fault_of_certificate(long verdict)
{
	switch (verdict) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
	case X509_V_ERR_CERT_NOT_YET_VALID:
		return MB_TLS_EXPIRED;
	case X509_V_ERR_CERT_REVOKED:
		return MB_TLS_REVOKED;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE:
	case X509_V_ERR_CERT_UNTRUSTED:
	case X509_V_ERR_CERT_REJECTED:
		return MB_TLS_UNKNOWN_CA;
	default:
		return MB_TLS_BAD_CERTIFICATE;
	}
}

static enum mb_tls_fault fault_of_handshake(int reason)
{
	switch (reason) {
	case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
		return MB_TLS_NO_CERTIFICATE;
	case SSL_R_HTTP_REQUEST:
	case SSL_R_HTTPS_PROXY_REQUEST:
	case SSL_R_UNSUPPORTED_PROTOCOL:
	case SSL_R_WRONG_VERSION_NUMBER:
	case SSL_R_WRONG_SSL_VERSION:
	case SSL_R_UNKNOWN_PROTOCOL:
	case SSL_R_NO_PROTOCOLS_AVAILABLE:
	case SSL_R_RECORD_LENGTH_MISMATCH:
	case SSL_R_PACKET_LENGTH_TOO_LONG:
	case SSL_R_TLSV1_ALERT_PROTOCOL_VERSION:
		return MB_TLS_NOT_TLS13;
	default:
		return MB_TLS_BROKEN;
	}
}

enum mb_tls_fault mb_tls_why(const struct ssl_st *ssl, unsigned long error, char *text, size_t size)
{
	long verdict = SSL_get_verify_result(ssl);
	const char *why = error ? ERR_reason_error_string(error) : NULL;
	const char *alert = why ? strstr(why, "alert ") : NULL;

	if (verdict != X509_V_OK) {
		snprintf(text, size, "its certificate: %s", X509_verify_cert_error_string(verdict));
		return fault_of_certificate(verdict);
	}
	if (alert)
		snprintf(text, size, "it refuses our certificate or TLS: %s",
			 alert + strlen("alert "));
	else
		snprintf(text, size, "TLS: %s", why ? why : "the connection was cut");
	return error && ERR_GET_LIB(error) == ERR_LIB_SSL ?
		       fault_of_handshake(ERR_GET_REASON(error)) :
		       MB_TLS_BROKEN;
}

/* --- who the peer is -------------------------------------------------------------------------- */

static void name_of(const X509 *cert, char *name, size_t size)
{
	*name = 0;
	if (cert)
		X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name,
					  (int)size);
	/* Whoever made the certificate chose it; terminals must not obey it. */
	for (char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			*p = '?';
}

void mb_tls_peer_name(const struct ssl_st *ssl, char *name, size_t size)
{
	name_of(SSL_get0_peer_certificate(ssl), name, size);
}

static void free_names(GENERAL_NAMES **names)
{
	GENERAL_NAMES_free(*names);
}

/* The i-th name, if it is a URI. */
static const char *uri_at(const GENERAL_NAMES *names, int i)
{
	const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);
	const char *uri;

	if (n->type != GEN_URI)
		return NULL;
	uri = (const char *)ASN1_STRING_get0_data(n->d.uniformResourceIdentifier);
	/* "vm:web1\0.evil" is not vm:web1. */
	return strlen(uri) == (size_t)ASN1_STRING_length(n->d.uniformResourceIdentifier) ? uri :
											   NULL;
}

bool mb_tls_peer_has_uri(const struct ssl_st *ssl, bool (*fits)(const char *uri, void *ctx),
			 void *ctx)
{
	const X509 *cert = SSL_get0_peer_certificate(ssl);
	mb_cleanup(free_names) GENERAL_NAMES *names =
		cert ? X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL) : NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const char *uri = uri_at(names, i);

		if (uri && fits(uri, ctx))
			return true;
	}
	return false;
}

static int parse_chain(const struct mb_slice *chain, size_t n, STACK_OF(X509) * ret,
		       struct mb_err *err)
{
	for (size_t i = 0; i < n; i++) {
		const unsigned char *at = chain[i].data;
		X509 *x = chain[i].len <= LONG_MAX ? d2i_X509(NULL, &at, (long)chain[i].len) : NULL;

		if (!x || at != chain[i].data + chain[i].len) {
			X509_free(x);
			ERR_clear_error();
			return mb_fail(err, EBADMSG, "no certificate");
		}
		if (sk_X509_push(ret, x) <= 0) {
			X509_free(x);
			return mb_fail_mem(err, "a certificate");
		}
	}
	return n ? 0 : mb_fail(err, EBADMSG, "no certificate");
}

int mb_tls_check_client(const struct mb_tls *t, const struct mb_slice *chain, size_t n,
			void (*each)(const char *uri, void *ctx), void *ctx, char *name,
			size_t size, struct mb_err *err)
{
	mb_cleanup(free_cas) STACK_OF(X509) *certs = sk_X509_new_null();
	mb_cleanup(free_names) GENERAL_NAMES *names = NULL;
	int r;

	*name = 0;
	if (!certs)
		return mb_fail_mem(err, "a certificate");
	r = parse_chain(chain, n, certs, err);
	if (r < 0)
		return r;
	name_of(sk_X509_value(certs, 0), name, size);
	names = X509_get_ext_d2i(sk_X509_value(certs, 0), NID_subject_alt_name, NULL, NULL);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const char *uri = uri_at(names, i);

		if (uri)
			each(uri, ctx);
	}
	return verify(t, sk_X509_value(certs, 0), certs, err);
}
