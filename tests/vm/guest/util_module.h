/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Loads and unloads kernel modules by system calls: no shell between a test and
 * its errno. */
#ifndef UTIL_MODULE_H
#define UTIL_MODULE_H

#include <stdbool.h>
#include <stddef.h>

/* A file's content, for module_load(). */
struct module_image {
	void *at;
	size_t size;
};

/* False: there is no such file. */
bool module_read(const char *path, struct module_image *ret);
/* 0, or an errno. */
int module_load(const struct module_image *image);
int module_unload(const char *name);
bool module_is_loaded(const char *name);
/* Where mbwalk.ko is: $MODULE, $MBWALK_KO or /mbwalk.ko. */
const char *module_path(void);

#endif
