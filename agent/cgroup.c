// SPDX-License-Identifier: GPL-2.0-or-later
#include "agent/cgroup.h"

#include <dirent.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "proto/base/cleanup.h"

enum { DEPTH_MAX = 16, PATH_BYTES = 4096 };

/* `path` is the folder to look in, of `len` bytes; it becomes the one that was found. */
static bool find(char path[PATH_BYTES], size_t len, uint64_t id, int depth)
{
	mb_autoclosedir DIR *d = opendir(path);
	const struct dirent *e;

	while (d && depth < DEPTH_MAX && (e = readdir(d))) {
		size_t n = strlen(e->d_name);

		if (e->d_type != DT_DIR || e->d_name[0] == '.' || len + n + 2 > PATH_BYTES)
			continue;
		snprintf(path + len, PATH_BYTES - len, "/%s", e->d_name);
		if (e->d_ino == id || find(path, len + 1 + n, id, depth + 1))
			return true;
		path[len] = 0;
	}
	return false;
}

static bool is_cgroup2(const char *root)
{
	struct statfs s;

	return statfs(root, &s) == 0 && s.f_type == CGROUP2_SUPER_MAGIC;
}

void mb_cgroup_name(const char *root, uint64_t id, char *ret, size_t size)
{
	static const char *const usual[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char path[PATH_BYTES];
	struct stat st;

	for (size_t i = 0; !root && i < MB_ARRAY_LEN(usual); i++) {
		if (is_cgroup2(usual[i]))
			root = usual[i];
	}
	if (root && stat(root, &st) == 0 && strlen(root) < sizeof(path)) {
		strcpy(path, root);
		if (st.st_ino == id) {
			snprintf(ret, size, "/");
			return;
		}
		if (find(path, strlen(root), id, 0)) {
			snprintf(ret, size, "%s", path + strlen(root));
			return;
		}
	}
	snprintf(ret, size, "?%" PRIu64, id);
}

const char *mb_cgroup_names_get(struct mb_cgroup_names *names, const char *root, uint64_t id)
{
	size_t at;

	for (size_t i = 0; i < names->n; i++)
		if (names->known[i].id == id)
			return names->known[i].name;
	if (names->n < MB_ARRAY_LEN(names->known)) {
		at = names->n++;
	} else {
		at = names->oldest;
		names->oldest = (names->oldest + 1) % names->n;
	}
	names->known[at].id = id;
	mb_cgroup_name(root, id, names->known[at].name, sizeof(names->known[at].name));
	return names->known[at].name;
}
