/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The ioctl of a 32-bit program, made by a 64-bit one: the kernel's
 * compat_ioctl path. */
#ifndef UTIL_INT80_H
#define UTIL_INT80_H

#include <stdbool.h>
#include <stddef.h>

/* False: this kernel has no such calls. Tried in a child, since that may kill
 * it. */
bool int80_works(int fd);
/* As ioctl(). `arg` must lie below 4 GiB (memory32). */
int int80_ioctl(int fd, unsigned long request, void *arg);
/* n bytes, zero, below 4 GiB. */
void *memory32(size_t n);

#endif
