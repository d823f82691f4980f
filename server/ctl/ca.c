// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/ca.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/base/file.h"

enum { PEM_BYTES_MAX = 64 << 20, SERIAL_TEXT = 2 * 20 + 1 };

struct mb_ca {
	char dir[PATH_MAX];
	struct mb_cert cert;
	X509_CRL *crl;
	int lock_fd;
};

static void free_bio(BIO **b)
{
	BIO_free(*b);
}

static int make_path(char path[PATH_MAX], const char *dir, const char *name, struct mb_err *err)
{
	if (snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return mb_fail(err, ENAMETOOLONG, "%s: too long", dir);
	return 0;
}

/* Names of files, and of people in logs. */
static int check_name(const char *name, struct mb_err *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-._:";

	if (!*name || *name == '.' || *name == '-' || strspn(name, allowed) != strlen(name))
		return mb_fail(err, EINVAL,
			       "name \"%s\": letters, digits, and \"-\", \".\", \"_\", \":\" but "
			       "not in front",
			       name);
	return 0;
}

/* --- files ------------------------------------------------------------------------------------ */

static int fail_file(struct mb_err *err, const char *path)
{
	if (errno == EEXIST)
		return mb_fail(err, EEXIST, "%s: is there already, and is not overwritten", path);
	return mb_fail(err, errno, "%s: %m", path);
}

/* What is in memory, to a file that was not there, and to the disk. */
static int write_new(const char *path, mode_t mode, BIO *text, struct mb_err *err)
{
	mb_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
	char *data;
	long n = BIO_get_mem_data(text, &data);
	int r;

	if (fd < 0)
		return fail_file(err, path);
	r = mb_write_all(fd, data, (size_t)n, err);
	if (r == 0 && fsync(fd) < 0)
		r = mb_fail(err, errno, "%m");
	if (r < 0) {
		unlink(path);
		return mb_fail_in(err, r, "%s", path);
	}
	return 0;
}

static BIO *new_text(void)
{
	/* Wiped when it is freed: keys are in it. */
	return BIO_new(BIO_s_secmem());
}

static bool put_cert(BIO *to, X509 *x)
{
	return PEM_write_bio_X509(to, x) == 1;
}

static bool put_key(BIO *to, EVP_PKEY *key)
{
	return PEM_write_bio_PKCS8PrivateKey(to, key, NULL, NULL, 0, NULL, NULL) == 1;
}

static int write_crl(const char *dir, X509_CRL *crl, struct mb_err *err)
{
	mb_cleanup(free_bio) BIO *text = new_text();
	char path[PATH_MAX], fresh[PATH_MAX];
	int r;

	if (!text || PEM_write_bio_X509_CRL(text, crl) != 1)
		return mb_fail_mem(err, "a revocation list");
	if ((r = make_path(path, dir, "crl.pem", err)) < 0 ||
	    (r = make_path(fresh, dir, "crl.pem.new", err)) < 0)
		return r;
	/* Left by one that was interrupted; who holds the lock is alone. */
	unlink(fresh);
	r = write_new(fresh, 0644, text, err);
	if (r == 0 && rename(fresh, path) < 0)
		r = fail_file(err, path);
	return r;
}

static int read_pem(const char *path, struct mb_buf *text, BIO **ret, struct mb_err *err)
{
	int r = mb_file_read(path, PEM_BYTES_MAX, text, err);

	if (r < 0)
		return r;
	*ret = BIO_new_mem_buf(text->data, (int)text->len);
	return *ret ? 0 : mb_fail_mem(err, path);
}

static void free_text(struct mb_buf *b)
{
	if (b->data)
		explicit_bzero(b->data, b->cap);
	mb_buf_deinit(b);
}

static int read_cert(const char *path, X509 **ret, struct mb_err *err)
{
	mb_cleanup(free_text) struct mb_buf text = { 0 };
	mb_cleanup(free_bio) BIO *bio = NULL;
	int r = read_pem(path, &text, &bio, err);

	if (r < 0)
		return r;
	*ret = PEM_read_bio_X509(bio, NULL, NULL, NULL);
	ERR_clear_error();
	return *ret ? 0 : mb_fail(err, EBADMSG, "%s: no certificate", path);
}

static int read_key(const char *path, EVP_PKEY **ret, struct mb_err *err)
{
	/* NULL would have OpenSSL ask the terminal. */
	static char no_password[] = "";
	mb_cleanup(free_text) struct mb_buf text = { 0 };
	mb_cleanup(free_bio) BIO *bio = NULL;
	int r = read_pem(path, &text, &bio, err);

	if (r < 0)
		return r;
	*ret = PEM_read_bio_PrivateKey(bio, NULL, NULL, no_password);
	ERR_clear_error();
	return *ret ? 0 : mb_fail(err, EBADMSG, "%s: no private key", path);
}

static int read_crl(const char *path, X509_CRL **ret, struct mb_err *err)
{
	mb_cleanup(free_text) struct mb_buf text = { 0 };
	mb_cleanup(free_bio) BIO *bio = NULL;
	int r = read_pem(path, &text, &bio, err);

	if (r < 0)
		return r;
	*ret = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL);
	ERR_clear_error();
	return *ret ? 0 : mb_fail(err, EBADMSG, "%s: no revocation list", path);
}

