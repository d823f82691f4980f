// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_argp.h"

#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

void argp_taken(const struct argp *argp, char **argv, void *input)
{
	int n = 0;

	while (argv[n])
		n++;
	assert_int_equal(argp_parse(argp, n, argv, 0, NULL, input), 0);
}

/* Before what the test itself does at its end, such as removing its files. */
static void leave_at_once(void)
{
	_exit(1);
}

void argp_refused(const struct argp *argp, char **argv, void *input, const char *word)
{
	char text[1000] = "";
	int fd[2], status = 0;
	size_t n = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(fd[1], STDERR_FILENO);
		atexit(leave_at_once);
		argp_taken(argp, argv, input);
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
