// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/util_test.h"

static uint64_t inode(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_ino;
}

/* A tree of folders is as good: what counts are their numbers. */
static void test_names(void **state)
{
	char root[] = "/tmp/mbcgroup.XXXXXX", name[100], inner[200];

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(chdir(root), 0);
	assert_int_equal(mkdir("a", 0700) | mkdir("a/b", 0700) | mkdir("c", 0700), 0);
	mb_cgroup_name(root, inode("."), name, sizeof(name));
	assert_string_equal(name, "/");
	mb_cgroup_name(root, inode("a/b"), name, sizeof(name));
	assert_string_equal(name, "/a/b");
	mb_cgroup_name(root, inode("c"), name, sizeof(name));
	assert_string_equal(name, "/c");
	mb_cgroup_name(root, 1, name, sizeof(name));
	assert_string_equal(name, "?1");
	mb_cgroup_name("/nowhere", 77, name, sizeof(name));
	assert_string_equal(name, "?77");
	/* Cut, not overrun. */
	mb_cgroup_name(root, inode("a/b"), name, 3);
	assert_string_equal(name, "/a");
	snprintf(inner, sizeof(inner), "%s/a", root);
	mb_cgroup_name(inner, inode("a/b"), name, sizeof(name));
	assert_string_equal(name, "/b");
	assert_int_equal(rmdir("a/b") | rmdir("a") | rmdir("c"), 0);
	assert_int_equal(chdir("/") | rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
