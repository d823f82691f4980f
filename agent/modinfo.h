/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a kernel module's file says of itself: "key=value" strings in its section .modinfo. */
#ifndef MB_MODINFO_H
#define MB_MODINFO_H

#include <stddef.h>

#include "proto/base/err.h"

/*
 * The first value of `key`, cut to `size` bytes with its NUL. `path` is for errors only. -ENODATA:
 * there is none; -EBADMSG: no module. Reads little, whatever the headers say.
 */
int mb_modinfo_get(int fd, const char *path, const char *key, char *ret, size_t size,
		   struct mb_err *err);

#endif
