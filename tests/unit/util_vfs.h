/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk that fails when it is told to: an SQLite VFS between the library and the real one, the
 * default while it is on. It remembers what was synced, so that power can be cut.
 */
#ifndef MB_UTIL_VFS_H
#define MB_UTIL_VFS_H

#include <stdbool.h>
#include <stdint.h>

enum vfs_fault {
	VFS_WRITE, /* a write fails */
	VFS_FULL,  /* a write finds the disk full, and so do all after it until vfs_mend() */
	VFS_SYNC,  /* a sync fails */
	VFS_READ,  /* a read fails */
	VFS_POWER, /* from a write or sync on nothing works any more */
	VFS_FAULTS
};

/* The `nth` such operation from now on fails, counting from 1. */
void vfs_on(enum vfs_fault fault, uint64_t nth);
/* It has come to that. */
bool vfs_failed(void);
/* A full disk has room again. */
void vfs_mend(void);
/* Back to the real one. Files that are open stay open. */
void vfs_off(void);
/*
 * After VFS_POWER, with all files closed: what is on disk now is what was synced, and of what was
 * written since then some pieces, by `seed`; 0: none.
 */
void vfs_power_up(uint64_t seed);

#endif
