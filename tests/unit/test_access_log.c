// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/access_log.h"

#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/util_server.h"

static struct mb_access sample(void)
{
	return (struct mb_access){ .at_unix_ms = 1700000000123,
				   .who = "token ann",
				   .peer = "tcp:192.0.2.1",
				   .role = MB_ROLE_APPLY,
				   .method = "POST",
				   .path = "/v1/x",
				   .query = "a=1",
				   .status = 200,
				   .reason = "" };
}

/* The lines of the file, parsed; each must be JSON of its own. */
static json_t *read_lines(const char *path)
{
	json_t *all = json_array();
	char line[4096];
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f)) {
		json_t *o = json_loads(line, 0, NULL);

		if (!o)
			fail_msg("no JSON: %s", line);
		json_array_append_new(all, o);
	}
	fclose(f);
	return all;
}

static void test_only_added_to(void **state)
{
	struct mb_access a = sample();
	struct mb_access_log *l;
	struct mb_err err = { 0 };
	struct stat st;
	char path[128];
	json_t *all, *o;

	(void)state;
	scratch_path("log", path);
	for (int i = 0; i < 2; i++) {
		assert_ok(mb_access_log_open(path, &l, &err), &err);
		assert_ok(mb_access_log_put(l, &a, 0, &err), &err);
		assert_ok(mb_access_log_put(l, &a, 0, &err), &err);
		mb_access_log_close(l);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	all = read_lines(path);
	assert_int_equal(json_array_size(all), 4);
	o = json_array_get(all, 0);
	assert_string_equal(json_string_value(json_object_get(o, "who")), "token ann");
	assert_string_equal(json_string_value(json_object_get(o, "role")), "apply");
	assert_int_equal(json_integer_value(json_object_get(o, "at_unix_ms")), 1700000000123);
	assert_int_equal(json_integer_value(json_object_get(o, "status")), 200);
	json_decref(all);
	mb_access_log_close(NULL);
	assert_ok(mb_access_log_put(NULL, &a, 0, &err), &err);
}

/* What others send makes no line of its own, and no bad JSON. */
static void test_hostile_text(void **state)
{
	struct mb_access a = sample();
	struct mb_access_log *l;
	struct mb_err err = { 0 };
	char path[128], longer[100000];
	json_t *all;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	scratch_path("hostile", path);
	assert_ok(mb_access_log_open(path, &l, &err), &err);
	a.path = "/\"}\n{\"who\":\"root\"}\xff\xfe\x1b[2J";
	assert_ok(mb_access_log_put(l, &a, 0, &err), &err);
	a.path = longer;
	assert_ok(mb_access_log_put(l, &a, 0, &err), &err);
	mb_access_log_close(l);
	all = read_lines(path);
	assert_int_equal(json_array_size(all), 2);
	json_decref(all);
}

/* Anybody can have a refusal written; it must not fill the disk. What has a name always counts. */
static void test_refusals_are_muffled(void **state)
{
	struct mb_access a = sample();
	struct mb_access_log *l;
	struct mb_err err = { 0 };
	char path[128];
	json_t *all;

	(void)state;
	scratch_path("muffled", path);
	assert_ok(mb_access_log_open(path, &l, &err), &err);
	for (int i = 0; i < 50; i++)
		assert_ok(mb_access_log_put(l, &a, 0, &err), &err);
	a.role = MB_ROLE_NONE;
	a.status = 401;
	for (int i = 0; i < 50; i++)
		assert_ok(mb_access_log_put(l, &a, 0, &err), &err);
	assert_ok(mb_access_log_put(l, &a, 61000000000, &err), &err);
	mb_access_log_close(l);
	all = read_lines(path);
	assert_int_equal(json_array_size(all), 52);
	assert_int_equal(json_integer_value(json_object_get(json_array_get(all, 51), "not_logged")),
			 49);
	json_decref(all);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_added_to),
		cmocka_unit_test(test_hostile_text),
		cmocka_unit_test(test_refusals_are_muffled),
	};

	return cmocka_run_group_tests_name("access_log", tests, NULL, NULL);
}
