/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From a page's content to its digest.
 *
 *	content --XXH64 or SuperFastHash-32--> raw --SipHash-2-4 with the domain's key--> digest
 *
 * Raw hashes let anyone test a guess at a page's content; a keyed digest lets only those do it who
 * hold the trust domain's key. Digests are comparable only within one hash identity.
 */
#ifndef MB_DIGEST_H
#define MB_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/err.h"

#define MB_PAGE_BYTES 4096
/* Of an identity: a part of a page is a page there (agent/parts.h). */
#define MB_PAGE_BYTES_MIN 128
#define MB_KEY_BYTES	  16
#define MB_DOMAIN_MAX	  64 /* with the closing NUL */

/* Numbers are part of the format (FORMAT.md). */
enum mb_algorithm {
	MB_XXH64 = 1,
	MB_SUPERFASTHASH32 = 2,
};

/*
 * What digests must have in common to be compared. The digest of the zero page tells two keys of
 * one domain apart without showing either.
 */
struct mb_identity {
	enum mb_algorithm algorithm;
	uint32_t page_bytes;
	uint32_t bits; /* kept of each digest: 64, 48 (or 32: raw SuperFastHash only) */
	bool keyed;
	char domain[MB_DOMAIN_MAX]; /* trust domain; "" only when not keyed */
	uint64_t zero_digest;	    /* of an all-zero page */
};

/* How one agent or trace makes digests: its identity and, when keyed, the key. */
struct mb_digester {
	struct mb_identity identity;
	uint8_t key[MB_KEY_BYTES];
};

/*
 * `key` NULL: digests stay raw. -EINVAL for bits that do not go with the algorithm and for a
 * domain name that is empty (with a key), too long, or not printable ASCII without spaces.
 */
int mb_digester_init(struct mb_digester *d, enum mb_algorithm algorithm, uint32_t page_bytes,
		     uint32_t bits, const char *domain, const uint8_t *key, struct mb_err *err);

/* The hash of a page's content, before the key. */
uint64_t mb_raw_hash(enum mb_algorithm algorithm, const void *page, size_t page_bytes);
/* raw -> digest, `n` of them in place: keyed, then cut to the identity's bits (high ones kept). */
void mb_blind(const struct mb_digester *d, uint64_t *digests, size_t n);
static inline uint64_t mb_digest(const struct mb_digester *d, const void *page)
{
	uint64_t v = mb_raw_hash(d->identity.algorithm, page, d->identity.page_bytes);

	mb_blind(d, &v, 1);
	return v;
}

/* Checks what came from outside. */
int mb_identity_check(const struct mb_identity *id, struct mb_err *err);
/* 0, or -EXDEV with the first difference in words ("trust domain a, but b there"). */
int mb_identity_compare(const struct mb_identity *a, const struct mb_identity *b,
			struct mb_err *err);
/* Made the same way in the same trust domain: such digests must have the same key. */
bool mb_identity_same_space(const struct mb_identity *a, const struct mb_identity *b);
const char *mb_algorithm_name(enum mb_algorithm algorithm);

/*
 * What people call a key by: the high 32 bits of the zero page's digest, 8 hex digits. The same for
 * any `bits`, another for another algorithm. It does not show the key.
 */
enum { MB_KEY_ID_TEXT = 9 };
uint32_t mb_identity_key_id(const struct mb_identity *id);
void mb_key_id_format(uint32_t id, char text[MB_KEY_ID_TEXT]);
int mb_key_id_parse(const char *text, uint32_t *ret, struct mb_err *err);

/* The largest digest of an identity. */
static inline uint64_t mb_digest_max(uint32_t bits)
{
	return bits >= 64 ? UINT64_MAX : ((uint64_t)1 << bits) - 1;
}

/* "0123456789abcdef0123456789abcdef" (32 hex digits, white space around them) -> key. */
int mb_key_parse(const char *text, uint8_t key[MB_KEY_BYTES], struct mb_err *err);

#endif
