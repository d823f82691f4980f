// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <unistd.h>

#include "proto/base/log.h"

/* What the levels write to standard error. */
static void collect(enum mb_log_level max, char *ret, size_t n)
{
	int saved = dup(2), fds[2];
	ssize_t got;

	assert_int_equal(pipe(fds), 0);
	fflush(stderr);
	dup2(fds[1], 2);
	close(fds[1]);
	mb_log_init("mbx", max);
	mb_error("disk %s", "full");
	mb_warning("slow");
	mb_info("up");
	mb_debug("detail");
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	got = read(fds[0], ret, n - 1);
	close(fds[0]);
	assert_true(got > 0);
	ret[got] = 0;
}

static void test_levels(void **state)
{
	char text[512];

	(void)state;
	unsetenv("JOURNAL_STREAM");
	collect(MB_LOG_DEBUG, text, sizeof(text));
	assert_string_equal(text, "mbx: error: disk full\nmbx: warning: slow\nmbx: up\n"
				  "mbx: debug: detail\n");
	collect(MB_LOG_ERROR, text, sizeof(text));
	assert_string_equal(text, "mbx: error: disk full\n");
	setenv("JOURNAL_STREAM", "8:1", 1);
	collect(MB_LOG_WARNING, text, sizeof(text));
	assert_string_equal(text, "<3>disk full\n<4>slow\n");
	unsetenv("JOURNAL_STREAM");
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_levels) };

	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
