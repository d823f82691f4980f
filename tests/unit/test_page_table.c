// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/page_table.h"

#include "tests/unit/util_test.h"

static void append(struct mb_page_table *t, uint64_t frame, uint64_t digest)
{
	struct mb_err err = { 0 };

	assert_ok(mb_page_table_append(t, &(struct mb_table_page){ frame, digest, frame % 251 },
				       &err),
		  &err);
}

static void test_neighbours_make_one_run(void **state)
{
	static const uint64_t frames[] = { 0, 1, 2, 7, 8, 100, 1ull << 40, (1ull << 40) + 1 };
	struct mb_page_table t = { 0 };
	struct mb_page_cursor c = { .table = &t };
	struct mb_table_page page;

	(void)state;
	assert_false(mb_page_cursor_get(&c, &page));
	for (size_t i = 0; i < 8; i++)
		append(&t, frames[i], 1000 + i);
	assert_int_equal(t.n_runs, 4);
	assert_int_equal(t.n_pages, 8);
	for (size_t i = 0; i < 8; i++) {
		assert_true(mb_page_cursor_get(&c, &page));
		assert_int_equal(page.frame, frames[i]);
		assert_int_equal(page.digest, 1000 + i);
		assert_int_equal(page.state, frames[i] % 251);
		mb_page_cursor_step(&c);
	}
	assert_false(mb_page_cursor_get(&c, &page));
	mb_page_table_deinit(&t);
}

static void refuse(struct mb_page_table *t, uint64_t frame, const char *words)
{
	struct mb_table_page page = { .frame = frame };
	struct mb_err err = { 0 };

	assert_fails(mb_page_table_append(t, &page, &err), EBADMSG, &err, words);
}

static void test_refuses_what_does_not_ascend(void **state)
{
	struct mb_page_table t = { 0 };

	(void)state;
	append(&t, 5, 1);
	refuse(&t, 5, "frame 5 after frame 5");
	refuse(&t, 0, "frame 0 after frame 5");
	append(&t, 6, 2);
	refuse(&t, 5, "frame 5 after frame 6");
	/* What was refused left nothing behind. */
	assert_int_equal(t.n_pages, 2);
	assert_int_equal(t.n_runs, 1);
	mb_page_table_deinit(&t);
}

static void test_clear_keeps_the_memory(void **state)
{
	struct mb_page_table t = { 0 };
	const void *digests;

	(void)state;
	append(&t, 9, 1);
	digests = t.digests;
	mb_page_table_clear(&t);
	assert_int_equal(t.n_pages, 0);
	append(&t, 3, 2);
	assert_ptr_equal(t.digests, digests);
	assert_int_equal(t.n_runs, 1);
	assert_int_equal(t.runs[0].first, 3);
	mb_page_table_deinit(&t);
	mb_page_table_deinit(&t);
}

static void test_many(void **state)
{
	struct mb_page_table t = { 0 };
	struct mb_page_cursor c = { .table = &t };
	struct rng r = { 1 }, again = { 1 };
	struct mb_table_page page;
	uint64_t frame = 0;

	(void)state;
	for (int i = 0; i < 20000; i++, frame++) {
		frame += rng_below(&r, 3);
		append(&t, frame, frame * 3);
	}
	frame = 0;
	for (int i = 0; i < 20000; i++, frame++) {
		frame += rng_below(&again, 3);
		assert_true(mb_page_cursor_get(&c, &page));
		assert_int_equal(page.frame, frame);
		assert_int_equal(page.digest, frame * 3);
		assert_int_equal(page.state, frame % 251);
		mb_page_cursor_step(&c);
	}
	assert_false(mb_page_cursor_get(&c, &page));
	mb_page_table_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours_make_one_run),
		cmocka_unit_test(test_refuses_what_does_not_ascend),
		cmocka_unit_test(test_clear_keeps_the_memory),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("page_table", tests, NULL, NULL);
}
