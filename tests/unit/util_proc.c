// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/unit/util_proc.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/file.h"

#define TEMPLATE "/tmp/mb_test_proc_XXXXXX"

char proc_root[] = TEMPLATE;

static const char *path_of(const char *name)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/%s", proc_root, name);
	return path;
}

int proc_make(void **state)
{
	(void)state;
	strcpy(proc_root, TEMPLATE);
	assert_non_null(mkdtemp(proc_root));
	return 0;
}

int proc_clean(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", proc_root);
	return system(command);
}

void proc_folder(const char *name)
{
	assert_int_equal(mkdir(path_of(name), 0700), 0);
}

void proc_put(const char *name, const char *text)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

void proc_put_word(const char *name, uint64_t index, uint64_t word)
{
	int fd = open(path_of(name), O_WRONLY | O_CREAT, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, &word, sizeof(word), (off_t)(index * sizeof(word))),
			 sizeof(word));
	close(fd);
}

void proc_remove(const char *name)
{
	assert_int_equal(unlink(path_of(name)), 0);
}

void proc_assert_holds(const char *name, const char *text)
{
	struct mb_buf got = { 0 };
	struct mb_err err = { 0 };

	assert_ok(mb_file_read(path_of(name), 64, &got, &err), &err);
	assert_string_equal((const char *)got.data, text);
	mb_buf_deinit(&got);
}

void proc_process(int id, char state, uint64_t start, const char *maps)
{
	char name[64], text[256];

	snprintf(name, sizeof(name), "%d", id);
	proc_folder(name);
	snprintf(name, sizeof(name), "%d/task", id);
	proc_folder(name);
	snprintf(name, sizeof(name), "%d/task/%d", id, id);
	proc_folder(name);
	snprintf(name, sizeof(name), "%d/clear_refs", id);
	proc_put(name, "");
	snprintf(name, sizeof(name), "%d/maps", id);
	proc_put(name, maps);
	snprintf(name, sizeof(name), "%d/stat", id);
	/* Fields 4 to 21 are 4 to 21. */
	snprintf(text, sizeof(text),
		 "%d (a) R b) %c 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 %llu 23\n", id,
		 state, (unsigned long long)start);
	proc_put(name, text);
}
