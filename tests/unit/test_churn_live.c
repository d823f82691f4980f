// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/churn_live.h"

#include <fcntl.h>
#include <pty.h>
#include <unistd.h>

#include "tests/unit/util_source.h"

static const struct mb_fingerprint empty = { 0 };
static const struct mb_churn_config config = {
	.reference = &empty, .by_frame = true, .windows_ns = { 1000000000 }, .n_windows = 1
};
static const struct mb_churn_row rows[] = {
	{ .pages = 100, .classes[MB_CLASS_ANON].pages = 100, .sharable[0] = { 10, 20, 0, 0, 10 } },
	{ .epoch = 1,
	  .at_ns = 1500000000,
	  .pages = 101,
	  .distinct = 90,
	  .classes[MB_CLASS_ANON] = { 101, 50, 1, 0 },
	  .gained_digests = 7,
	  .lost_digests = 6,
	  .windows_known = 1,
	  .sharable = { { 8, 16, 10, 5, 5, { 4 } }, { 3, 3, 4, 3, 3 } } },
};

/* Shows both rows on `fd` in the place of standard output. */
static void show(int fd, bool on)
{
	struct mb_churn_sums sums = { 0 };
	struct mb_churn_live live;
	int old = dup(1);

	fflush(stdout);
	assert_true(dup2(fd, 1) == 1);
	mb_churn_live_begin(&live, on);
	for (int i = 0; i < 2; i++) {
		mb_churn_sums_add(&sums, &rows[i]);
		mb_churn_live_row(&live, &config, &rows[i], &sums);
	}
	mb_churn_live_end(&live);
	fflush(stdout);
	assert_true(dup2(old, 1) == 1);
	close(old);
}

static void has(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no \"%s\" in: %s", part, text);
}

static void test_lines(void **state)
{
	const char *path = temp_file("out", "", 0);
	char text[2000] = "";
	int fd = open(path, O_RDWR);
	ssize_t n;

	(void)state;
	show(fd, false);
	assert_int_equal(lseek(fd, 0, SEEK_END), 0);
	show(fd, true);
	n = pread(fd, text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	has(text, "    0.000 s  epoch 0: 100 pages, 0 dirtied; digests +0 -0; self 20 pages; "
		  "reference 0 pages\n");
	has(text,
	    "    1.500 s  epoch 1: 101 pages, 51 dirtied; digests +7 -6; self 16 pages, 50.0 % "
	    "kept; reference 3 pages, 75.0 % kept\n");
	assert_null(strchr(text, '\033'));
	close(fd);
}

static void test_block(void **state)
{
	char text[8000] = "";
	int master, slave;
	size_t n = 0;
	ssize_t got;

	(void)state;
	if (openpty(&master, &slave, NULL, NULL, NULL) < 0) {
		print_message("no pseudo terminal\n");
		skip();
	}
	fcntl(master, F_SETFL, O_NONBLOCK);
	show(slave, true);
	while (n < sizeof(text) - 1 && (got = read(master, text + n, sizeof(text) - 1 - n)) > 0)
		n += (size_t)got;
	/* The second one over the first, which had so many lines. */
	has(text, "\033[8A\r");
	has(text, "of anon                    [###############               ]  50.5 % of 101");
	has(text, "unchanged for 1 s");
	has(text, "dirtied: 51 pages; 51.0 an epoch, 34.0 a second in the mean");
	close(master);
	close(slave);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
