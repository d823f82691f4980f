// SPDX-License-Identifier: GPL-2.0-or-later
/* What can be told without a guest; tests/vm/guest/test_softdirty.c is the test. */
#include "agent/track_softdirty.h"

#include "tests/unit/util_mbwalk.h"

static int no_device(void)
{
	return -ENODEV;
}

static void test_no_module(void **state)
{
	struct mb_mbwalk_machine was = mb_mbwalk_machine;
	struct mb_tracker *t;
	struct mb_err err = { 0 };

	(void)state;
	mb_mbwalk_machine.open = no_device;
	assert_fails(mb_track_softdirty.open(&(struct mb_tracker_options){ 0 }, &t, &err), ENODEV,
		     &err, "mbwalk");
	mb_mbwalk_machine = was;
}

/* Only opened: an epoch is for all processes of the machine. One that cannot must say why. */
static void test_here(void **state)
{
	const struct mbwalk_range range = { 0, 1 << 20 };
	struct mb_tracker *t;
	struct mb_err err = { 0 };
	int r;

	(void)state;
	fake_device_init(&range, 1);
	r = mb_track_softdirty.open(&(struct mb_tracker_options){ 0 }, &t, &err);
	assert_int_equal(device.opened, device.closed);
	if (r == -EOPNOTSUPP) {
		assert_non_null(strstr(err.text, "CONFIG_MEM_SOFT_DIRTY"));
		return;
	}
	if (r == -EPERM || r == -EACCES) {
		assert_true(strstr(err.text, "CAP_SYS_ADMIN") || strstr(err.text, "hidepid") ||
			    strstr(err.text, "kpagecount"));
		return;
	}
	assert_ok(r, &err);
	t->ops->close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_module),
		cmocka_unit_test(test_here),
	};

	return cmocka_run_group_tests_name("track_softdirty", tests, NULL, NULL);
}
