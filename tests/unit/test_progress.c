// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <fcntl.h>
#include <unistd.h>

#include "proto/base/progress.h"

/* What a bar at `done` writes to standard error; a terminal when `tty`. */
static void draw(bool tty, bool late, double done, char *ret, size_t n)
{
	int saved = dup(2), master = -1, slave, fds[2];
	struct mb_progress p;
	size_t length = 0;
	ssize_t got;

	if (tty) {
		master = posix_openpt(O_RDWR | O_NOCTTY);
		if (master < 0 || grantpt(master) < 0 || unlockpt(master) < 0)
			skip();
		slave = open(ptsname(master), O_RDWR | O_NOCTTY);
		assert_true(slave >= 0);
	} else {
		assert_int_equal(pipe(fds), 0);
		master = fds[0];
		slave = fds[1];
	}
	fflush(stderr);
	dup2(slave, 2);
	close(slave);
	mb_progress_begin(&p, "reading");
	/* As if it had begun long ago, instead of waiting for it. */
	if (late)
		p.start_ns = 0;
	mb_progress_update(&p, done);
	mb_progress_end(&p);
	fflush(stderr);
	/* So that there is something to read where nothing was drawn. */
	assert_int_equal(write(2, ".", 1), 1);
	dup2(saved, 2);
	close(saved);
	/* A terminal hands on what was written bit by bit. */
	do {
		got = read(master, ret + length, n - 1 - length);
		assert_true(got > 0);
		length += (size_t)got;
	} while (ret[length - 1] != '.');
	ret[length] = 0;
	close(master);
}

static void test_only_on_a_terminal(void **state)
{
	char text[256];

	(void)state;
	draw(false, true, 0.5, text, sizeof(text));
	assert_string_equal(text, ".");
	draw(true, false, 0.5, text, sizeof(text));
	assert_string_equal(text, ".");
	draw(true, true, 0.5, text, sizeof(text));
	assert_non_null(strstr(text, "reading [###############               ]  50 %"));
	assert_non_null(strstr(text, "\033[K."));
}

static void test_out_of_range(void **state)
{
	char text[256];

	(void)state;
	draw(true, true, 1e9, text, sizeof(text));
	assert_non_null(strstr(text, "##############################] 100 %"));
	draw(true, true, -3, text, sizeof(text));
	assert_non_null(strstr(text, "[                              ]   0 %"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_on_a_terminal),
		cmocka_unit_test(test_out_of_range),
	};

	return cmocka_run_group_tests_name("progress", tests, NULL, NULL);
}
