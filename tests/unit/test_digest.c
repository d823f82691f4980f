// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include "proto/digest.h"

static const uint8_t key[MB_KEY_BYTES] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

static void test_xxh64_known_values(void **state)
{
	uint8_t page[MB_PAGE_BYTES] = { 0 };

	(void)state;
	/* From the xxhsum program: `head -c 4096 /dev/zero | xxhsum -H1`. */
	assert_int_equal(mb_raw_hash(MB_XXH64, page, sizeof(page)), 0xac869b6f32d8bbdbu);
}

static void test_blinding_is_siphash(void **state)
{
	struct mb_err err = { 0 };
	struct mb_digester d;
	/* SipHash-2-4 reference vector for the input 00 01 .. 07 under the key 00 .. 0f. */
	uint64_t v = 0x0706050403020100u;

	(void)state;
	assert_ok(mb_digester_init(&d, MB_XXH64, 4096, 64, "t", key, &err), &err);
	mb_blind(&d, &v, 1);
	assert_int_equal(v, 0x93f5f5799a932462u);
}

static void test_bits_keep_the_high_end(void **state)
{
	uint8_t page[MB_PAGE_BYTES] = { 42 };
	struct mb_digester d64, d48;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_digester_init(&d64, MB_XXH64, 4096, 64, "t", key, &err), &err);
	assert_ok(mb_digester_init(&d48, MB_XXH64, 4096, 48, "t", key, &err), &err);
	assert_int_equal(mb_digest(&d48, page), mb_digest(&d64, page) >> 16);
	assert_int_equal(d48.identity.zero_digest, d64.identity.zero_digest >> 16);
}

static void test_raw_seed_digest(void **state)
{
	struct mb_err err = { 0 };
	struct mb_digester d;

	(void)state;
	assert_ok(mb_digester_init(&d, MB_SUPERFASTHASH32, 4096, 32, "", NULL, &err), &err);
	assert_int_equal(d.identity.zero_digest, 3051824092u);
}

static void test_refuses_nonsense(void **state)
{
	char long_name[MB_DOMAIN_MAX + 1];
	struct mb_err err = { 0 };
	struct mb_digester d;

	(void)state;
	memset(long_name, 'a', MB_DOMAIN_MAX);
	long_name[MB_DOMAIN_MAX] = 0;
	assert_fails(mb_digester_init(&d, MB_XXH64, 4096, 32, "t", key, &err), EINVAL, &err,
		     "32-bit digests");
	assert_fails(mb_digester_init(&d, MB_SUPERFASTHASH32, 4096, 64, "", NULL, &err), EINVAL,
		     &err, "64-bit digests");
	assert_fails(mb_digester_init(&d, MB_XXH64, 4095, 64, "t", key, &err), EINVAL, &err,
		     "page size");
	assert_fails(mb_digester_init(&d, MB_XXH64, 4096, 64, "", key, &err), EINVAL, &err,
		     "trust domain");
	assert_fails(mb_digester_init(&d, MB_XXH64, 4096, 64, long_name, key, &err), EINVAL, &err,
		     "63 bytes");
	assert_fails(mb_digester_init(&d, MB_XXH64, 4096, 64, "a b", key, &err), EINVAL, &err,
		     "0x20");
	assert_fails(mb_digester_init(&d, (enum mb_algorithm)7, 4096, 64, "t", key, &err), EINVAL,
		     &err, "algorithm 7");
}

static void test_identities_tell_keys_apart(void **state)
{
	uint8_t other[MB_KEY_BYTES] = { 1 };
	struct mb_digester a, b;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_digester_init(&a, MB_XXH64, 4096, 64, "t", key, &err), &err);
	assert_ok(mb_digester_init(&b, MB_XXH64, 4096, 64, "t", key, &err), &err);
	assert_ok(mb_identity_compare(&a.identity, &b.identity, &err), &err);
	assert_ok(mb_digester_init(&b, MB_XXH64, 4096, 64, "t", other, &err), &err);
	assert_fails(mb_identity_compare(&a.identity, &b.identity, &err), EXDEV, &err,
		     "another key");
	assert_ok(mb_digester_init(&b, MB_XXH64, 4096, 64, "u", key, &err), &err);
	assert_fails(mb_identity_compare(&a.identity, &b.identity, &err), EXDEV, &err,
		     "trust domain \"t\", but \"u\"");
	assert_ok(mb_digester_init(&b, MB_XXH64, 4096, 48, "t", key, &err), &err);
	assert_fails(mb_identity_compare(&a.identity, &b.identity, &err), EXDEV, &err, "48");
}