/* --- the folder ------------------------------------------------------------------------------- */

/* What it is in is made, too: /etc/memory-buddies comes with packages only. */
static int make_parents(const char *dir, struct mb_err *err)
{
	char path[PATH_MAX];

	for (const char *end = strchr(dir + 1, '/'); *dir && end; end = strchr(end + 1, '/')) {
		snprintf(path, sizeof(path), "%.*s", (int)(end - dir), dir);
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return mb_fail(err, errno, "%s: %m", path);
	}
	return 0;
}

static int make_dir(const char *path, struct mb_err *err)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return mb_fail(err, errno, "%s: %m", path);
	return 0;
}

static int write_ca(const char *dir, const struct mb_cert *ca, struct mb_err *err)
{
	mb_cleanup(free_bio) BIO *key = new_text();
	mb_cleanup(free_bio) BIO *cert = new_text();
	char path[PATH_MAX];
	int r;

	if (!key || !cert || !put_key(key, ca->key) || !put_cert(cert, ca->x509))
		return mb_fail_mem(err, "a CA");
	if ((r = make_path(path, dir, "ca.key", err)) < 0 ||
	    (r = write_new(path, 0600, key, err)) < 0 ||
	    (r = make_path(path, dir, "ca.pem", err)) < 0)
		return r;
	return write_new(path, 0644, cert, err);
}

int mb_ca_init(const char *dir, const char *name, uint64_t valid_ns, struct mb_err *err)
{
	const struct mb_cert_wish wish = { .kind = MB_CERT_CA, .name = name, .valid_ns = valid_ns };
	mb_cleanup(mb_cert_deinit) struct mb_cert ca = { 0 };
	X509_CRL *crl = NULL;
	char issued[PATH_MAX];
	int r;

	if ((r = make_path(issued, dir, "issued", err)) < 0 || (r = make_parents(dir, err)) < 0 ||
	    (r = make_dir(dir, err)) < 0 ||
	    (r = make_dir(issued, err)) < 0 || (r = mb_cert_make(&wish, NULL, &ca, err)) < 0 ||
	    (r = mb_crl_make(&ca, &crl, err)) < 0)
		return r;
	r = write_ca(dir, &ca, err);
	if (r == 0)
		r = write_crl(dir, crl, err);
	X509_CRL_free(crl);
	return r;
}

