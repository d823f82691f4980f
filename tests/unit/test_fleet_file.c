// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_test.h"

#include <unistd.h>

#include "server/fleet_file.h"

#define HOSTS                                                                                      \
	"\"hosts\": [{\"name\": \"h0\", \"memory_mb\": 10}, {\"name\": \"h1\", \"memory_mb\": "    \
	"20}]"

static int parse(const char *text, struct mb_fleet_file *ret, struct mb_err *err)
{
	return mb_fleet_file_parse(text, strlen(text), "dir", ret, err);
}

static void test_reads_what_it_names(void **state)
{
	struct mb_fleet_file f;
	struct mb_err err = { 0 };

	(void)state;
	assert_ok(parse("{" HOSTS ", \"vms\": ["
			"{\"name\": \"a\", \"memory_mb\": 1, \"trace\": \"t/a.mbt\", \"host\": "
			"\"h1\"},"
			"{\"name\": \"b\", \"memory_mb\": 1099511627776, \"trace\": \"/abs\"},"
			"{\"memory_mb\": 3, \"name\": \"c\", \"host\": \"h0\"}]}",
			&f, &err),
		  &err);
	assert_int_equal(f.n_hosts, 2);
	assert_string_equal(f.hosts[0].name, "h0");
	assert_int_equal(f.hosts[1].memory_mb, 20);
	assert_int_equal(f.n_vms, 3);
	assert_string_equal(f.vms[0].name, "a");
	assert_string_equal(f.vms[0].trace, "dir/t/a.mbt");
	assert_int_equal(f.vms[0].host, 1);
	assert_int_equal(f.vms[1].memory_mb, MB_FLEET_MEMORY_MB_MAX);
	assert_string_equal(f.vms[1].trace, "/abs");
	assert_int_equal(f.vms[1].host, MB_NOWHERE);
	assert_null(f.vms[2].trace);
	assert_int_equal(f.vms[2].host, 0);
	mb_fleet_file_deinit(&f);
	assert_ok(parse("{\"hosts\": [], \"vms\": []}", &f, &err), &err);
	assert_int_equal(f.n_hosts + f.n_vms, 0);
	mb_fleet_file_deinit(&f);
}

static void test_says_what_is_wrong_and_where(void **state)
{
#define VM(rest) "{" HOSTS ", \"vms\": [{\"name\": \"a\", \"memory_mb\": 1}, " rest "]}"
#define SIZE(n)	 VM("{\"name\": \"b\", \"memory_mb\": " n "}")
	static const struct {
		const char *text, *words;
	} cases[] = {
		{ "", "line 1, column" },
		{ "{\n  \"hosts\": [}\n", "line 2, column" },
		{ "{" HOSTS, "line 1, column" },
		{ "{\"hosts\": [], \"hosts\": [], \"vms\": []}", "duplicate" },
		{ "[]", "not an object" },
		{ "3", "line 1" },
		{ "{\"vms\": []}", "no \"hosts\"" },
		{ "{" HOSTS "}", "no \"vms\"" },
		{ "{" HOSTS ", \"vms\": {}}", "vms: not a list" },
		{ "{" HOSTS ", \"vms\": [], \"x\\u001by\": 1}", "unknown key \"x?y\"" },
		{ VM("3"), "vms[1]: not an object" },
		{ VM("{\"memory_mb\": 1}"), "vms[1]: no \"name\"" },
		{ VM("{\"name\": \"b\"}"), "vms[1]: no \"memory_mb\"" },
		{ VM("{\"name\": 7, \"memory_mb\": 1}"), "vms[1].name: not a text" },
		{ VM("{\"name\": \"\", \"memory_mb\": 1}"), "vms[1].name" },
		{ VM("{\"name\": \"b c\", \"memory_mb\": 1}"), "vms[1].name: VM name has a byte" },
		{ VM("{\"name\": \"a\", \"memory_mb\": 1}"),
		  "vms[1].name: \"a\" is vms[0] already" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"host\": \"h2\"}"),
		  "vms[1].host: no host \"h2\"" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"host\": null}"), "vms[1].host" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"host\": \"h\\n\"}"), "vms[1].host" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"trace\": []}"), "vms[1].trace" },
		{ VM("{\"name\": \"b\", \"memory_mb\": 1, \"memory\": 1}"),
		  "vms[1]: unknown key \"memory\"" },
		{ SIZE("0"), "vms[1].memory_mb: not a whole number from 1 to 1099511627776" },
		{ SIZE("-5"), "vms[1].memory_mb" },
		{ SIZE("1.5"), "vms[1].memory_mb" },
		{ SIZE("1e3"), "vms[1].memory_mb" },
		{ SIZE("\"5\""), "vms[1].memory_mb" },
		{ SIZE("1099511627777"), "vms[1].memory_mb" },
		{ SIZE("99999999999999999999"), "too big" },
		{ "{\"hosts\": [{\"name\": \"h\", \"memory_mb\": 1, \"trace\": \"t\"}], \"vms\": "
		  "[]}",
		  "hosts[0]: unknown key \"trace\"" },
		{ "{\"hosts\": [{\"name\": \"h\", \"memory_mb\": 1}, {\"name\": \"h\", "
		  "\"memory_mb\": 1}], \"vms\": []}",
		  "hosts[1].name: \"h\" is hosts[0] already" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct mb_err err = { 0 };
		struct mb_fleet_file f;

		assert_fails(parse(cases[i].text, &f, &err), EINVAL, &err, cases[i].words);
		assert_null(f.hosts);
		assert_null(f.vms);
	}
}

