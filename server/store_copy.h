/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The whole store at once: a backup of it, one put back, and whether all of it is well. */
#ifndef MB_SERVER_STORE_COPY_H
#define MB_SERVER_STORE_COPY_H

#include "server/store.h"

/*
 * Copies the database as it is at one moment to a new file; a server on it goes on meanwhile.
 * -EEXIST: `to` is there. The copy is checked before it gets its name, and durable after that.
 */
int mb_store_backup(const char *path, const char *to, struct mb_err *err);

/*
 * Puts a backup in the database's place: hold mb_store_lock(). The backup is checked first. What
 * was there is kept as PATH.before-restore; -EEXIST: from another time there is one already.
 */
int mb_store_restore(const char *path, const char *from, struct mb_err *err);

/*
 * Reads all of it, also while a server is on it. -EUCLEAN: something is wrong, and `each` was told
 * what, line by line.
 */
int mb_store_check(const char *path, void (*each)(void *ctx, const char *text), void *ctx,
		   struct mb_err *err);

#endif
