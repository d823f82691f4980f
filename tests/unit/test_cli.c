// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <unistd.h>

#include "proto/base/cleanup.h"
#include "proto/base/cli.h"

static int ran_argc;
static char ran_name[64], ran_word[64];

static int run(int argc, char **argv)
{
	ran_argc = argc;
	snprintf(ran_name, sizeof(ran_name), "%s", argv[0]);
	snprintf(ran_word, sizeof(ran_word), "%s", argc > 1 ? argv[1] : "");
	return MB_EXIT_FAILED;
}

static const struct mb_command commands[] = { { "walk", "walks", run }, { 0 } };

/* Runs `mbx <word> <more>`, with what it says kept out of the test's own report. */
static int cli(const char *word, const char *more)
{
	char a[16] = "mbx", b[16] = "", c[16] = "";
	char *argv[] = { a, word ? b : NULL, more ? c : NULL, NULL };
	mb_autoclose int out = dup(1), err = dup(2);
	int r;

	snprintf(b, sizeof(b), "%s", word ? word : "");
	snprintf(c, sizeof(c), "%s", more ? more : "");
	fflush(NULL);
	assert_non_null(freopen("/dev/null", "w", stdout));
	assert_non_null(freopen("/dev/null", "w", stderr));
	ran_argc = 0;
	r = mb_cli_main("mbx", "does x", commands, 1 + !!word + !!more, argv);
	fflush(NULL);
	dup2(out, 1);
	dup2(err, 2);
	return r;
}

static void test_commands(void **state)
{
	(void)state;
	assert_int_equal(cli("walk", "--fast"), MB_EXIT_FAILED);
	assert_int_equal(ran_argc, 2);
	assert_string_equal(ran_name, "mbx walk");
	assert_string_equal(ran_word, "--fast");
	assert_int_equal(cli("help", NULL), MB_EXIT_OK);
	assert_int_equal(cli("--help", NULL), MB_EXIT_OK);
	assert_int_equal(cli("--version", NULL), MB_EXIT_OK);
	assert_int_equal(cli(NULL, NULL), MB_EXIT_USAGE);
	assert_int_equal(cli("wal", NULL), MB_EXIT_USAGE);
	assert_int_equal(cli("walks", NULL), MB_EXIT_USAGE);
	assert_int_equal(cli("", NULL), MB_EXIT_USAGE);
	assert_int_equal(ran_argc, 0);
}

static void test_numbers(void **state)
{
	static const char *const bad[] = { "",	   " 1",  "1 ",	 "-1", "+1",
					   "0x10", "1e3", "1.5", "a",  "18446744073709551616" };
	struct mb_err err = { 0 };
	uint64_t v;

	(void)state;
	assert_ok(mb_parse_u64("18446744073709551615", 0, UINT64_MAX, "x", &v, &err), &err);
	assert_true(v == UINT64_MAX);
	assert_ok(mb_parse_u64("010", 10, 10, "x", &v, &err), &err);
	assert_int_equal(v, 10);
	v = 42;
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++)
		assert_fails(mb_parse_u64(bad[i], 0, UINT64_MAX, "--port", &v, &err), EINVAL, &err,
			     "--port");
	assert_fails(mb_parse_u64("9", 10, 20, "x", &v, &err), EINVAL, &err, "from 10 to 20");
	assert_fails(mb_parse_u64("21", 10, 20, "x", &v, &err), EINVAL, &err, "from 10 to 20");
	assert_int_equal(v, 42);
}

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = { { "0", 0 },
		     { "250ms", 250000000 },
		     { "10", 10000000000 },
		     { "10s", 10000000000 },
		     { "2m", 120000000000 },
		     { "1h", 3600000000000 },
		     { "30d", 2592000000000000 } };
	static const char *const bad[] = { "",
					   "s",
					   "-1s",
					   "1 s",
					   "1w",
					   "1.5s",
					   "1min",
					   "1S",
					   "18446744073709551616s",
					   "5124095577h",
					   "1281024h9" };
	struct mb_err err = { 0 };
	uint64_t ns;

	(void)state;
	for (size_t i = 0; i < MB_ARRAY_LEN(good); i++) {
		assert_ok(mb_parse_duration_ns(good[i].text, "x", &ns, &err), &err);
		assert_true(ns == good[i].ns);
	}
	for (size_t i = 0; i < MB_ARRAY_LEN(bad); i++)
		assert_fails(mb_parse_duration_ns(bad[i], "--every", &ns, &err), EINVAL, &err,
			     "--every");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_commands),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_durations),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
