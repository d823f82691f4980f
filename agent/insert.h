/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Gets mbwalk.ko into the running kernel: the first that is there of
 *
 *	1. the file that was named (--module)
 *	2. /lib/modules/RELEASE/{updates/dkms,updates,extra}/mbwalk.ko[.xz|.zst|.gz], by modprobe
 *	   where there is one
 *	3. mbwalk.ko beside this program, if nobody else can write it
 *
 * Nothing takes it out again when the agent ends: other programs may have it open, and the next
 * run needs it. `rmmod mbwalk` does.
 */
#ifndef MB_INSERT_H
#define MB_INSERT_H

#include <limits.h>
#include <stdbool.h>

#include "proto/base/err.h"

/* Where to look; tests have folders of their own. */
struct mb_insert_places {
	const char *file;     /* or NULL */
	const char *modules;  /* "/lib/modules" */
	const char *release;  /* `uname -r` */
	const char *beside;   /* folder, or NULL */
	const char *modprobe; /* or NULL */
};

struct mb_insert_found {
	char path[PATH_MAX];
	int fd;		   /* of a file that fits this kernel; -1: it is compressed, ask modprobe */
	bool for_modprobe; /* it is where modprobe finds it */
};

/* Would mb_insert() have a module that fits, and may it? Changes nothing. */
int mb_insert_check(const char *file, char ret_path[PATH_MAX], struct mb_err *err);
/* `file` may be NULL. 0 also when the kernel has it already. */
int mb_insert(const char *file, struct mb_err *err);

/* --- its parts -------------------------------------------------------------------------------- */

/* -ENOENT says what to do. Close ret->fd. */
int mb_insert_find(const struct mb_insert_places *places, struct mb_insert_found *ret,
		   struct mb_err *err);
/*
 * What finit_module's errno means here; returns -code. `lockdown` is what
 * /sys/kernel/security/lockdown has, or "".
 */
int mb_insert_explain(int code, const char *path, const char *release, const char *lockdown,
		      struct mb_err *err);
/* The errno whose words modprobe has printed, or 0. */
int mb_insert_errno_of(const char *text);

#endif
