/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The device /dev/mbwalk (kmod/mbwalk.h): opened, its module loaded first where it must be, and
 * held to what it promises, so that a module with a fault makes an error and no wrong figures.
 */
#ifndef MB_AGENT_MBWALK_H
#define MB_AGENT_MBWALK_H

#include <limits.h>
#include <stddef.h>

#include "kmod/mbwalk.h"
#include "proto/base/err.h"

/* What it asks of the machine. Unit tests put a device of their own here. */
struct mb_mbwalk_machine {
	int (*open)(void); /* file descriptor, or -errno */
	void (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg); /* 0, or -errno */
	/* As mb_insert_check() and mb_insert(). */
	int (*insert_check)(const char *file, char ret_path[PATH_MAX], struct mb_err *err);
	int (*insert)(const char *file, struct mb_err *err);
};
extern struct mb_mbwalk_machine mb_mbwalk_machine;

/* -ENODEV: the module is not loaded. */
int mb_mbwalk_open(int *ret_fd, struct mb_err *err);
/* Loads the module first when it is not; from `module`, if not NULL. */
int mb_mbwalk_open_loaded(const char *module, int *ret_fd, struct mb_err *err);
void mb_mbwalk_close(int fd);

/* What there is, and the ranges of RAM (info.n_ranges; the caller's to free), checked.
 * info.parts_max is 0 with a module that knows no parts. */
int mb_mbwalk_info(int fd, struct mbwalk_info *ret, struct mbwalk_range **ret_ranges,
		   struct mb_err *err);
/*
 * One MBWALK_SCAN; a signal is no error. scan->n >= 1. On return scan->next is in (first,
 * first + n], the records ascend in [first, next), and records that are not gone and counts are
 * next - first; no bit of zero_parts is above scan->parts.
 */
int mb_mbwalk_scan(int fd, struct mbwalk_scan *scan, struct mb_err *err);

#endif
