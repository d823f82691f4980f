// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/store_wish.h"

#include "server/store_execution.h"
#include "tests/unit/util_server.h"

static struct mb_store *store;

static int set_up(void **state)
{
	static int n;
	struct mb_err err = { 0 };
	char name[32], path[128];

	(void)state;
	snprintf(name, sizeof(name), "%d.db", n++);
	scratch_path(name, path);
	assert_ok(mb_store_open(path, &store, &err), &err);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	mb_store_close(store);
	return 0;
}

static void put_execution(uint64_t ended_ms)
{
	struct mb_execution_record rec = { .created_unix_ms = 1000,
					   .ended_unix_ms = ended_ms,
					   .mover = "slow",
					   .question = "plan",
					   .planner = "best",
					   .state = "running",
					   .plan = "{}",
					   .execution = "{}" };
	struct mb_err err = { 0 };

	assert_ok(mb_store_put_execution(store, &rec, &err), &err);
}

struct seen {
	struct mb_wish w[8];
	size_t n;
	int result;
};

static int see(void *ctx, const struct mb_wish *w)
{
	struct seen *s = ctx;

	s->w[s->n++] = *w;
	return s->result;
}

static struct seen wishes_of(int64_t execution)
{
	struct seen s = { 0 };
	struct mb_err err = { 0 };

	assert_ok(mb_store_wishes(store, execution, see, &s, &err), &err);
	return s;
}

static void test_kept_until_carried_out(void **state)
{
	struct mb_wish cancel = { .execution = 1, .kind = MB_WISH_CANCEL };
	struct mb_wish stayed = { .execution = 1, .move = 0, .kind = MB_WISH_STAYED };
	struct mb_wish other = { .execution = 2, .move = 6, .kind = MB_WISH_ARRIVED };
	struct mb_err err = { 0 };
	struct seen s = { .result = -7 };

	(void)state;
	put_execution(0);
	put_execution(0);
	assert_ok(mb_store_put_wish(store, &stayed, 5, &err), &err);
	assert_ok(mb_store_put_wish(store, &other, 6, &err), &err);
	assert_ok(mb_store_put_wish(store, &cancel, 7, &err), &err);
	/* The first that says other than 0 ends it. */
	assert_int_equal(mb_store_wishes(store, 1, see, &s, &err), -7);
	assert_int_equal(s.n, 1);
	s = wishes_of(1);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.w[0].kind, MB_WISH_STAYED);
	assert_int_equal(s.w[0].move, 0);
	assert_int_equal(s.w[1].kind, MB_WISH_CANCEL);
	assert_true(s.w[1].id == cancel.id && cancel.id > stayed.id);
	s = wishes_of(2);
	assert_int_equal(s.n, 1);
	assert_int_equal(s.w[0].move, 6);
	/* What came after is not dropped with it, nor another execution's. */
	assert_ok(mb_store_drop_wishes(store, 1, stayed.id, &err), &err);
	assert_int_equal(wishes_of(1).n, 1);
	assert_ok(mb_store_drop_wishes(store, 1, INT64_MAX, &err), &err);
	assert_int_equal(wishes_of(1).n, 0);
	assert_int_equal(wishes_of(2).n, 1);
}

static void test_only_of_what_is_under_way(void **state)
{
	struct mb_wish w = { .execution = 1, .kind = MB_WISH_CANCEL };
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_store_put_wish(store, &w, 5, &err), ENOENT, &err, "no execution 1");
	put_execution(2000);
	assert_fails(mb_store_put_wish(store, &w, 5, &err), EALREADY, &err,
		     "execution 1 has ended");
	assert_int_equal(wishes_of(1).n, 0);
	/* And the store goes on. */
	put_execution(0);
	w.execution = 2;
	assert_ok(mb_store_put_wish(store, &w, 5, &err), &err);
}

static void test_names(void **state)
{
	(void)state;
	for (int k = 0; k < MB_WISH_KINDS; k++)
		assert_int_equal(mb_wish_find(mb_wish_name((enum mb_wish_kind)k)), k);
	assert_int_equal(mb_wish_find("pause"), MB_WISH_KINDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kept_until_carried_out, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_only_of_what_is_under_way, set_up, tear_down),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("store_wish", tests, NULL, NULL);
}
