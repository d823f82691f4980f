// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/option_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/util_server.h"

static const struct argp_option known[] = {
	{ "listen", 'l', "ADDRESS", 0, "where", 0 },
	{ "quota", 1, "NAME=N,...", 0, "how much", 0 },
	{ "insecure", 2, 0, 0, "all the same", 0 },
	{ 0 },
};

static char path[128];

static void write_bytes(const char *text, size_t n, mode_t mode)
{
	FILE *f;

	scratch_path("options", path);
	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void test_read(void **state)
{
	static const char text[] = "# words\n\n  listen   unix:/a b \t\r\n#quota 5\n"
				   "listen tcp:[::1]:1\ninsecure \nquota\tvms=1,sessions=2";
	struct mb_option_file f = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	write_bytes(text, strlen(text), 0600);
	assert_ok(mb_option_file_read(path, known, &f, &err), &err);
	assert_int_equal(f.n, 4);
	assert_ptr_equal(f.list[0].option, &known[0]);
	assert_string_equal(f.list[0].value, "unix:/a b");
	assert_int_equal(f.list[0].line, 3);
	assert_string_equal(f.list[1].value, "tcp:[::1]:1");
	assert_int_equal(f.list[1].line, 5);
	assert_ptr_equal(f.list[2].option, &known[2]);
	assert_null(f.list[2].value);
	assert_string_equal(f.list[3].value, "vms=1,sessions=2");
	assert_int_equal(f.list[3].line, 7);
	mb_option_file_deinit(&f);
	assert_int_equal(f.n, 0);
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "listen tcp:a:1\nlissten tcp:a:1\n", "line 2: no option \"lissten\"" },
		{ "--listen tcp:a:1\n", "line 1: no option \"--listen\"" },
		{ "list tcp:a:1\n", "no option \"list\"" },
		{ "listen=tcp:a:1\n", "no option \"listen=tcp:a:1\"" },
		{ "\n\nlisten \t\n", "line 3: listen: needs a value, ADDRESS" },
		{ "insecure yes\n", "line 1: insecure: takes no value" },
	};
	struct mb_option_file f = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		write_bytes(cases[i].text, strlen(cases[i].text), 0600);
		assert_fails(mb_option_file_read(path, known, &f, &err), EINVAL, &err,
			     cases[i].word);
		assert_non_null(strstr(err.text, path));
		assert_null(f.list);
	}
}

static void test_bad_files(void **state)
{
	static char large[MB_OPTION_FILE_BYTES_MAX + 2];
	struct mb_option_file f = { 0 };
	struct mb_err err = { 0 };
	size_t n = 0;

	(void)state;
	write_bytes("insecure\n", 9, 0602);
	assert_fails(mb_option_file_read(path, known, &f, &err), EPERM, &err, "others may write");
	/* Of what is no file, that says nothing. */
	assert_ok(mb_option_file_read("/dev/null", known, &f, &err), &err);
	assert_int_equal(f.n, 0);
	mb_option_file_deinit(&f);
	write_bytes("insecure\n\0listen a\n", 19, 0600);
	assert_fails(mb_option_file_read(path, known, &f, &err), EINVAL, &err, "byte 0");
	while (n < (MB_OPTION_LINES_MAX + 1) * strlen("insecure\n"))
		n += (size_t)sprintf(large + n, "insecure\n");
	write_bytes(large, n, 0600);
	assert_fails(mb_option_file_read(path, known, &f, &err), E2BIG, &err,
		     "line 257: more than");
	write_bytes(large, n - strlen("insecure\n"), 0600);
	assert_ok(mb_option_file_read(path, known, &f, &err), &err);
	assert_int_equal(f.n, MB_OPTION_LINES_MAX);
	mb_option_file_deinit(&f);
	memset(large, '#', sizeof(large));
	write_bytes(large, sizeof(large), 0600);
	assert_fails(mb_option_file_read(path, known, &f, &err), EFBIG, &err, path);
	unlink(path);
	assert_fails(mb_option_file_read(path, known, &f, &err), ENOENT, &err, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_bad_lines),
		cmocka_unit_test(test_bad_files),
	};

	return cmocka_run_group_tests_name("option_file", tests, NULL, NULL);
}
