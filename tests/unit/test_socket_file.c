// SPDX-License-Identifier: GPL-2.0-or-later
#include "server/socket_file.h"

#include <stdio.h>
#include <unistd.h>

#include "tests/unit/util_server.h"

static void test_clear(void **state)
{
	struct mb_address a;
	struct mb_err err = { 0 };
	char path[128], uri[140];
	FILE *f;
	int fd;

	(void)state;
	scratch_path("s", path);
	snprintf(uri, sizeof(uri), "unix:%s", path);
	assert_ok(mb_uri_parse(uri, &a, &err), &err);
	assert_ok(mb_socket_file_clear(&a, &err), &err);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, &a.sa, a.len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_fails(mb_socket_file_clear(&a, &err), EADDRINUSE, &err, "in use");
	assert_int_equal(access(path, F_OK), 0);
	close(fd);
	assert_ok(mb_socket_file_clear(&a, &err), &err);
	assert_int_equal(access(path, F_OK), -1);
	f = fopen(path, "w");
	assert_non_null(f);
	fclose(f);
	assert_fails(mb_socket_file_clear(&a, &err), EEXIST, &err, "no socket");
	assert_ok(mb_uri_parse("tcp:127.0.0.1:1", &a, &err), &err);
	assert_ok(mb_socket_file_clear(&a, &err), &err);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clear),
	};

	return cmocka_run_group_tests_name("socket_file", tests, NULL, NULL);
}
