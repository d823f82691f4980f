/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A JSON document that a person wrote, read strictly: what is not understood is an error, and every
 * error says where: "line 12: vms[3].memory_mb: ...".
 */
#ifndef MB_SERVER_JSON_DOC_H
#define MB_SERVER_JSON_DOC_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

struct mb_json_doc {
	const char *text; /* borrowed: for the lines */
	size_t n;
	json_t *root; /* owned */
};

/* Something in it, and its path: "" or "hosts[2]". */
struct mb_json_at {
	const struct mb_json_doc *doc;
	const json_t *value;
	char path[48];
};

/* -EINVAL with line and column for what is no JSON, or has a key twice. */
int mb_json_open(const char *text, size_t n, struct mb_json_doc *ret, struct mb_err *err);
void mb_json_close(struct mb_json_doc *doc);

/* -EINVAL, "line 12: path.key: ..."; `key` may be NULL. */
int mb_json_fail(const struct mb_json_at *at, const char *key, struct mb_err *err, const char *fmt,
		 ...) __attribute__((format(printf, 4, 5)));

/* Fails unless it is an object of no other keys; `known` ends with NULL. */
int mb_json_keys(const struct mb_json_at *at, const char *const *known, struct mb_err *err);
/* "no such key", for those that must be there. */
int mb_json_missing(const struct mb_json_at *at, const char *key, struct mb_err *err);

/* The readers leave *ret as it is where the key is missing. */
int mb_json_list(const struct mb_json_at *at, const char *key, size_t max, struct mb_json_at *ret,
		 struct mb_err *err);
int mb_json_text(const struct mb_json_at *at, const char *key, const char **ret,
		 struct mb_err *err);
int mb_json_bool(const struct mb_json_at *at, const char *key, bool *ret, struct mb_err *err);
int mb_json_whole(const struct mb_json_at *at, const char *key, uint64_t min, uint64_t max,
		  uint64_t *ret, struct mb_err *err);
/* Any number from 0 to `max`, times `scale`, rounded. */
int mb_json_scaled(const struct mb_json_at *at, const char *key, double max, double scale,
		   uint64_t *ret, struct mb_err *err);

/* An element of a list, or a member that is there. */
void mb_json_element(const struct mb_json_at *list, size_t i, struct mb_json_at *ret);
void mb_json_member(const struct mb_json_at *at, const char *key, struct mb_json_at *ret);

#endif
