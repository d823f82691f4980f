// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/parts.h"

#include "tests/unit/util_source.h"

static void test_parts_of_a_page(void **state)
{
	static const uint32_t ns[] = { 0, 1, 2, 8, MB_PARTS_MAX };
	static uint8_t content[MB_PAGE_BYTES];
	const struct mb_page page = { .frame = 5, .cls = MB_CLASS_ANON, .flags = MB_PAGE_KSM };

	(void)state;
	fill_page(content, 3, 7);
	/* Its last 512 bytes are zero. */
	memset(content + 3584, 0, 512);
	for (size_t i = 0; i < sizeof(ns) / sizeof(*ns); i++) {
		struct mb_page parts[MB_PARTS_MAX + 1] = { 0 };
		uint32_t n = ns[i] ? ns[i] : 1, bytes = MB_PAGE_BYTES / n;
		struct mb_parts p;
		struct mb_err err = { 0 };

		assert_ok(mb_parts_init(&p, MB_XXH64, MB_PAGE_BYTES, ns[i], &err), &err);
		assert_int_equal(p.n, n);
		assert_int_equal(p.identity.page_bytes, bytes);
		assert_ok(mb_identity_check(&p.identity, &err), &err);
		mb_parts_hash(&p, &page, content, parts);
		/* Hashed elsewhere, it is the same; what held of the page need not of a part. */
		for (uint32_t k = 0; k < n; k++) {
			struct mb_page zero_page = page, part;

			zero_page.flags |= MB_PAGE_ZERO;
			part = mb_parts_page(&p, &zero_page, k, parts[k].digest,
					     parts[k].flags & MB_PAGE_ZERO);
			assert_int_equal(part.frame, parts[k].frame);
			assert_int_equal(part.digest, parts[k].digest);
			assert_int_equal(part.flags, parts[k].flags);
			assert_int_equal(part.cls, parts[k].cls);
			assert_false(part.gone);
		}
		for (uint32_t k = 0; k < n; k++) {
			bool zero = k * bytes >= 3584;

			assert_int_equal(parts[k].frame, 5 * n + k);
			assert_int_equal(parts[k].cls, MB_CLASS_ANON);
			assert_int_equal(parts[k].flags, MB_PAGE_KSM | (zero ? MB_PAGE_ZERO : 0));
			assert_int_equal(parts[k].digest,
					 mb_raw_hash(MB_XXH64, content + k * bytes, bytes));
			assert_int_equal(zero, parts[k].digest == p.identity.zero_digest);
		}
		assert_int_equal(parts[n].digest, 0);
	}
}

/* Two sizes are never compared, not even where a part is all zero. */
static void test_sizes_are_identities(void **state)
{
	struct mb_parts two, four;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_parts_init(&two, MB_XXH64, MB_PAGE_BYTES, 2, &err), &err);
	assert_ok(mb_parts_init(&four, MB_XXH64, MB_PAGE_BYTES, 4, &err), &err);
	assert_fails(mb_identity_compare(&two.identity, &four.identity, &err), EXDEV, &err, "1024");
}

static void test_bad_numbers(void **state)
{
	static const uint32_t ns[] = { 3, 12, 33, 64, UINT32_MAX };
	struct mb_parts p;
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(ns) / sizeof(*ns); i++)
		assert_fails(mb_parts_init(&p, MB_XXH64, MB_PAGE_BYTES, ns[i], &err), EINVAL, &err,
			     "parts per page: a power of two up to 32");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_of_a_page),
		cmocka_unit_test(test_sizes_are_identities),
		cmocka_unit_test(test_bad_numbers),
	};

	return cmocka_run_group_tests_name("parts", tests, NULL, NULL);
}
