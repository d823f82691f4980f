// SPDX-License-Identifier: GPL-2.0-or-later
#include "util_module.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util_file.h"

bool module_read(const char *path, struct module_image *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t have = 0;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	ret->size = st.st_size;
	ret->at = malloc(ret->size);
	while (ret->at && have < ret->size &&
	       (n = read(fd, (char *)ret->at + have, ret->size - have)) > 0)
		have += n;
	close(fd);
	return ret->at && have == ret->size;
}

int module_load(const struct module_image *image)
{
	return syscall(SYS_init_module, image->at, image->size, "") < 0 ? errno : 0;
}

int module_unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) < 0 ? errno : 0;
}

bool module_is_loaded(const char *name)
{
	char path[256];

	/* Not by its folder, which is there a little longer. */
	snprintf(path, sizeof path, "/sys/module/%s/refcnt", name);
	return file_exists(path);
}

const char *module_path(void)
{
	const char *path = getenv("MODULE");

	if (!path)
		path = getenv("MBWALK_KO");
	return path ? path : "/mbwalk.ko";
}
