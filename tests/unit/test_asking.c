// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/ctl/asking.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

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

/* Of a command "x" with these arguments. */
static void parse_all(char **argv, struct options *o)
{
	static const struct argp_option options[] = { { "limit", 'n', "N", 0, "", 0 }, { 0 } };
	static const struct argp argp = { .options = options,
					  .parser = parse,
					  .children = mb_ctl_asking_children };
	int n = 0;

	while (argv[n])
		n++;
	assert_int_equal(argp_parse(&argp, n, argv, 0, NULL, o), 0);
}

#define PARSE(o, ...) parse_all((char *[]){ (char[]){ "x" }, __VA_ARGS__ NULL }, o)

static void test_what_is_given(void **state)
{
	struct options o = { 0 };

	(void)state;
	PARSE(&o, (char[]){ "web1" }, (char[]){ "-j" }, (char[]){ "--server=http://[::1]:1" },
	      (char[]){ "--limit" }, (char[]){ "100000" }, );
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
	PARSE(&o, );
	assert_false(o.asking.json);
	assert_string_equal(o.asking.server, MB_CTL_SERVER_DEFAULT);
	assert_null(o.of);
	o.asking.server = NULL;
	setenv("MBCTL_SERVER", "unix:/here", 1);
	PARSE(&o, );
	assert_string_equal(o.asking.server, "unix:/here");
	unsetenv("MBCTL_SERVER");
}

/* What it says on standard error before it ends as wrong usage does. */
static void refused(char **argv, const char *word)
{
	char text[1000] = "";
	struct options o = { 0 };
	int fd[2], status = 0;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		parse_all(argv, &o);
		_exit(0);
	}
	close(fd[1]);
	while (n < sizeof(text) - 1 && (got = read(fd[0], text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	close(fd[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status));
	if (!strstr(text, word))
		fail_msg("%s", text);
}

#define REFUSED(word, ...) refused((char *[]){ (char[]){ "x" }, __VA_ARGS__, NULL }, word)

static void test_what_is_wrong(void **state)
{
	(void)state;
	REFUSED("\"web2\" is too much", (char[]){ "web1" }, (char[]){ "web2" });
	REFUSED("--limit", (char[]){ "-n0" });
	REFUSED("--limit", (char[]){ "-n100001" });
	REFUSED("ftp://a", (char[]){ "--server=ftp://a" });
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
