// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/schedule.h"

#include "tests/unit/util_test.h"

static char texts[6][200];

static int parse(struct mb_schedule *s, const char *a, const char *b, const char *c)
{
	const char *const given[] = { "t", a, b, c };
	char *argv[6];
	int argc = 0;

	while (argc < 4 && given[argc]) {
		snprintf(texts[argc], sizeof(texts[0]), "%s", given[argc]);
		argv[argc] = texts[argc];
		argc++;
	}
	argv[argc] = NULL;
	*s = (struct mb_schedule){ .interval_ns = 7, .epochs = 8 };
	return argp_parse(&mb_schedule_argp, argc, argv, ARGP_NO_EXIT | ARGP_NO_ERRS | ARGP_NO_HELP,
			  NULL, s);
}

static void test_options(void **state)
{
	struct mb_schedule s;

	(void)state;
	assert_int_equal(parse(&s, NULL, NULL, NULL), 0);
	assert_int_equal(s.interval_ns, 7);
	assert_int_equal(s.epochs, 8);
	assert_null(s.vm);
	assert_int_equal(parse(&s, "--vm=web1", "--interval=500ms", "--epochs=0"), 0);
	assert_string_equal(s.vm, "web1");
	assert_int_equal(s.interval_ns, 500000000);
	assert_int_equal(s.epochs, 0);
	assert_int_equal(parse(&s, "-nx", "-i0", "--epochs=4294967295"), 0);
	assert_int_equal(s.interval_ns, 0);
	assert_int_equal(s.epochs, UINT32_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests_name("schedule", tests, NULL, NULL);
}
