// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/trackers.h"

#include <unistd.h>

#include "tests/unit/util_test.h"

struct refusals {
	int n;
	char last[64], reason[480];
};

static void on_refused(void *ctx, const char *name, const char *reason)
{
	struct refusals *r = ctx;

	r->n++;
	snprintf(r->last, sizeof(r->last), "%s", name);
	snprintf(r->reason, sizeof(r->reason), "%s", reason);
}

static void test_all_are_whole(void **state)
{
	size_t n = 0;

	(void)state;
	for (; mb_tracker_at(n); n++) {
		const struct mb_tracker_ops *ops = mb_tracker_at(n);

		assert_true(ops->name && ops->open && ops->close && ops->epoch && ops->who &&
			    ops->describe && ops->cost_ns);
		assert_true(*mb_strength_name(ops->strength));
	}
	assert_true(n >= 2);
	assert_ptr_equal(mb_tracker_at(n - 1), &mb_track_none);
	assert_null(mb_tracker_at(n + 1));
}

/* A process's memory, say: there is nothing to try, and nothing to complain about. */
static void test_another_source(void **state)
{
	struct mb_source_info info = { .stable_frames = true };
	struct refusals refused = { 0 };
	struct mb_tracker_wish wish = { .name = "auto", .refused = on_refused, .ctx = &refused };
	struct mb_tracker *t = NULL;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_tracker_choose(&wish, &info, &t, &err), &err);
	assert_ptr_equal(t->ops, &mb_track_none);
	t->ops->close(t);
	assert_int_equal(refused.n, 0);
	wish.name = "bpf";
	assert_fails(mb_tracker_choose(&wish, &info, &t, &err), EOPNOTSUPP, &err,
		     "tracker bpf: it follows this machine's memory");
}

static void test_names(void **state)
{
	struct mb_source_info info = { .this_machine = true };
	struct refusals refused = { 0 };
	struct mb_tracker_wish wish = { .name = "none", .refused = on_refused, .ctx = &refused };
	struct mb_tracker *t = NULL;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_tracker_choose(&wish, &info, &t, &err), &err);
	assert_ptr_equal(t->ops, &mb_track_none);
	t->ops->close(t);
	assert_int_equal(refused.n, 0);
	wish.name = "ptrace";
	assert_fails(mb_tracker_choose(&wish, &info, &t, &err), EINVAL, &err,
		     "no tracker \"ptrace\", but: auto, bpf");
}

/* No module here, so all but none are refused, each with its reason. */
static void test_fallback(void **state)
{
	struct mb_source_info info = { .this_machine = true };
	struct refusals refused = { 0 };
	struct mb_tracker_wish wish = { .name = "auto", .refused = on_refused, .ctx = &refused };
	struct mb_tracker *t = NULL;
	struct mb_err err = { 0 };
	int n = 0;

	(void)state;
	if (access("/dev/mbwalk", F_OK) == 0)
		skip();
	while (mb_tracker_at(n) != &mb_track_none)
		n++;
	assert_ok(mb_tracker_choose(&wish, &info, &t, &err), &err);
	assert_ptr_equal(t->ops, &mb_track_none);
	t->ops->close(t);
	assert_int_equal(refused.n, n);
	assert_string_equal(refused.last, mb_tracker_at((size_t)n - 1)->name);
	assert_true(strlen(refused.reason) > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_are_whole),
		cmocka_unit_test(test_another_source),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_fallback),
	};

	return cmocka_run_group_tests_name("trackers", tests, NULL, NULL);
}