static int lock(struct mb_ca *ca, const char *path, struct mb_err *err)
{
	ca->lock_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ca->lock_fd < 0 && errno == ENOENT)
		return mb_fail(err, ENOENT, "%s: no CA there (mbctl pki init %s)", ca->dir,
			       ca->dir);
	if (ca->lock_fd < 0)
		return mb_fail(err, errno, "%s: %m", path);
	if (flock(ca->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return mb_fail(err, EBUSY, "%s: another mbctl is at work there", ca->dir);
	return 0;
}

static int load(struct mb_ca *ca, struct mb_err *err)
{
	char path[PATH_MAX];
	int r;

	if ((r = make_path(path, ca->dir, "ca.key", err)) < 0 || (r = lock(ca, path, err)) < 0 ||
	    (r = read_key(path, &ca->cert.key, err)) < 0 ||
	    (r = make_path(path, ca->dir, "ca.pem", err)) < 0 ||
	    (r = read_cert(path, &ca->cert.x509, err)) < 0)
		return r;
	if (X509_check_private_key(ca->cert.x509, ca->cert.key) != 1) {
		ERR_clear_error();
		return mb_fail(err, EBADMSG, "%s: ca.key is not the key of ca.pem", ca->dir);
	}
	if ((r = make_path(path, ca->dir, "crl.pem", err)) < 0 ||
	    (r = read_crl(path, &ca->crl, err)) < 0)
		return r;
	/* Adding to another's list, or to one that was cut, would lose what is revoked. */
	if (X509_CRL_verify(ca->crl, ca->cert.key) != 1) {
		ERR_clear_error();
		return mb_fail(err, EBADMSG, "%s: not by this CA", path);
	}
	return 0;
}

int mb_ca_open(const char *dir, struct mb_ca **ret, struct mb_err *err)
{
	struct mb_ca *ca = calloc(1, sizeof(*ca));
	int r;

	if (!ca)
		return mb_fail_mem(err, "a CA");
	ca->lock_fd = -1;
	if (snprintf(ca->dir, sizeof(ca->dir), "%s", dir) >= (int)sizeof(ca->dir))
		r = mb_fail(err, ENAMETOOLONG, "%s: too long", dir);
	else
		r = load(ca, err);
	if (r < 0)
		mb_ca_close(ca);
	else
		*ret = ca;
	return r;
}

void mb_ca_close(struct mb_ca *ca)
{
	if (!ca)
		return;
	mb_cert_deinit(&ca->cert);
	X509_CRL_free(ca->crl);
	mb_closep(&ca->lock_fd);
	free(ca);
}

/* --- issued certificates ---------------------------------------------------------------------- */

static int serial_text(const X509 *x, char text[SERIAL_TEXT], struct mb_err *err)
{
	const ASN1_INTEGER *n = X509_get0_serialNumber(x);
	const unsigned char *bytes = ASN1_STRING_get0_data(n);
	int len = ASN1_STRING_length(n);

	if (len < 1 || 2 * len >= SERIAL_TEXT)
		return mb_fail(err, EBADMSG, "serial of %d bytes", len);
	for (int i = 0; i < len; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

static int keep_copy(struct mb_ca *ca, const struct mb_cert *c, const char *name,
		     struct mb_err *err)
{
	mb_cleanup(free_bio) BIO *text = new_text();
	char serial[SERIAL_TEXT], file[256], path[PATH_MAX];
	int r;

	if (!text || !put_cert(text, c->x509))
		return mb_fail_mem(err, "a certificate");
	r = serial_text(c->x509, serial, err);
	if (r < 0)
		return r;
	snprintf(file, sizeof(file), "issued/%s.%s.pem", name, serial);
	r = make_path(path, ca->dir, file, err);
	return r < 0 ? r : write_new(path, 0644, text, err);
}

int mb_ca_issue(struct mb_ca *ca, const struct mb_cert_wish *wish, const char *out, char *ret_path,
		struct mb_err *err)
{
	mb_cleanup(mb_cert_deinit) struct mb_cert c = { 0 };
	mb_cleanup(free_bio) BIO *text = new_text();
	char file[256];
	int r;

	if ((r = check_name(wish->name, err)) < 0 ||
	    (r = mb_cert_make(wish, &ca->cert, &c, err)) < 0)
		return r;
	if (!text || !put_cert(text, c.x509) || !put_key(text, c.key) ||
	    !put_cert(text, ca->cert.x509))
		return mb_fail_mem(err, "a certificate");
	snprintf(file, sizeof(file), "%s.pem", wish->name);
	if (out)
		snprintf(ret_path, PATH_MAX, "%s", out);
	else if ((r = make_path(ret_path, ca->dir, file, err)) < 0)
		return r;
	/* In this order: what is handed over can be revoked. */
	if (access(ret_path, F_OK) == 0) {
		errno = EEXIST;
		return fail_file(err, ret_path);
	}
	r = keep_copy(ca, &c, wish->name, err);
	return r < 0 ? r : write_new(ret_path, 0600, text, err);
}

static int is_pem(const struct dirent *e)
{
	const char *dot = strrchr(e->d_name, '.');

	return e->d_name[0] != '.' && dot && strcmp(dot, ".pem") == 0;
}

static void common_name(const X509 *x, char *name, size_t size)
{
	*name = 0;
	X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, (int)size);
	for (char *p = name; *p; p++)
		if (*p <= ' ' || *p > '~')
			*p = '?';
}

static int list_one(struct mb_ca *ca, const char *path,
		    void (*each)(void *ctx, const struct mb_ca_entry *e), void *ctx,
		    struct mb_err *err)
{
	struct mb_ca_entry e = { 0 };
	char name[128];
	X509 *x;
	int r = read_cert(path, &x, err);

	if (r < 0)
		return r;
	common_name(x, name, sizeof(name));
	e.name = name;
	e.x509 = x;
	e.revoked = mb_crl_has(ca->crl, x);
	e.expired = X509_cmp_current_time(X509_get0_notAfter(x)) < 0;
	each(ctx, &e);
	X509_free(x);
	return 0;
}

int mb_ca_list(struct mb_ca *ca, void (*each)(void *ctx, const struct mb_ca_entry *e), void *ctx,
	       struct mb_err *err)
{
	char dir[PATH_MAX], path[PATH_MAX];
	struct dirent **names;
	int n, r = make_path(dir, ca->dir, "issued", err);

	if (r < 0)
		return r;
	n = scandir(dir, &names, is_pem, alphasort);
	if (n < 0)
		return mb_fail(err, errno, "%s: %m", dir);
	for (int i = 0; i < n; i++) {
		if (r == 0)
			r = make_path(path, dir, names[i]->d_name, err);
		if (r == 0)
			r = list_one(ca, path, each, ctx, err);
		free(names[i]);
	}
	free(names);
	return r;
}

struct revocation {
	struct mb_ca *ca;
	const char *name;
	unsigned int n;
	int r;
	struct mb_err *err;
};

static void revoke_one(void *ctx, const struct mb_ca_entry *e)
{
	struct revocation *v = ctx;

	if (v->r < 0 || e->revoked || e->expired || strcmp(e->name, v->name) != 0)
		return;
	v->r = mb_crl_add(v->ca->crl, e->x509, v->err);
	v->n += v->r == 0;
}

int mb_ca_revoke(struct mb_ca *ca, const char *name, unsigned int *ret_n, struct mb_err *err)
{
	struct revocation v = { .ca = ca, .name = name, .err = err };
	int r = mb_ca_list(ca, revoke_one, &v, err);

	if (r == 0)
		r = v.r;
	if (r < 0)
		return r;
	if (!v.n)
		return mb_fail(err, ENOENT,
			       "no certificate of \"%s\" that is valid (mbctl pki list)", name);
	*ret_n = v.n;
	r = mb_crl_sign(ca->crl, &ca->cert, err);
	return r < 0 ? r : write_crl(ca->dir, ca->crl, err);
}
