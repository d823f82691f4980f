// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/fpref.h"

#include "server/fpref_inside.h"
#include "tests/unit/util_server.h"

static struct mb_fpref *make(uint64_t first, size_t n)
{
	struct mb_fingerprint fp;
	struct mb_fpref *ref;

	make_fingerprint_of(first, 10, n, &fp);
	ref = mb_fpref_new(&fp);
	assert_non_null(ref);
	return ref;
}

static void test_list(void **state)
{
	struct mb_fpref *ref = make(0, 100);
	uint64_t old[2] = { 5, 0 };

	(void)state;
	assert_int_equal(mb_fpref_list(ref, UINT64_MAX, false).list.n, 100);
	assert_int_equal(mb_fpref_list(ref, 0, false).list.n, 1);
	assert_int_equal(mb_fpref_list(ref, 19, false).list.n, 2);
	assert_int_equal(mb_fpref_list(ref, 20, true).list.n, 3);
	assert_int_equal(mb_fpref_list(NULL, 20, true).list.n, 0);
	/* Nothing is known of what lasts, all lasts, some does. */
	assert_null(mb_fpref_list(ref, 20, true).keep);
	ref->has_durable = true;
	ref->durable = (struct mb_durable){ .whole = true, .n = 100, .old = old };
	assert_null(mb_fpref_list(ref, 20, true).keep);
	ref->durable.whole = false;
	assert_ptr_equal(mb_fpref_list(ref, 20, true).keep, old);
	assert_null(mb_fpref_list(ref, 20, false).keep);
	ref->durable = (struct mb_durable){ 0 };
	mb_fpref_put(ref);
}

static void test_page_out_and_in(void **state)
{
	struct mb_fpref *ref = make(0, 1000), *out, *in = NULL;
	struct mb_fingerprint other, same;
	struct mb_fingerprint_id id = mb_fpref_id(ref), left;
	struct mb_err err = { 0 };

	(void)state;
	ref->seen_ns = 7;
	ref->has_durable = true;
	ref->durable = (struct mb_durable){ .n = 1000, .old_ns = 3, .old = calloc(16, 8) };
	assert_non_null(ref->durable.old);
	ref->durable.old[0] = 6;
	assert_false(mb_fpref_is_paged_out(ref));
	out = mb_fpref_page_out(ref, 99);
	assert_non_null(out);
	assert_true(mb_fpref_is_paged_out(out));
	assert_null(mb_fpref_fingerprint(out));
	left = mb_fpref_id(out);
	assert_true(mb_fingerprint_id_equal(&id, &left));
	assert_int_equal(mb_fpref_list(out, UINT64_MAX, false).list.n, 10);
	assert_int_equal(mb_fpref_list(out, 50, true).list.n, 6);
	assert_int_equal(mb_fpref_list(out, 50, true).keep[0], 6);
	assert_true(mb_fpref_bytes(out) + 7900 < mb_fpref_bytes(ref));
	mb_fpref_put(ref);
	/* Less can be left of it, still. */
	ref = mb_fpref_page_out(out, 9);
	assert_non_null(ref);
	assert_int_equal(mb_fpref_list(ref, UINT64_MAX, false).list.n, 1);
	mb_fpref_put(out);
	/* Another one is not taken for it. */
	make_fingerprint_of(1, 10, 1000, &other);
	assert_fails(mb_fpref_page_in(ref, &other, &in, &err), ESTALE, &err, "paged out");
	assert_int_equal(other.n_distinct, 1000);
	mb_fingerprint_deinit(&other);
	make_fingerprint_of(0, 10, 1000, &same);
	assert_ok(mb_fpref_page_in(ref, &same, &in, &err), &err);
	assert_null(same.digests);
	assert_int_equal(mb_fpref_fingerprint(in)->digests[999], 9990);
	assert_int_equal(in->seen_ns, 7);
	assert_int_equal(mb_fpref_durable(in)->old_ns, 3);
	assert_int_equal(mb_fpref_durable(in)->old[0], 6);
	mb_fpref_put(ref);
	assert_int_equal(mb_fpref_durable(in)->old[0], 6);
	mb_fpref_put(in);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_page_out_and_in),
	};

	return cmocka_run_group_tests_name("fpref", tests, NULL, NULL);
}
