// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "proto/base/cleanup.h"

void mb_caller_by_token(const struct mb_tokens *tokens, const char *authorization,
			struct mb_caller *ret)
{
	static const char scheme[] = "Bearer ";
	const struct mb_token *t = NULL;

	*ret = (struct mb_caller){ .role = MB_ROLE_APPLY, .who = "anyone" };
	if (!tokens)
		return;
	if (authorization && strncasecmp(authorization, scheme, strlen(scheme)) == 0 &&
	    strlen(authorization) < MB_TOKEN_TEXT_MAX)
		t = mb_tokens_find(tokens, authorization + strlen(scheme));
	if (!t) {
		ret->role = MB_ROLE_NONE;
		ret->strange = true;
		snprintf(ret->why, sizeof(ret->why),
			 "a token is needed (Authorization: Bearer; mbctl token add), or an "
			 "operator's certificate (mbctl pki operator)");
		return;
	}
	ret->role = t->role;
	snprintf(ret->who, sizeof(ret->who), "token %s", t->name);
}

static void take_role(const char *uri, void *ctx)
{
	struct mb_caller *c = ctx;
	enum mb_role role = mb_role_of_uri(uri);

	c->role = MB_MAX(c->role, role);
}

void mb_caller_by_certificate(const struct mb_tls *tls, const struct mb_slice *chain, size_t n,
			      struct mb_caller *ret)
{
	struct mb_err err = { 0 };
	char name[80];
	int r;

	*ret = (struct mb_caller){ .role = MB_ROLE_NONE, .who = "anyone" };
	r = mb_tls_check_client(tls, chain, n, take_role, ret, name, sizeof(name), &err);
	if (r == 0 && ret->role != MB_ROLE_NONE) {
		snprintf(ret->who, sizeof(ret->who), "certificate %s", name);
		return;
	}
	ret->role = MB_ROLE_NONE;
	ret->strange = true;
	if (r == 0)
		snprintf(ret->why, sizeof(ret->why), "certificate of \"%s\" names no role", name);
	else
		snprintf(ret->why, sizeof(ret->why), "certificate of \"%s\": %s", name, err.text);
}

static bool in_group(int fd, gid_t own, gid_t wanted)
{
	mb_autofree gid_t *list = NULL;
	socklen_t len = 0;

	if (wanted == MB_NO_GROUP)
		return false;
	if (own == wanted)
		return true;
	/* Says how much it takes. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &len) == 0 || errno != ERANGE)
		return false;
	list = malloc(len);
	if (!list || getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, list, &len) < 0)
		return false;
	for (size_t i = 0; i < len / sizeof(*list); i++)
		if (list[i] == wanted)
			return true;
	return false;
}

void mb_caller_by_socket(int fd, gid_t readers, struct mb_caller *ret)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	*ret = (struct mb_caller){ .role = MB_ROLE_NONE,
				   .who = "anyone",
				   .strange = true,
				   .why = "who asks is not known" };
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return;
	ret->strange = false;
	snprintf(ret->who, sizeof(ret->who), "uid %u", peer.uid);
	if (peer.uid == 0 || peer.uid == geteuid())
		ret->role = MB_ROLE_APPLY;
	else if (in_group(fd, peer.gid, readers))
		ret->role = MB_ROLE_READ;
}
