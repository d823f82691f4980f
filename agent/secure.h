/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The options of `mbagent run` about TLS, and what they open. */
#ifndef MB_AGENT_SECURE_H
#define MB_AGENT_SECURE_H

#include <argp.h>

#include "proto/base/tls.h"
#include "proto/base/uri.h"

struct mb_secure {
	struct mb_tls_files files; /* cert NULL: no TLS */
	const char *name;	   /* of the server; NULL: the host of its address */
	bool insecure;
	struct mb_tls *tls; /* NULL: none */
	char host[256];
};

/* A child parser for argp; its input is a struct mb_secure. */
extern const struct argp mb_secure_argp;

/*
 * Opens `tls` where the options ask for it, and sets `name`. In clear no other machine is spoken to
 * by TCP unless the options say so.
 */
int mb_secure_open(struct mb_secure *s, const char *uri, const struct mb_address *address,
		   struct mb_err *err);
void mb_secure_close(struct mb_secure *s);

#endif
