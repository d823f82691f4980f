// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/digest.h"

#include <ctype.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proto/base/buf.h"
#include "proto/base/cleanup.h"
#include "proto/superfasthash.h"

_Static_assert(crypto_shorthash_siphash24_KEYBYTES == MB_KEY_BYTES, "SipHash-2-4 key");

const char *mb_algorithm_name(enum mb_algorithm algorithm)
{
	switch (algorithm) {
	case MB_XXH64:
		return "xxh64";
	case MB_SUPERFASTHASH32:
		return "superfasthash32";
	}
	return "unknown";
}

uint64_t mb_raw_hash(enum mb_algorithm algorithm, const void *page, size_t page_bytes)
{
	return algorithm == MB_SUPERFASTHASH32 ? mb_superfasthash(page, page_bytes) :
						 XXH64(page, page_bytes, 0);
}

void mb_blind(const struct mb_digester *d, uint64_t *digests, size_t n)
{
	/* Raw SuperFastHash has 32 bits only, at the low end. */
	unsigned int cut = d->identity.bits == 32 ? 0 : 64 - d->identity.bits;

	if (!d->identity.keyed && !cut)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t v = digests[i];

		if (d->identity.keyed) {
			uint8_t in[8], out[8];

			mb_put_le64(in, v);
			crypto_shorthash_siphash24(out, in, sizeof(in), d->key);
			v = mb_get_le64(out);
		}
		digests[i] = v >> cut;
	}
}

static int check_domain(const char *domain, bool keyed, struct mb_err *err)
{
	if (!memchr(domain, 0, MB_DOMAIN_MAX))
		return mb_fail(err, EINVAL, "trust domain name has more than %d bytes",
			       MB_DOMAIN_MAX - 1);
	if (keyed && !*domain)
		return mb_fail(err, EINVAL, "keyed digests need the name of a trust domain");
	for (const char *p = domain; *p; p++)
		if (*p <= ' ' || *p > '~')
			return mb_fail(
				err, EINVAL,
				"trust domain name has a byte that is not printable ASCII (0x%02x)",
				(unsigned char)*p);
	return 0;
}

int mb_identity_check(const struct mb_identity *id, struct mb_err *err)
{
	bool raw32 = id->algorithm == MB_SUPERFASTHASH32 && !id->keyed;

	if (id->algorithm != MB_XXH64 && id->algorithm != MB_SUPERFASTHASH32)
		return mb_fail(err, EINVAL, "hash algorithm %d is not known", (int)id->algorithm);
	if (id->page_bytes < MB_PAGE_BYTES_MIN || id->page_bytes > 65536 ||
	    (id->page_bytes & (id->page_bytes - 1)))
		return mb_fail(err, EINVAL, "page size of %" PRIu32 " bytes", id->page_bytes);
	if (raw32 ? id->bits != 32 : id->bits != 64 && id->bits != 48)
		return mb_fail(err, EINVAL, "%" PRIu32 "-bit digests of %s%s", id->bits,
			       id->keyed ? "keyed " : "", mb_algorithm_name(id->algorithm));
	if (id->zero_digest > mb_digest_max(id->bits))
		return mb_fail(err, EINVAL,
			       "digest of the zero page has more than %" PRIu32 " bits", id->bits);
	return check_domain(id->domain, id->keyed, err);
}

bool mb_identity_same_space(const struct mb_identity *a, const struct mb_identity *b)
{
	return strcmp(a->domain, b->domain) == 0 && a->algorithm == b->algorithm &&
	       a->bits == b->bits && a->page_bytes == b->page_bytes;
}

int mb_identity_compare(const struct mb_identity *a, const struct mb_identity *b,
			struct mb_err *err)
{
	if (strcmp(a->domain, b->domain) != 0)
		return mb_fail(err, EXDEV, "trust domain \"%s\", but \"%s\" there", a->domain,
			       b->domain);
	if (a->algorithm != b->algorithm)
		return mb_fail(err, EXDEV, "hash %s, but %s there", mb_algorithm_name(a->algorithm),
			       mb_algorithm_name(b->algorithm));
	if (a->page_bytes != b->page_bytes)
		return mb_fail(err, EXDEV, "pages of %" PRIu32 " bytes, but %" PRIu32 " there",
			       a->page_bytes, b->page_bytes);
	if (a->bits != b->bits)
		return mb_fail(err, EXDEV, "%" PRIu32 "-bit digests, but %" PRIu32 " there",
			       a->bits, b->bits);
	if (a->keyed != b->keyed || a->zero_digest != b->zero_digest)
		return mb_fail(err, EXDEV,
			       "another key: %08" PRIx32 " of trust domain \"%s\", but %08" PRIx32
			       " there",
			       mb_identity_key_id(a), a->domain, mb_identity_key_id(b));
	return 0;
}

uint32_t mb_identity_key_id(const struct mb_identity *id)
{
	return (uint32_t)(id->zero_digest >> (id->bits - 32));
}

void mb_key_id_format(uint32_t id, char text[MB_KEY_ID_TEXT])
{
	snprintf(text, MB_KEY_ID_TEXT, "%08" PRIx32, id);
}

int mb_key_id_parse(const char *text, uint32_t *ret, struct mb_err *err)
{
	if (strlen(text) != 8 || strspn(text, "0123456789abcdefABCDEF") != 8)
		return mb_fail(err, EINVAL,
			       "key id \"%.20s\": 8 hex digits, as mbctl key id says them", text);
	*ret = (uint32_t)strtoul(text, NULL, 16);
	return 0;
}

int mb_digester_init(struct mb_digester *d, enum mb_algorithm algorithm, uint32_t page_bytes,
		     uint32_t bits, const char *domain, const uint8_t *key, struct mb_err *err)
{
	mb_autofree void *zero = NULL;
	int r;

	*d = (struct mb_digester){ .identity = { .algorithm = algorithm,
						 .page_bytes = page_bytes,
						 .bits = bits,
						 .keyed = key != NULL } };
	if (strlen(domain) >= MB_DOMAIN_MAX)
		return mb_fail(err, EINVAL, "trust domain name has more than %d bytes",
			       MB_DOMAIN_MAX - 1);
	strcpy(d->identity.domain, domain);
	if (key)
		memcpy(d->key, key, MB_KEY_BYTES);
	r = mb_identity_check(&d->identity, err);
	if (r < 0)
		return r;
	zero = calloc(1, page_bytes);
	if (!zero)
		return mb_fail_mem(err, "a zero page");
	d->identity.zero_digest = mb_digest(d, zero);
	return 0;
}

int mb_key_parse(const char *text, uint8_t key[MB_KEY_BYTES], struct mb_err *err)
{
	const char *end;
	size_t n;

	while (isspace((unsigned char)*text))
		text++;
	if (sodium_hex2bin(key, MB_KEY_BYTES, text, strlen(text), NULL, &n, &end) < 0 ||
	    n != MB_KEY_BYTES)
		goto bad;
	while (isspace((unsigned char)*end))
		end++;
	if (*end)
		goto bad;
	return 0;
bad:
	sodium_memzero(key, MB_KEY_BYTES);
	return mb_fail(err, EINVAL, "a key is %d hex digits (for one: openssl rand -hex %d)",
		       2 * MB_KEY_BYTES, MB_KEY_BYTES);
}
