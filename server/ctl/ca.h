/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A fleet's small CA, in a folder:
 *
 *	ca.pem			its certificate, for everyone
 *	ca.key			its key, for nobody else
 *	crl.pem			what is revoked, for servers (--tls-crl)
 *	issued/NAME.SERIAL.pem	certificates it has made, without their keys
 *	NAME.pem		to be handed over: certificate, key and CA in one file, then deleted
 *
 * Of revoked certificates crl.pem is the only record, of issued ones the folder: nothing can
 * disagree. No file is ever overwritten but crl.pem, which is replaced.
 */
#ifndef MB_CTL_CA_H
#define MB_CTL_CA_H

#include "server/ctl/cert.h"

struct mb_ca;
/* Makes the folder if need be. -EEXIST: there is a CA. */
int mb_ca_init(const char *dir, const char *name, uint64_t valid_ns, struct mb_err *err);
/* One process at a time. */
int mb_ca_open(const char *dir, struct mb_ca **ret, struct mb_err *err);
void mb_ca_close(struct mb_ca *ca);

/* `out` NULL: NAME.pem in the folder. `ret_path` has PATH_MAX bytes. */
int mb_ca_issue(struct mb_ca *ca, const struct mb_cert_wish *wish, const char *out, char *ret_path,
		struct mb_err *err);
/* All certificates of that name that are neither revoked nor expired. -ENOENT: there is none. */
int mb_ca_revoke(struct mb_ca *ca, const char *name, unsigned int *ret_n, struct mb_err *err);

struct mb_ca_entry {
	const char *name; /* printable */
	const X509 *x509;
	bool revoked, expired;
};
/* Sorted by name. */
int mb_ca_list(struct mb_ca *ca, void (*each)(void *ctx, const struct mb_ca_entry *e), void *ctx,
	       struct mb_err *err);

#endif
