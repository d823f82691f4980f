/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who asks the API, and what that one may do.
 *
 *	unix socket	root and the server's own user: apply; members of a group: read
 *	HTTPS		what its certificate says, if it shows one; else as by TCP
 *	TCP, tokens	what the token says
 *	TCP, no tokens	apply: loopback only, or the operator said --insecure; and the only mover
 *			there is, the dry one, moves nothing
 */
#ifndef MB_SERVER_CALLER_H
#define MB_SERVER_CALLER_H

#include <stdbool.h>
#include <sys/types.h>

#include "proto/base/tls.h"
#include "server/tokens.h"

struct mb_caller {
	enum mb_role role;
	char who[MB_NAME_MAX + 16];
	bool strange;  /* has not said who it is, or not in a way that is known */
	char why[600]; /* it is strange, in words */
};

#define MB_NO_GROUP ((gid_t)-1)

/* `authorization`: the header, NULL: none. `tokens` NULL: none are asked for. */
void mb_caller_by_token(const struct mb_tokens *tokens, const char *authorization,
			struct mb_caller *ret);
/* `chain` as in mb_tls_check_client(). One that is no good is not made good by a token. */
void mb_caller_by_certificate(const struct mb_tls *tls, const struct mb_slice *chain, size_t n,
			      struct mb_caller *ret);
/* Whoever is at the other end of a unix socket. */
void mb_caller_by_socket(int fd, gid_t readers, struct mb_caller *ret);

#endif
