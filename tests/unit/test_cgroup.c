// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cgroup.h"

#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/cleanup.h"
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

/* What was found is known, though it be gone; more than there is room for, and the oldest go. */
static void test_names_are_kept(void **state)
{
	static struct mb_cgroup_names names;
	char root[] = "/tmp/mbcgroup.XXXXXX";
	uint64_t id;

	(void)state;
	assert_non_null(mkdtemp(root));
	assert_int_equal(chdir(root), 0);
	assert_int_equal(mkdir("a", 0700), 0);
	id = inode("a");
	assert_string_equal(mb_cgroup_names_get(&names, root, id), "/a");
	assert_int_equal(rmdir("a"), 0);
	for (uint64_t i = 1; i < MB_ARRAY_LEN(names.known); i++)
		mb_cgroup_names_get(&names, "/nowhere", 1ull << 60 | i);
	assert_string_equal(mb_cgroup_names_get(&names, root, id), "/a");
	assert_string_equal(mb_cgroup_names_get(&names, "/nowhere", 77), "?77");
	assert_true(*mb_cgroup_names_get(&names, root, id) == '?');
	assert_string_equal(mb_cgroup_names_get(&names, "/nowhere", 77), "?77");
	assert_int_equal(chdir("/") | rmdir(root), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_names_are_kept),
	};

	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
