/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Swap in compressed memory, where the kernel has zram. */
#ifndef UTIL_SWAP_H
#define UTIL_SWAP_H

#include <stdbool.h>

#define SWAP_DEVICE "/dev/zram0"

/* A quarter of the memory, or what there is already. False: there is none to be had. */
bool swap_on_zram(void);

#endif
