/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Who may ask the API from elsewhere: a file with a line per token, "NAME ROLE SHA256" (64 hex
 * digits). Tokens are random and long, so a plain hash gives nothing away. `mbctl token add`.
 */
#ifndef MB_SERVER_TOKENS_H
#define MB_SERVER_TOKENS_H

#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"
#include "proto/msg.h"
#include "server/role.h"

enum { MB_TOKEN_HASH = 32, MB_TOKENS_MAX = 10000, MB_TOKEN_TEXT_MAX = 512 };

struct mb_token {
	char name[MB_NAME_MAX];
	enum mb_role role;
	uint8_t hash[MB_TOKEN_HASH];
};

struct mb_tokens {
	struct mb_token *list; /* owned */
	size_t n;
};

/* -EPERM: others may write the file. Errors name the line. */
int mb_tokens_read(const char *path, struct mb_tokens *ret, struct mb_err *err);
void mb_tokens_deinit(struct mb_tokens *t);
/* Takes as long whichever it is, and whether it is one. NULL: none. */
const struct mb_token *mb_tokens_find(const struct mb_tokens *t, const char *token);
void mb_token_hash(const char *token, uint8_t hash[MB_TOKEN_HASH]);

#endif
