// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/tokens.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/cleanup.h"
#include "proto/base/file.h"

enum { FILE_BYTES_MAX = 4 << 20 };

void mb_token_hash(const char *token, uint8_t hash[MB_TOKEN_HASH])
{
	SHA256((const unsigned char *)token, strlen(token), hash);
}

void mb_tokens_deinit(struct mb_tokens *t)
{
	free(t->list);
	*t = (struct mb_tokens){ 0 };
}

const struct mb_token *mb_tokens_find(const struct mb_tokens *t, const char *token)
{
	const struct mb_token *found = NULL;
	uint8_t hash[MB_TOKEN_HASH];

	mb_token_hash(token, hash);
	for (size_t i = 0; i < t->n; i++)
		if (CRYPTO_memcmp(hash, t->list[i].hash, sizeof(hash)) == 0)
			found = &t->list[i];
	return found;
}

static int parse_hash(const char *text, uint8_t hash[MB_TOKEN_HASH])
{
	for (size_t i = 0; i < MB_TOKEN_HASH; i++) {
		unsigned int byte;
		int used = 0;

		if (strspn(text + 2 * i, "0123456789abcdef") < 2 ||
		    sscanf(text + 2 * i, "%2x%n", &byte, &used) != 1 || used != 2)
			return -EINVAL;
		hash[i] = (uint8_t)byte;
	}
	return text[2 * MB_TOKEN_HASH] ? -EINVAL : 0;
}

static int parse_line(char *line, struct mb_tokens *t, struct mb_err *err)
{
	char *rest = NULL, *name = strtok_r(line, " \t", &rest);
	char *role = strtok_r(NULL, " \t", &rest), *hash = strtok_r(NULL, " \t", &rest);
	struct mb_token *to = &t->list[t->n];
	int r;

	if (!name || *name == '#')
		return 0;
	if (t->n == MB_TOKENS_MAX)
		return mb_fail(err, E2BIG, "more than %d tokens", MB_TOKENS_MAX);
	r = mb_name_check(name, "token", err);
	if (r < 0)
		return r;
	if (!hash || strtok_r(NULL, " \t", &rest))
		return mb_fail(err, EINVAL, "not NAME ROLE SHA256");
	snprintf(to->name, sizeof(to->name), "%s", name);
	to->role = mb_role_parse(role);
	if (to->role == MB_ROLE_NONE)
		return mb_fail(err, EINVAL, "role \"%s\": read, plan or apply", role);
	if (parse_hash(hash, to->hash) < 0)
		return mb_fail(err, EINVAL, "no SHA-256 in 64 hex digits");
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->list[i].name, name) == 0)
			return mb_fail(err, EEXIST, "\"%s\" comes twice", name);
	t->n++;
	return 0;
}

static int parse(char *text, struct mb_tokens *t, struct mb_err *err)
{
	char *rest = NULL;
	int at = 1, r = 0;

	/* Not strtok_r(): empty lines count. */
	for (char *line = text; line && r == 0; line = rest, at++) {
		rest = strchr(line, '\n');
		if (rest)
			*rest++ = 0;
		r = parse_line(line, t, err);
		if (r < 0)
			mb_fail_in(err, r, "line %d", at);
	}
	return r;
}

int mb_tokens_read(const char *path, struct mb_tokens *ret, struct mb_err *err)
{
	mb_cleanup(mb_buf_deinit) struct mb_buf text = { 0 };
	struct mb_tokens t = { .list = calloc(MB_TOKENS_MAX + 1, sizeof(*t.list)) };
	struct stat st;
	int r;

	if (!t.list)
		return mb_fail_mem(err, "tokens");
	r = mb_file_read(path, FILE_BYTES_MAX, &text, err);
	if (r == 0 && stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_mode & S_IWOTH)
		r = mb_fail(err, EPERM, "%s: others may write it (chmod o=)", path);
	if (r == 0) {
		r = parse((char *)text.data, &t, err);
		if (r < 0)
			mb_fail_in(err, r, "%s", path);
	}
	if (r < 0)
		mb_tokens_deinit(&t);
	else
		*ret = t;
	return r;
}