static void test_checks_what_came_from_outside(void **state)
{
	const struct mb_identity good = { MB_XXH64, 4096, 48, true, "t", (1ull << 48) - 1 };
	struct mb_identity id = good;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_identity_check(&id, &err), &err);
	id.zero_digest++;
	assert_fails(mb_identity_check(&id, &err), EINVAL, &err, "zero page");
	id = good;
	id.page_bytes = 131072;
	assert_fails(mb_identity_check(&id, &err), EINVAL, &err, "page size");
	id.page_bytes = 64;
	assert_fails(mb_identity_check(&id, &err), EINVAL, &err, "page size");
	id = good;
	/* Not closed by a NUL: never read past its end. */
	memset(id.domain, 'd', sizeof(id.domain));
	assert_fails(mb_identity_check(&id, &err), EINVAL, &err, "more than 63 bytes");
	id = good;
	strcpy(id.domain, "caf\xe9");
	assert_fails(mb_identity_check(&id, &err), EINVAL, &err, "0xe9");
	id = good;
	id.keyed = false;
	assert_fails(mb_identity_compare(&id, &good, &err), EXDEV, &err, "another key");
}

/* Many at once are each as if alone; without a key only the low bits go. */
static void test_blinding_many(void **state)
{
	struct mb_digester keyed, raw;
	uint64_t many[100], one;
	struct mb_err err = { 0 };
	struct rng r = { 30 };

	(void)state;
	assert_ok(mb_digester_init(&keyed, MB_XXH64, 4096, 48, "t", key, &err), &err);
	assert_ok(mb_digester_init(&raw, MB_XXH64, 4096, 48, "", NULL, &err), &err);
	for (int i = 0; i < 100; i++)
		many[i] = rng_next(&r);
	mb_blind(&keyed, many, 100);
	r.state = 30;
	for (int i = 0; i < 100; i++) {
		one = rng_next(&r);
		mb_blind(&keyed, &one, 1);
		assert_true(many[i] == one && one <= mb_digest_max(48));
	}
	one = 0x123456789abcdef0u;
	mb_blind(&raw, &one, 1);
	assert_true(one == 0x123456789abcu);
	mb_blind(&raw, NULL, 0);
}

static void test_key_ids(void **state)
{
	struct mb_digester d64, d48, raw;
	char text[MB_KEY_ID_TEXT];
	struct mb_err err = { 0 };
	uint32_t id;

	(void)state;
	assert_ok(mb_digester_init(&d64, MB_XXH64, 4096, 64, "d", key, &err), &err);
	assert_ok(mb_digester_init(&d48, MB_XXH64, 4096, 48, "d", key, &err), &err);
	assert_int_equal(mb_identity_key_id(&d64.identity), d64.identity.zero_digest >> 32);
	assert_int_equal(mb_identity_key_id(&d64.identity), mb_identity_key_id(&d48.identity));
	assert_ok(mb_digester_init(&raw, MB_SUPERFASTHASH32, 4096, 32, "", NULL, &err), &err);
	assert_int_equal(mb_identity_key_id(&raw.identity), 3051824092u);
	mb_key_id_format(0xbeef, text);
	assert_string_equal(text, "0000beef");
	assert_ok(mb_key_id_parse("0000BEEf", &id, &err), &err);
	assert_int_equal(id, 0xbeef);
	for (const char *const *bad = (const char *const[]){ "", "beef", "000000beef", "0000bee-",
							     " 000beef", "0x00beef", NULL };
	     *bad; bad++)
		assert_fails(mb_key_id_parse(*bad, &id, &err), EINVAL, &err, "8 hex digits");
}

static void test_key_parse(void **state)
{
	uint8_t k[MB_KEY_BYTES];
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_key_parse(" 000102030405060708090a0b0c0d0e0F\n", k, &err), &err);
	assert_memory_equal(k, key, sizeof(k));
	assert_fails(mb_key_parse("0001", k, &err), EINVAL, &err, "32 hex digits");
	assert_fails(mb_key_parse("000102030405060708090a0b0c0d0e0f00", k, &err), EINVAL, &err,
		     "32 hex digits");
	assert_fails(mb_key_parse("000102030405060708090a0b0c0d0e0g", k, &err), EINVAL, &err,
		     "32 hex digits");
	assert_fails(mb_key_parse("", k, &err), EINVAL, &err, "32 hex digits");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_xxh64_known_values),
		cmocka_unit_test(test_blinding_is_siphash),
		cmocka_unit_test(test_bits_keep_the_high_end),
		cmocka_unit_test(test_raw_seed_digest),
		cmocka_unit_test(test_refuses_nonsense),
		cmocka_unit_test(test_identities_tell_keys_apart),
		cmocka_unit_test(test_checks_what_came_from_outside),
		cmocka_unit_test(test_blinding_many),
		cmocka_unit_test(test_key_ids),
		cmocka_unit_test(test_key_parse),
	};

	return cmocka_run_group_tests_name("digest", tests, NULL, NULL);
}
