// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/tokens.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/util_server.h"

/* SHA-256 of "abc" (FIPS 180-4's example). */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static char path[128];

static void write_file(const char *text, mode_t mode)
{
	FILE *f;

	scratch_path("tokens", path);
	unlink(path);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static void test_find(void **state)
{
	struct mb_tokens t = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	write_file("# who may ask\n\nann  read\t" ABC "\nbob apply "
		   "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
		   0600);
	assert_ok(mb_tokens_read(path, &t, &err), &err);
	assert_int_equal(t.n, 2);
	assert_string_equal(mb_tokens_find(&t, "abc")->name, "ann");
	assert_int_equal(mb_tokens_find(&t, "abc")->role, MB_ROLE_READ);
	/* The hash itself is no token. */
	assert_null(mb_tokens_find(&t, ABC));
	assert_null(mb_tokens_find(&t, "abd"));
	assert_null(mb_tokens_find(&t, "abcd"));
	mb_tokens_deinit(&t);
	assert_null(mb_tokens_find(&t, "abc"));
}

static void test_bad_lines(void **state)
{
	static const struct {
		const char *text, *word;
	} cases[] = {
		{ "a read\n", "line 1: not NAME ROLE SHA256" },
		{ "a\n", "not NAME ROLE SHA256" },
		{ "\na read " ABC " more\n", "line 2: not NAME" },
		{ "a root " ABC "\n", "role \"root\"" },
		{ "a read " ABC "0\n", "no SHA-256" },
		{ "a read abc\n", "no SHA-256" },
		{ "a read -" ABC "\n", "no SHA-256" },
		{ "a read 0x7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\n",
		  "no SHA-256" },
		{ "a read " ABC "\na plan " ABC "\n", "line 2: \"a\" comes twice" },
		{ "\001 read " ABC "\n", "not printable" },
	};
	struct mb_tokens t = { 0 };
	struct mb_err err = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int r;

		write_file(cases[i].text, 0600);
		r = mb_tokens_read(path, &t, &err);
		assert_fails(r, -r, &err, cases[i].word);
		assert_true(r < 0);
		assert_non_null(strstr(err.text, path));
	}
	write_file("", 0602);
	assert_fails(mb_tokens_read(path, &t, &err), EPERM, &err, "others may write it");
	unlink(path);
	assert_fails(mb_tokens_read(path, &t, &err), ENOENT, &err, path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_bad_lines),
	};

	return cmocka_run_group_tests_name("tokens", tests, NULL, NULL);
}