static void test_finds_any_host_of_many(void **state)
{
	enum { HOSTS_N = 37 };
	struct mb_err err = { 0 };
	struct mb_fleet_file f;
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	(void)state;
	fputs("{\"hosts\": [", to);
	for (int i = 0; i < HOSTS_N; i++)
		fprintf(to, "%s{\"name\": \"h%d\", \"memory_mb\": 1}", i ? "," : "", i);
	fputs("], \"vms\": [", to);
	for (int i = 0; i < HOSTS_N; i++)
		fprintf(to, "%s{\"name\": \"v%d\", \"memory_mb\": 1, \"host\": \"h%d\"}",
			i ? "," : "", i, HOSTS_N - 1 - i);
	fputs("]}", to);
	fclose(to);
	assert_ok(parse(text, &f, &err), &err);
	for (int i = 0; i < HOSTS_N; i++)
		assert_int_equal(f.vms[i].host, HOSTS_N - 1 - i);
	mb_fleet_file_deinit(&f);
	free(text);
}

static void test_caps_lists(void **state)
{
	struct mb_err err = { 0 };
	struct mb_fleet_file f;
	char *text;
	size_t n;
	FILE *to = open_memstream(&text, &n);

	(void)state;
	fputs("{\"vms\": [], \"hosts\": [0", to);
	for (int i = 0; i < MB_FLEET_HOSTS_MAX; i++)
		fputs(",0", to);
	fputs("]}", to);
	fclose(to);
	assert_fails(parse(text, &f, &err), EINVAL, &err,
		     "hosts: 10001 of them; 10000 are allowed");
	free(text);
}

static void test_file_errors_start_with_the_path(void **state)
{
	char path[] = "/tmp/mb-fleet-XXXXXX";
	int fd = mkstemp(path);
	struct mb_fleet_file f;
	struct mb_err err = { 0 };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "{}", 2), 2);
	close(fd);
	assert_fails(mb_fleet_file_read(path, &f, &err), EINVAL, &err, path);
	unlink(path);
	assert_fails(mb_fleet_file_read(path, &f, &err), ENOENT, &err, path);
	assert_fails(mb_fleet_file_read("/", &f, &err), EISDIR, &err, "/: ");
	mb_fleet_file_deinit(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reads_what_it_names),
		cmocka_unit_test(test_says_what_is_wrong_and_where),
		cmocka_unit_test(test_finds_any_host_of_many),
		cmocka_unit_test(test_caps_lists),
		cmocka_unit_test(test_file_errors_start_with_the_path),
	};

	return cmocka_run_group_tests_name("fleet_file", tests, NULL, NULL);
}
