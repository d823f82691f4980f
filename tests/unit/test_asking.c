// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/asking.h"

#include <stdlib.h>

#include "tests/unit/util_argp.h"
#include "tests/unit/util_test.h"

struct options {
	struct mb_ctl_asking asking;
	const char *of, *limit;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct options *o = state->input;

	switch (key) {
	case ARGP_KEY_INIT:
		state->child_inputs[0] = &o->asking;
		return 0;
	case 'n':
		mb_ctl_take_limit(&o->limit, arg, state);
		return 0;
	case ARGP_KEY_ARG:
		mb_ctl_take_argument(&o->of, arg, state);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const struct argp_option options[] = { { "limit", 'n', "N", 0, "", 0 }, { 0 } };
static const struct argp argp = { .options = options,
				  .parser = parse,
				  .children = mb_ctl_asking_children };

static void test_what_is_given(void **state)
{
	struct options o = { 0 };

	(void)state;
	argp_taken(&argp,
		   ARGV(ARG("web1") ARG("-j") ARG("--server=http://[::1]:1") ARG("--limit")
				ARG("100000")),
		   &o);
	assert_true(o.asking.json);
	assert_string_equal(o.asking.server, "http://[::1]:1");
	assert_string_equal(o.of, "web1");
	assert_string_equal(o.limit, "100000");
}

static void test_what_is_not(void **state)
{
	struct options o = { 0 };

	(void)state;
	unsetenv("MBCTL_SERVER");
	argp_taken(&argp, ARGV(), &o);
	assert_false(o.asking.json);
	assert_string_equal(o.asking.server, MB_CTL_SERVER_DEFAULT);
	assert_null(o.of);
	o.asking.server = NULL;
	setenv("MBCTL_SERVER", "unix:/here", 1);
	argp_taken(&argp, ARGV(), &o);
	assert_string_equal(o.asking.server, "unix:/here");
	unsetenv("MBCTL_SERVER");
}

static void test_what_is_wrong(void **state)
{
	struct options o = { 0 };

	(void)state;
	argp_refused(&argp, ARGV(ARG("web1") ARG("web2")), &o, "\"web2\" is too much");
	argp_refused(&argp, ARGV(ARG("-n0")), &o, "--limit");
	argp_refused(&argp, ARGV(ARG("-n100001")), &o, "--limit");
	argp_refused(&argp, ARGV(ARG("--server=ftp://a")), &o, "ftp://a");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_is_given),
		cmocka_unit_test(test_what_is_not),
		cmocka_unit_test(test_what_is_wrong),
	};

	return cmocka_run_group_tests_name("asking", tests, NULL, NULL);
}
