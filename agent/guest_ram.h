/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which mappings of a VM monitor are the guest's RAM? Nothing says so outright. What it looks like:
 *
 * - QEMU marks guest RAM mergeable - and with it VGA memory, ROMs and tables, which are small.
 * - Shared memory (virtiofs, vhost-user) and huge pages cannot be marked so; they are just large.
 * - Other monitors mark nothing: there it is the large private memory.
 * - Never executable: the largest mapping of QEMU without KVM is its buffer of translated code.
 *
 * Of these, RAM is what has at least half the largest one's size, or 128 MiB (a small DIMM, more
 * than any display takes by default).
 */
#ifndef MB_GUEST_RAM_H
#define MB_GUEST_RAM_H

#include <stdbool.h>

#include "agent/maps.h"

/* By the name of its executable, without the path. */
bool mb_is_vm_monitor(const char *program);

/* ret->n = 0 when there is none. Neighbours are joined; ascending by address. */
int mb_guest_ram_find(const struct mb_maps *all, struct mb_maps *ret, struct mb_err *err);

#endif
