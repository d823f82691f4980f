// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/track.h"
#include "tests/unit/util_test.h"

static void test_knows_nothing(void **state)
{
	const struct mb_frame_set mark = { 0 };
	const struct mb_frame_set *dirty;
	struct mb_tracker *t = NULL;
	struct mb_err err = { 0 };
	const char *doubt;

	(void)state;
	assert_string_equal(mb_track_none.name, "none");
	assert_int_equal(mb_track_none.strength, MB_STRENGTH_NONE);
	assert_ok(mb_track_none.open(&(struct mb_tracker_options){ 0 }, &t, &err), &err);
	assert_ptr_equal(t->ops, &mb_track_none);
	for (int i = 0; i < 3; i++) {
		dirty = &mark;
		assert_ok(t->ops->epoch(t, &dirty, &doubt, &err), &err);
		assert_null(dirty);
	}
	t->ops->close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_knows_nothing),
	};

	return cmocka_run_group_tests_name("track_none", tests, NULL, NULL);
}
