/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a machine of an ordinary day does, in pieces of a minute each: programs that come and go,
 * a page cache that grows and is dropped, a database, long-lived processes that write to their
 * heaps. Busy and quiet quarters of an hour alternate, so that all hours are alike. What is kept
 * is bounded: memory that grows is not this load's.
 */
#ifndef SOAK_LOAD_H
#define SOAK_LOAD_H

/* Below it files and the database are: an image of ext4. */
#define SOAK_DISK "/tmp/soak.disk"

/* Makes and mounts the disk; fails where the guest cannot. */
void soak_disk(void);
/* A process of its own that goes on until it is killed, its children too; its process group. */
int soak_load_start(void);

#endif
