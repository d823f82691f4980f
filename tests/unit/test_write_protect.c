// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/write_protect.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/file.h"
#include "tests/unit/util_test.h"

/* A /proc of our own. */
static char root[] = "/tmp/mb_test_proc_XXXXXX";

static void put(const char *name, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

static void folder(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_int_equal(mkdir(path, 0700), 0);
}

static void assert_said(const char *name, const char *text)
{
	struct mb_buf got = { 0 };
	struct mb_err err = { 0 };
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	assert_ok(mb_file_read(path, 64, &got, &err), &err);
	assert_string_equal((const char *)got.data, text);
	mb_buf_deinit(&got);
}

static int make(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(root));
	folder("1");
	folder("1/task");
	folder("1/task/1");
	put("1/clear_refs", "");
	put("1/stat", "1 (init) S 0");
	/* Its first thread has ended; another has not. Its name looks like something else. */
	folder("20");
	folder("20/task");
	folder("20/task/20");
	folder("20/task/22");
	put("20/clear_refs", "");
	put("20/stat", "20 (a) S b) Z 1");
	folder("22");
	put("22/clear_refs", "");
	folder("self");
	folder("30"); /* has just ended */
	return 0;
}

static int clean(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", root);
	return system(command);
}

static void test_all(void **state)
{
	struct mb_write_protect w;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(mb_write_protect_all(root, &w, &err), &err);
	assert_int_equal(w.processes, 4);
	assert_said("1/clear_refs", "4");
	assert_said("20/clear_refs", "4");
	assert_said("22/clear_refs", "4");
}

static void test_refused(void **state)
{
	struct mb_write_protect w;
	struct mb_err err = { 0 };

	(void)state;
	assert_fails(mb_write_protect_all("/nonexistent", &w, &err), ENOENT, &err, "/nonexistent");
	/* Neither there nor gone. */
	folder("40");
	folder("40/clear_refs");
	assert_fails(mb_write_protect_all(root, &w, &err), EISDIR, &err, "40/clear_refs");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests_name("write_protect", tests, make, clean);
}
